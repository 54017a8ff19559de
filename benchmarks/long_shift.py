"""A 12 h synthetic shift in the simulator; how fast, and what it leaves in memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.goal import Line, at_least, at_most, plain
from bwv_device.settings import Settings
from sim.media.scene import Scene
from sim.world.test_keys import BenchAgency
from sim.world.world import World, stub_media

HOURS, RECORDINGS, MINUTES = 12, 8, 10


def run() -> Iterator[Line]:
    agency = BenchAgency()
    world = World(Settings(), agency.device, agency.recipients, media=stub_media())
    began = time.monotonic()
    world.boot()
    world.run(seconds=60)
    world.press_record_twice()
    world.run(seconds=600)
    world.hold_record()
    early = _resident_mib()
    pause_s = (HOURS * 3600 - 700) / RECORDINGS - MINUTES * 60
    for _ in range(RECORDINGS):
        world.run(seconds=pause_s)
        world.power.set(80)
        world.press_record_twice()
        world.run(seconds=MINUTES * 60)
        world.hold_record()
        world.run(seconds=2)
    grown = _resident_mib() - early
    took = time.monotonic() - began
    shift_s = world.loop.now_ns() / 1e9
    closed = [line for line in world.transitions if line.event.value == "stop"]
    assert len(closed) == RECORDINGS + 1
    yield plain(f"{HOURS} h shift with {RECORDINGS + 1} recordings, wall time", f"{took:.1f} s")
    yield at_most("12 h synthetic shift", took, 60, " s")
    yield at_least("stub units with ledger and sealing, × real time", shift_s / took, 1000)
    yield at_most("memory growth of agent and world over the shift", grown, 25, " MB")


def scene() -> Iterator[Line]:
    """The demo's scene with the real codec, on the workers that draw and encode ahead."""
    street = Scene(1280, 720, 30, 4_000_000, 0)
    street.gop(0)  # the workers start
    began = time.monotonic()
    for second in range(1, 41):
        street.gop(second)
    took = time.monotonic() - began
    street.close()
    yield at_least("scene drawn and encoded at 720p30, × real time", 40 / took, 1)


def _resident_mib() -> float:
    """Now, not the peak."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)
