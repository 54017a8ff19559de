"""Everything that can go wrong, each by its name: what is promised, how it strikes, how it ends.

`docs/faults.md` is made from this table. A strike may last; then the world is put right again.
"""

from __future__ import annotations

import enum
import errno
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hal.ports import SECOND_NS, AccessUnit, CaptureLoss, Track
from hal.simulated.disk import Fault, Operation, PowerCut
from hal.simulated.panel import SimulatedPanel
from sim.officer import Officer
from sim.streams import Draws
from sim.witness import Trouble, Witness
from sim.world import World

YEAR_S = 365 * 86_400
# The camera looks at its clock this often at least.
WATCHED_NS = 30 * SECOND_NS
KEYFRAME_NAL = b"\x00\x00\x00\x17\x67"


class Promise(enum.Enum):
    """What the product promises under a fault."""

    SURVIVED = "survived"  # every promise holds
    DETECTED = "detected"  # something may be lost; the verifiers must say so


class Strike(NamedTuple):
    """What a fault may touch when it strikes."""

    world: World
    officer: Officer
    witness: Witness
    draws: Draws


Repair = Callable[[], None]
Struck = tuple[int, Repair]  # how long it lasts in nanoseconds, and what ends it


class Kind(NamedTuple):
    """A fault. `strike` is None where it is no event but a way in which other things happen."""

    name: str
    what: str
    mean_s: int
    strike: Callable[[Strike], Struck | None] | None
    promise: Promise = Promise.SURVIVED


class AgentKilled(BaseException):
    """The process ends at once; the kernel and its page cache live on."""


def _over() -> None:
    """Nothing to put right."""


# --- power -------------------------------------------------------------------------------------


def _cut_now(strike: Strike) -> Struck:
    raise PowerCut


def _cut_at_disk(strike: Strike) -> Struck:
    """Before or within one of the next operations of the disk."""
    disk, number = strike.world.disk, strike.world.disk.count + strike.draws.below(60)
    if strike.draws.chance(500):
        disk.cut_before = number
    else:
        disk.cut_during = number
    return 0, _over


def _kill(strike: Strike) -> Struck:
    raise AgentKilled


def _battery_dies(strike: Strike) -> Struck:
    """An old cell says 30 % and is empty."""
    strike.world.power.set(strike.draws.between(5, 60))
    raise PowerCut


def _undervoltage(strike: Strike) -> Struck:
    power = strike.world.power
    power.undervoltage = True
    return strike.draws.spread(1, 60) * SECOND_NS, lambda: setattr(power, "undervoltage", False)


def _gauge_unreadable(strike: Strike) -> Struck:
    power = strike.world.power
    power.broken = "the gauge does not answer"
    return strike.draws.spread(1, 60) * SECOND_NS, lambda: setattr(power, "broken", "")


# --- storage -----------------------------------------------------------------------------------


def _disk_error(error: int, *, short: bool = False) -> Callable[[Strike], Struck]:
    """One of the next operations fails, and perhaps some after it."""

    def strike(on: Strike) -> Struck:
        disk, draws = on.world.disk, on.draws
        times = draws.pick((1, 1, 2, 3, 10))
        fault = Fault(disk.count + draws.below(40), error, times, short)
        disk.faults.append(fault)

        def repair() -> None:
            if fault in disk.faults:
                disk.faults.remove(fault)

        return draws.spread(5, 30) * SECOND_NS, repair

    return strike


def _read_only(strike: Strike) -> Struck:
    """The kernel remounts the card read-only, for some time."""
    disk = strike.world.disk
    disk.refuse = lambda operation: errno.EROFS
    return strike.draws.spread(1, 120) * SECOND_NS, lambda: setattr(disk, "refuse", _never)


def _never(operation: Operation) -> int:
    return 0


def _slow_sync(strike: Strike) -> Struck:
    """Some syncs take up to ten seconds, as on a card that cleans up."""
    disk, draws = strike.world.disk, strike.draws
    longest_ms = draws.spread(50, 10_000)
    before = disk.latency_ns

    def latency_ns(operation: Operation) -> int:
        slow = operation.verb == "sync" and draws.chance(300)
        return draws.between(1, longest_ms) * 1_000_000 if slow else before(operation)

    disk.latency_ns = latency_ns
    return draws.spread(2, 100) * SECOND_NS, lambda: setattr(disk, "latency_ns", before)


