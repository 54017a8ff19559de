"""The pre-event buffer: cost of an append, memory, and the burst at the press."""

from __future__ import annotations

import os
import pickle
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from benchmarks import material
from benchmarks.goal import Line, at_most, plain
from benchmarks.recording_process import RecordingEars, _Board
from bwv_device.backends.realtime_loop import RealLoop
from bwv_device.camera.recording.pre_event_buffer import PreEventBuffer
from bwv_device.camera.recording.recorder import Recorder
from bwv_device.camera.recording.recording import RecordingRequest
from bwv_device.camera.vault.recovery import Recovered
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.settings import Recording, Settings
from hal.host import HostClock
from hal.ports import SECOND_NS, AccessUnit
from sim.world.test_keys import BenchAgency

BUFFER_S = 120


def run(pairs: int = 7) -> Iterator[Line]:
    video, audio, units = pickle.loads(material.units().read_bytes())
    fresh = _two_minutes(units)
    yield at_most("append to the pre-event buffer", _append_us(fresh), 1.5, " µs")
    yield at_most("memory of the pre-event buffer, × payload", _memory(fresh), 1.05)
    ratios, times = [], []
    for _ in range(pairs):
        ours, plain_s = _burst(fresh, video, audio)
        ratios.append(ours / plain_s)
        times.append(ours)
    yield plain(f"press to {BUFFER_S} s durable", f"{statistics.median(times) * 1000:.0f} ms")
    yield at_most("the same, × write + fdatasync", statistics.median(ratios), 2.0)


def _two_minutes(units: list[AccessUnit]) -> list[AccessUnit]:
    length_ns = max(unit.end_ns for unit in units)
    turns = BUFFER_S * SECOND_NS // length_ns + 1
    moved = [u._replace(pts_ns=u.pts_ns + t * length_ns) for t in range(turns) for u in units]
    return [unit for unit in moved if unit.pts_ns < BUFFER_S * SECOND_NS]


def _batched(units: list[AccessUnit], size: int = 19) -> list[list[AccessUnit]]:
    return [units[at : at + size] for at in range(0, len(units), size)]


def _append_us(units: list[AccessUnit]) -> float:
    batches, best = _batched(units), []
    for _ in range(7):
        buffer = PreEventBuffer(30 * SECOND_NS, 1 << 30, audio=True)
        start = time.process_time()
        for batch in batches:
            buffer.extend(batch)
        best.append((time.process_time() - start) / len(units) * 1e6)
    return statistics.median(best)


def _memory(units: list[AccessUnit]) -> float:
    """Everything allocated for units and buffer over the encoded bytes."""
    payload = sum(len(unit.data) for unit in units)
    tracemalloc.start()
    buffer = PreEventBuffer(BUFFER_S * SECOND_NS, 1 << 30, audio=True)
    for batch in _batched(units):
        buffer.extend([unit._replace(data=bytes(bytearray(unit.data))) for unit in batch])
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / payload


def _burst(units: list[AccessUnit], video: object, audio: object) -> tuple[float, float]:
    """Seconds from the press to all durable, and of a plain write of the same bytes."""
    with tempfile.TemporaryDirectory(dir=material.CACHE) as name:
        loop, done = RealLoop(HostClock()), {}
        board = _Board(Path(name, "vault"), BenchAgency(), video, audio)
        settings = Settings(
            recording=Recording(pre_event_s=120, pre_event_limit_mib=512, pre_event_audio=True)
        )
        shift_ns = time.monotonic_ns() - BUFFER_S * SECOND_NS
        moved = [unit._replace(pts_ns=unit.pts_ns + shift_ns) for unit in units]
        last_ns = max(unit.pts_ns for unit in moved if unit.track == 0) - SECOND_NS

        class Burst(RecordingEars):
            def vault_opened(self, recovered: Recovered) -> None:
                recorder.take(moved)
                done["start"] = time.monotonic()
                recorder.start(RecordingRequest("start", "bench", loop.now_ns()))

            def durable(self, video_until_ns: int) -> None:
                if video_until_ns >= last_ns and "end" not in done:
                    done["end"] = time.monotonic()
                    loop.stop()

        burst = Burst()
        vault_lane = VaultLane(board, loop, {}, burst)  # type: ignore[arg-type]
        recipients = board_recipients()
        recorder = Recorder(board, loop, vault_lane, settings, recipients, burst)  # type: ignore[arg-type]
        loop.post(lambda: vault_lane.open("power cut"))
        loop.run()
        data = b"".join(unit.data for unit in units)
        start = time.monotonic()
        with open(Path(name, "plain"), "wb", buffering=0) as file:
            file.write(data)
            os.fdatasync(file.fileno())
        return done["end"] - done["start"], time.monotonic() - start


def board_recipients() -> object:
    return BenchAgency().recipients
