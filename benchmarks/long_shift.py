"""A 12 h synthetic shift in the simulator; how fast, and what it leaves in memory."""

from __future__ import annotations

import gc
import resource
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from benchmarks.ext4.cuts import WorldDisk
from benchmarks.goal import Line, at_least, at_most, plain
from bwv_device.settings import Settings
from sim.media.scene import Scene
from sim.world.camera_handle import Camera, make_camera
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


def agent_memory() -> Iterator[Line]:
    """What the agent's own code holds, after an hour and after twelve. The world's log of what it
    saw grows, and is left out; the card is a folder, so that no ledger lies in memory."""
    agency = BenchAgency()
    with tempfile.TemporaryDirectory() as name:
        card = WorldDisk(Path(name, "vault"))
        camera = make_camera(agency, boot=False)
        camera.world.disk = card  # type: ignore[assignment]
        card.now_ns = camera.world.loop.now_ns
        tracemalloc.start()
        camera.boot()
        held = [_shift_hour(camera) for _ in range(HOURS)]
        tracemalloc.stop()
        stops = [line for line in camera.world.transitions if line.event.value == "stop"]
        assert len(stops) == HOURS
    (first_mib, first), (last_mib, last) = held[0], held[-1]
    yield plain(
        "what the agent holds after 1 h and after 12 h", f"{first_mib:.2f} / {last_mib:.2f} MiB"
    )
    yield plain("the same, in objects", f"{first:,} / {last:,}")
    yield at_most("growth of the agent's own memory over 11 h", last_mib - first_mib, 0.5, " MiB")


def _shift_hour(camera: Camera) -> tuple[float, int]:
    """An hour with a recording of ten minutes. Returns MiB and objects of the agent."""
    camera.world.power.set(80)
    camera.press_twice()
    camera.world.run(seconds=MINUTES * 60)
    camera.world.hold_record()
    camera.world.run(seconds=3600 - MINUTES * 60)
    gc.collect()
    agents = [tracemalloc.Filter(inclusive=True, filename_pattern="*/bwv_device/*")]
    found = tracemalloc.take_snapshot().filter_traces(agents).statistics("filename")
    return sum(row.size for row in found) / (1 << 20), sum(row.count for row in found)


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
