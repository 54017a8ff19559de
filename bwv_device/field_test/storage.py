"""Tests the card: writes what the recorder would write, and syncs as often."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bwv_device.field_test.findings import Finding, judged
from bwv_device.settings import Settings
from hal.host import VOLATILE, filesystem

NAME = ".bwv-check"


class StorageTest(NamedTuple):
    """Milliseconds of each write and its sync; free bytes; the type of the file system."""

    latencies_ms: list[float]
    free_bytes: int
    filesystem: str = ""

    def percentile_ms(self, percent: float) -> float:
        return float(np.percentile(self.latencies_ms, percent)) if self.latencies_ms else 0.0


def measure(
    folder: Path,
    settings: Settings,
    writes: int,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> StorageTest:
    """So many writes, as fast as they go: a recorder waits between them. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    block = os.urandom(fragment_bytes(settings))
    latencies_ms = []
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        for _ in range(writes):
            start_ns = clock()
            os.write(file, block)
            os.fdatasync(file)
            latencies_ms.append((clock() - start_ns) / 1e6)
    finally:
        os.close(file)
        path.unlink(missing_ok=True)
    free = os.statvfs(folder)
    return StorageTest(latencies_ms, free.f_bavail * free.f_frsize, filesystem(folder))


def fragment_bytes(settings: Settings) -> int:
    """What is written between two syncs."""
    kbps = settings.video.bitrate_kbps + settings.audio.bitrate_kbps
    return max(65536, kbps * 125 * settings.recording.fragment_ms // 1000)


def judge(test: StorageTest, settings: Settings) -> list[Finding]:
    """A sync that takes as long as a fragment holds the next one up; a queue bears single ones."""
    fragment_ms = settings.recording.fragment_ms
    p50, p95, p99 = (test.percentile_ms(percent) for percent in (50, 95, 99))
    longest = max(test.latencies_ms, default=0.0)
    shape = f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms, longest {longest:.0f} ms"
    share = p95 / fragment_ms
    kbps = settings.video.bitrate_kbps + settings.audio.bitrate_kbps
    reserve = settings.storage.reserve_mib << 20
    hours = max(0, test.free_bytes - reserve) / (kbps * 125) / 3600
    lost_s = longest / 1000 + settings.recording.loss_bound_ms / 1000
    volatile = test.filesystem in VOLATILE
    return [
        judged(
            "storage",
            "footage survives a power loss",
            f"no: the vault is on {test.filesystem}" if volatile else test.filesystem or "unknown",
            good=not volatile,
            poor=not volatile,
            remedy="Mount a disk at the vault; with a read-only root: overlayroot=tmpfs:recurse=0 "
            "(docs/pi.md).",
        ),
        judged(
            "storage",
            f"{fragment_bytes(settings) // 1024} KiB written and synced",
            shape,
            good=share <= 0.5,
            poor=share <= 1,
            remedy="The card is too slow for this bitrate: take one of class A2 or V30, or lower "
            "video.bitrate_kbps.",
        ),
        judged(
            "storage",
            "what a power cut may cost here",
            f"{lost_s:.1f} s",
            good=lost_s <= 2,
            poor=lost_s <= 4,
            remedy="Single syncs take very long: the card may be worn out, or something else "
            "writes to it.",
        ),
        judged(
            "storage",
            "room for recordings",
            f"{hours:.1f} h at {kbps} kbit/s",
            good=hours * 60 >= settings.alarms.storage_low_min,
            poor=hours * 60 >= settings.alarms.storage_critical_min,
            remedy="Deliver what is stored (dock the camera), or take a larger card.",
        ),
    ]
