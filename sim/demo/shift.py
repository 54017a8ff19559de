"""The demo's shift: what an officer does with the camera, from the dock to the dock."""

from __future__ import annotations

from collections.abc import Callable

from bwv_device.camera.state_table import State
from hal.simulated.disk import Bytes, Names, PowerCut, Tear
from sim.world.world import World

# The cut hits while a chunk is being written: half of what was not synced survives.
TEAR = Tear(Bytes.PART, Names.WITH)

LENGTH_S = 185


def play(world: World, progress: Callable[[float], None] = lambda seconds: None) -> None:
    """Three recordings; the power is cut in the second; the camera boots, recovers, records again,
    is docked, and delivers."""

    def until(seconds: float) -> None:
        while (now := world.loop.now_ns() / 1e9) < seconds:
            world.run(seconds=min(0.5, seconds - now))
            progress(world.loop.now_ns() / 1e9)

    world.boot()
    until(4)
    world.put_in_dock(False)
    until(40)
    world.press_record_twice()
    until(47)
    world.press_marker()
    until(56)
    world.press_marker()
    until(61)
    world.press_marker(times=2)
    until(72)
    world.hold_record()
    until(98)
    world.press_record_twice()
    until(120.6)
    _cut_power(world)
    until(124)
    world.boot()
    until(132)
    world.press_record_twice()
    until(140)
    world.hold_record()
    until(145)
    world.put_in_dock(True)
    until(180)
    assert world.agent is not None
    assert world.agent.state is State.DOCKED
    world.shut_down()
    progress(LENGTH_S)


def _cut_power(world: World) -> None:
    """Within the next write to a segment."""
    world.disk.cut_in_next("append")
    try:
        world.run(seconds=2)
    except PowerCut:
        world.power_cut(TEAR)