def _full(strike: Strike) -> Struck:
    """Something else fills the card, and goes away."""
    disk, before = strike.world.disk, strike.world.disk.capacity_bytes
    reserve = strike.world.settings.storage.reserve_mib << 20
    room = strike.draws.pick((0, 1000, 300_000, reserve, reserve + 3_000_000))
    disk.capacity_bytes = before - disk.free_bytes() + room
    return strike.draws.spread(10, 90) * SECOND_NS, lambda: setattr(disk, "capacity_bytes", before)


def _lying_sync(strike: Strike) -> Struck:
    """The card says that it stored, and did not; the power goes before it does."""
    disk = strike.world.disk
    disk.lies = True

    def repair() -> None:
        disk.lies = False
        if strike.world.agent:
            raise PowerCut

    return strike.draws.spread(2, 30) * SECOND_NS, repair


def _erased_block(strike: Strike) -> Struck | None:
    """A block that was synced reads as zeros."""
    disk, draws = strike.world.disk, strike.draws
    lengths = disk.durable_lengths()
    files = [path for path in sorted(lengths) if lengths[path] > 1]
    if not files:
        return None
    path = draws.pick(files)
    length = min(draws.spread(512, 128 << 10), lengths[path])
    disk.erase(path, draws.below(lengths[path] - length + 1), length)
    return 0, _over


# --- capture -----------------------------------------------------------------------------------

Disturb = Callable[[list[AccessUnit], Draws], list[AccessUnit]]


def _disturbed(disturb: Disturb, longest_s: int = 4) -> Callable[[Strike], Struck | None]:
    def strike(on: Strike) -> Struck | None:
        camera, draws = on.world.camera, on.draws
        if camera is None:
            return None
        camera.disturb = lambda batch: disturb(batch, draws) if draws.chance(400) else batch
        return draws.spread(1, longest_s) * SECOND_NS, lambda: setattr(camera, "disturb", _as_it_is)

    return strike


def _as_it_is(batch: list[AccessUnit]) -> list[AccessUnit]:
    return batch


def _wrong_times(batch: list[AccessUnit], draws: Draws) -> list[AccessUnit]:
    at, kind = draws.below(len(batch)), draws.below(3)
    unit = batch[at]
    if kind == 0:  # the same once more
        return [*batch[: at + 1], unit._replace(), *batch[at + 1 :]]
    if kind == 1:  # back in time
        back = unit._replace(pts_ns=max(0, unit.pts_ns - draws.spread(1, 3000) * 1_000_000))
        return [*batch[:at], back, *batch[at + 1 :]]
    ahead = unit._replace(pts_ns=unit.pts_ns + draws.spread(1, 100_000) * 1_000_000)
    return [*batch[:at], ahead, *batch[at + 1 :]]


def _no_keyframe(batch: list[AccessUnit], draws: Draws) -> list[AccessUnit]:
    if not any(unit.keyframe for unit in batch):
        return batch
    return [unit for unit in batch if not unit.keyframe]


def _parameter_sets_only(batch: list[AccessUnit], draws: Draws) -> list[AccessUnit]:
    at = draws.below(len(batch))
    sets = batch[at]._replace(data=KEYFRAME_NAL + bytes(22))
    return [*batch[:at], sets, *batch[at + 1 :]]


def _dropped(batch: list[AccessUnit], draws: Draws) -> list[AccessUnit]:
    at = draws.below(len(batch))
    return [*batch[:at], *batch[at + draws.between(1, 3) :]]


def _malformed(batch: list[AccessUnit], draws: Draws) -> list[AccessUnit]:
    at = draws.below(len(batch))
    unit = batch[at]
    cut = unit._replace(data=unit.data[: draws.below(len(unit.data))])
    return [*batch[:at], cut, *batch[at + 1 :]]


def _camera_stalls(strike: Strike) -> Struck | None:
    camera = strike.world.camera
    if camera is None:
        return None
    camera.stalled = True
    return strike.draws.spread(1, 30) * SECOND_NS, lambda: setattr(camera, "stalled", False)


def _camera_stops_late(strike: Strike) -> Struck | None:
    """It goes on delivering after it was stopped, and does not start while it does."""
    camera = strike.world.camera
    if camera is None:
        return None
    camera.stop_ns = strike.draws.spread(100, 8000) * 1_000_000
    return strike.draws.spread(60, 600) * SECOND_NS, lambda: setattr(camera, "stop_ns", 0)


def _microphone_unplugged(strike: Strike) -> Struck | None:
    microphone = strike.world.microphone
    if microphone is None:
        return None
    microphone.stalled = True
    return strike.draws.spread(1, 60) * SECOND_NS, lambda: setattr(microphone, "stalled", False)


