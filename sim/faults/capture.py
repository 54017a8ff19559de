"""Faults of camera and microphone: stalls, lost and malformed units."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection

from hal.ports import SECOND_NS, AccessUnit, CaptureLoss, Track
from sim.faults.strike import Strike, Struck, over
from sim.random_streams import Draws
from sim.world.world import World

DRIFT, LATE = "microphone-drift", "microphone-late"
DELAY, JITTER = "encoder-delay", "picture-jitter"
MS = 1_000_000
KEYFRAME_NAL = b"\x00\x00\x00\x17\x67"

Disturb = Callable[[list[AccessUnit], Draws], list[AccessUnit]]


def disturbed(disturb: Disturb, longest_s: int = 4) -> Callable[[Strike], Struck | None]:
    def strike(on: Strike) -> Struck | None:
        camera, draws = on.world.camera, on.draws
        if camera is None:
            return None
        camera.disturb = lambda batch: disturb(batch, draws) if draws.chance(400) else batch
        return draws.spread(1, longest_s) * SECOND_NS, lambda: setattr(camera, "disturb", as_it_is)

    return strike


def as_it_is(batch: list[AccessUnit]) -> list[AccessUnit]:
    return batch


def wrong_times(batch: list[AccessUnit], draws: Draws) -> list[AccessUnit]:
    at, kind = draws.below(len(batch)), draws.below(3)
    unit = batch[at]
    if kind == 0:  # the same once more
        return [*batch[: at + 1], unit._replace(), *batch[at + 1 :]]
    if kind == 1:  # back in time
        back = unit._replace(pts_ns=max(0, unit.pts_ns - draws.spread(1, 3000) * 1_000_000))
        return [*batch[:at], back, *batch[at + 1 :]]
    ahead = unit._replace(pts_ns=unit.pts_ns + draws.spread(1, 100_000) * 1_000_000)
    return [*batch[:at], ahead, *batch[at + 1 :]]


def no_keyframe(batch: list[AccessUnit], draws: Draws) -> list[AccessUnit]:
    if not any(unit.keyframe for unit in batch):
        return batch
    return [unit for unit in batch if not unit.keyframe]


def parameter_sets_only(batch: list[AccessUnit], draws: Draws) -> list[AccessUnit]:
    at = draws.below(len(batch))
    sets = batch[at]._replace(data=KEYFRAME_NAL + bytes(22))
    return [*batch[:at], sets, *batch[at + 1 :]]


def dropped(batch: list[AccessUnit], draws: Draws) -> list[AccessUnit]:
    at = draws.below(len(batch))
    return [*batch[:at], *batch[at + draws.between(1, 3) :]]


def malformed(batch: list[AccessUnit], draws: Draws) -> list[AccessUnit]:
    at = draws.below(len(batch))
    unit = batch[at]
    cut = unit._replace(data=unit.data[: draws.below(len(unit.data))])
    return [*batch[:at], cut, *batch[at + 1 :]]


def camera_stalls(strike: Strike) -> Struck | None:
    camera = strike.world.camera
    if camera is None:
        return None
    camera.stalled = True
    return strike.draws.spread(1, 30) * SECOND_NS, lambda: setattr(camera, "stalled", False)


def camera_stops_late(strike: Strike) -> Struck | None:
    """It goes on delivering after it was stopped, and does not start while it does."""
    camera = strike.world.camera
    if camera is None:
        return None
    camera.stop_ns = strike.draws.spread(100, 8000) * 1_000_000
    return strike.draws.spread(60, 600) * SECOND_NS, lambda: setattr(camera, "stop_ns", 0)


def microphone_unplugged(strike: Strike) -> Struck | None:
    microphone = strike.world.microphone
    if microphone is None:
        return None
    microphone.stalled = True
    return strike.draws.spread(1, 60) * SECOND_NS, lambda: setattr(microphone, "stalled", False)


def microphone_overflows(strike: Strike) -> Struck | None:
    if strike.world.microphone is None:
        return None
    units = strike.draws.spread(1, 40)
    strike.world.microphone.lose(CaptureLoss(Track.AUDIO, units, "overflow"))
    return 0, over


def prepare_capture(world: World, ways: Collection[str], draws: Callable[[str], Draws]) -> None:
    """What camera and microphone are like from their start on. `draws` of a name."""
    microphone, camera = world.microphone, world.camera
    assert microphone
    assert camera
    if DRIFT in ways:
        microphone.drift_ppm = draws(DRIFT).between(-200, 200)
    if LATE in ways:
        microphone.late_ns = draws(LATE).spread(100, 5000) * MS
    if DELAY in ways:
        camera.encoder_delay_ns = draws(DELAY).spread(20, 150) * MS


def jittery(world: World, draws: Draws) -> None:
    """From now on no picture keeps to its rhythm."""
    most_ns, salt = draws.spread(1, 12) * MS, draws.below(1 << 30)
    world.jitter_ns = lambda number: zlib.crc32(b"%d %d" % (salt, number)) % most_ns