def _microphone_overflows(strike: Strike) -> Struck | None:
    if strike.world.microphone is None:
        return None
    units = strike.draws.spread(1, 40)
    strike.world.microphone.lose(CaptureLoss(Track.AUDIO, units, "overflow"))
    return 0, _over


def prepare_microphone(world: World, draws: Draws, *, drifts: bool, late: bool) -> None:
    """What a microphone is like from its start on."""
    assert world.microphone
    if drifts:
        world.microphone.drift_ppm = draws.between(-200, 200)
    if late:
        world.microphone.late_ns = draws.spread(100, 5000) * 1_000_000


# --- panel and clock ---------------------------------------------------------------------------


def _output_fails(*names: str) -> Callable[[Strike], Struck | None]:
    def strike(on: Strike) -> Struck | None:
        panel, name = on.world.panel, on.draws.pick(names)
        if panel is None:
            return None
        panel.break_output(name)
        return on.draws.spread(1, 40) * SECOND_NS, lambda: _repair_output(panel, on.world, name)

    return strike


def _repair_output(panel: SimulatedPanel, world: World, name: str) -> None:
    if panel is world.panel:
        panel.repair_output(name)


def _button_bounces(strike: Strike) -> Struck:
    strike.officer.bounce(on=True)
    return strike.draws.spread(30, 300) * SECOND_NS, lambda: strike.officer.bounce(on=False)


def _button_stuck(strike: Strike) -> Struck | None:
    button, world = strike.draws.pick(("record", "marker")), strike.world
    if world.panel is None:
        return None
    world.touch(button, pressed=True)
    return strike.draws.spread(5, 120) * SECOND_NS, lambda: world.touch(button, pressed=False)


def _clock_steps(strike: Strike) -> Struck | None:
    """Somebody sets the wall clock wrong, by a minute up to ten years, after the camera has read it
    once; later it is put right. A first word that is wrong, and a step that hides within what the
    clock admits to be off, nothing can detect."""
    world, clock, draws = strike.world, strike.world.clock, strike.draws
    lived_ns = world.loop.now_ns() - strike.witness.life.started_ns
    if min(lived_ns, clock.set_for_ns()) < WATCHED_NS:
        return None
    by_ns = draws.pick((-1, 1)) * draws.pick((60, 3600, 3 * YEAR_S, 10 * YEAR_S)) * SECOND_NS
    clock.step(by_ns)
    return draws.spread(5, 300) * SECOND_NS, lambda: setattr(clock, "stepped_ns", 0)


# --- the table -----------------------------------------------------------------------------------

TORN, RECOVERY, UNSET = "torn-writes", "cut-in-recovery", "clock-unset"
DRIFT, LATE = "microphone-drift", "microphone-late"
LATENCY = "slow-card"

KINDS: tuple[Kind, ...] = (
    Kind("power-cut", "the power goes, at any moment", 400, _cut_now),
    Kind(
        "power-cut-at-disk", "the power goes before or within a disk operation", 300, _cut_at_disk
    ),
    Kind(RECOVERY, "it goes once, twice or three times more during recovery", 0, None),
    Kind(
        TORN, "any legal part of what was not synced survives a cut, of bytes and of names", 0, None
    ),
    Kind("agent-killed", "the process ends; page cache and hardware live on", 900, _kill),
    Kind("battery-dies", "an old cell says 30 % and is empty", 1500, _battery_dies),
    Kind("undervoltage", "the board gets too little for a while", 600, _undervoltage),
    Kind("gauge-unreadable", "the battery can't be read", 900, _gauge_unreadable),
    Kind("io-error", "EIO at any operation, once or some times", 400, _disk_error(errno.EIO)),
    Kind("no-space", "ENOSPC at any operation", 600, _disk_error(errno.ENOSPC)),
    Kind("short-write", "a part is written, then EIO", 500, _disk_error(errno.EIO, short=True)),
    Kind("read-only", "EROFS for seconds", 900, _read_only),
    Kind("slow-sync", "syncs that take up to 10 s", 400, _slow_sync),
    Kind(LATENCY, "every operation takes its time", 0, None),
    Kind("storage-full", "the card is full, and has room again later", 900, _full),
    Kind("camera-stall", "no pictures, and no error", 400, _camera_stalls),
    Kind(
        "camera-stops-late",
        "it goes on after stop, and blocks the next start",
        600,
        _camera_stops_late,
    ),
    Kind("wrong-times", "duplicate, backward and future timestamps", 300, _disturbed(_wrong_times)),
    Kind("missing-keyframe", "a keyframe is left out", 400, _disturbed(_no_keyframe, 8)),
    Kind("parameter-sets-only", "a unit without a picture", 500, _disturbed(_parameter_sets_only)),
    Kind("dropped-pictures", "pictures are left out", 400, _disturbed(_dropped)),
    Kind("malformed-units", "units that are cut off", 500, _disturbed(_malformed)),
    Kind(DRIFT, "its samples come up to 200 ppm too fast or too slow", 0, None),
    Kind(LATE, "it starts seconds after the camera", 0, None),
    Kind("microphone-unplugged", "no sound for a while", 500, _microphone_unplugged),
    Kind("microphone-overflow", "the driver lost sound", 400, _microphone_overflows),
    Kind(
        "light-fails",
        "front or status light can't be driven",
        900,
        _output_fails("front_light", "status_green", "status_red"),
    ),
    Kind(
        "beeper-fails",
        "beeper or vibration can't be driven",
        900,
        _output_fails("beeper", "vibration"),
    ),
    Kind("button-bounce", "contacts chatter", 600, _button_bounces),
    Kind("button-stuck", "a button stays down", 900, _button_stuck),
    Kind(UNSET, "no battery behind the clock: boots at 1970 or at an old date", 0, None),
    Kind("clock-step", "the wall clock jumps by a minute up to ten years", 400, _clock_steps),
    Kind(
        "lying-sync",
        "the card says stored, is not, and the power goes",
        900,
        _lying_sync,
        Promise.DETECTED,
    ),
    Kind(
        "erased-block",
        "512 B to 128 KiB that were synced read as zeros",
        1500,
        _erased_block,
        Promise.DETECTED,
    ),
)
BY_NAME = {kind.name: kind for kind in KINDS}


def swarm(draws: Draws) -> list[str]:
    """Each fault is in about half of all seeds; those that may only be detected in few."""
    names = []
    for kind in KINDS:
        chosen = draws.stream(kind.name)
        if chosen.chance(450 if kind.promise is Promise.SURVIVED else 60):
            names.append(kind.name)
    return names


class Faults:
    """Lets the chosen kinds strike, each at times from a stream of its own, until `calm`."""

    def __init__(
        self, world: World, officer: Officer, witness: Witness, draws: Draws, names: Sequence[str]
    ) -> None:
        self._world, self._officer, self._witness = world, officer, witness
        self._streams = {name: draws.stream(name) for name in names}
        self._calm = False
        self._repairs: list[Repair] = []
        self.strikes: dict[str, int] = {}

    def on(self, name: str) -> bool:
        return name in self._streams and not self._calm

    def stream(self, name: str) -> Draws:
        return self._streams[name]

    def start(self) -> None:
        for name in self._streams:
            if BY_NAME[name].strike:
                self._later(BY_NAME[name])

    def calm(self) -> None:
        """Everything is put right, and nothing more happens."""
        self._calm = True
        self._world.disk.lies = False
        repairs, self._repairs = self._repairs, []
        for repair in repairs:
            repair()

    def _later(self, kind: Kind) -> None:
        loop = self._world.loop
        wait_ns = self._streams[kind.name].wait_ns(kind.mean_s)
        loop.call_at(loop.now_ns() + wait_ns, lambda: self._strike(kind))

    def _strike(self, kind: Kind) -> None:
        if self._calm or kind.strike is None:
            return
        self._later(kind)
        if self._world.agent is None:
            return
        now_ns = self._world.loop.now_ns()
        self._count(kind, now_ns, 0)
        struck = kind.strike(
            Strike(self._world, self._officer, self._witness, self._streams[kind.name])
        )
        if struck is None:
            return
        lasts_ns, repair = struck
        self._witness.troubles[-1] = Trouble(kind.name, now_ns, now_ns + lasts_ns)
        self._repairs.append(repair)

        def put_right() -> None:
            if repair in self._repairs:
                self._repairs.remove(repair)
                repair()

        self._world.loop.call_at(now_ns + lasts_ns, put_right)

    def _count(self, kind: Kind, now_ns: int, lasts_ns: int) -> None:
        self.strikes[kind.name] = self.strikes.get(kind.name, 0) + 1
        self._world.happened(f"fault: {kind.name}")
        self._witness.troubles.append(Trouble(kind.name, now_ns, now_ns + lasts_ns))
