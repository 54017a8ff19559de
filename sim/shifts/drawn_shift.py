"""One seed = one shift: a camera, an officer, a world, faults; then calm, and the oracle."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NamedTuple

from bwv_device.settings import Settings
from hal.ports import SECOND_NS
from hal.simulated.disk import Bytes, Names, Operation, PowerCut, Tear
from sim import faults
from sim.faults import AgentKilled, Faults
from sim.oracle import Finding, judge
from sim.random_streams import Draws
from sim.world.custody_workers import BenchCustody
from sim.world.environment import Nature
from sim.world.mqtt_operator import SimulatedOperator
from sim.world.observations import Witness
from sim.world.officer import Officer
from sim.world.test_keys import BenchAgency
from sim.world.world import Media, Transition, World, stub_media

# Long enough for a card that was busy to come to rest and the worst retry to be through.
SETTLE_NS = 45 * SECOND_NS
LAST_NS = 20 * SECOND_NS
LOOK_NS = SECOND_NS
# How often whoever watches is asked whether the shift goes on.
ASK_NS = 60 * SECOND_NS
# How often custody's intake looks for uploads.
INTAKE_NS = 3 * SECOND_NS
SWARM = "swarm"


class Shift(NamedTuple):
    """What to play. `fault_names` are names of `sim.faults`; `swarm` draws them from the seed."""

    seed: int
    duration_s: int = 1800
    fault_names: tuple[str, ...] = (SWARM,)


@dataclass
class PlayedShift:
    """What came of it."""

    shift: Shift
    fault_names: list[str]
    findings: list[Finding]
    digest: str
    world: World
    witness: Witness
    strikes: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.findings


@cache
def bench_agency() -> BenchAgency:
    """Keys that are the same in every shift."""
    return BenchAgency()


def play(
    shift: Shift,
    tell: Callable[[int, str], None] = lambda at_ns, text: None,
    go_on: Callable[[int], bool] = lambda done_s: True,
) -> PlayedShift:
    """Plays a shift and judges it. `tell` hears transitions and happenings as they come; `go_on` is
    asked after each minute, and ends the shift early: it is judged all the same."""
    return Simulation(shift, tell).play(go_on)


class Simulation:
    """The bench around one camera: power supply, supervisor, and the end of the shift."""

    def __init__(
        self,
        shift: Shift,
        tell: Callable[[int, str], None],
        media: Callable[[Settings], Media] | None = None,
    ) -> None:
        """`media` gives other pictures and sounds than the stubs, to the same settings."""
        self._shift, self._tell = shift, tell
        draws = Draws(shift.seed, "shift")
        names = list(shift.fault_names)
        self.fault_names = faults.swarm(draws.stream("swarm")) if names == [SWARM] else names
        agency = bench_agency()
        settings, stubs = drawn_settings(draws.stream("settings"))
        self.world = world = World(
            settings,
            agency.device,
            agency.recipients,
            media=media(settings) if media else stubs,
            seed=f"seed {shift.seed}",
            roots=[agency.root],
        )
        self.custody = BenchCustody(world, agency, every_ns=INTAKE_NS)
        world.on_happening = lambda happening: tell(happening.at_ns, happening.what)
        world.on_transition = self._tell_transition
        self.witness = Witness(world)
        self.nature = Nature(world, draws.stream("nature"))
        self.operator = SimulatedOperator(world, agency, draws.stream("desk"))
        world.attack = self.operator.attack
        self.officer = Officer(world, draws.stream("officer"))
        self.faults = Faults(
            world, self.officer, self.witness, draws.stream("faults"), self.fault_names
        )
        self._closing = False
        self._power, self._findings = draws.stream("power"), list[Finding]()
        world.disk.observe = self._then_tell(world.disk.observe)
        world.prepare = self._prepare(world.prepare)
        if self.faults.on(faults.LATENCY):
            faults.slow_card(world, draws.stream("card"))
        if self.faults.on(faults.JITTER):
            faults.jittery(world, draws.stream("jitter"))
        world.power.set(self._power.between(60, 100))

    def start(self) -> None:
        """The shift begins: everything is under way, no time has passed."""
        self.nature.start()
        self.custody.start()
        self.operator.start()
        self.faults.start()
        self.officer.start()
        self.world.loop.post(self._watch)
        self._switch_on()

    def go_on(self, duration_ns: int) -> None:
        """So much of it."""
        self._run(self.world.loop.now_ns() + duration_ns)

    def play(self, go_on: Callable[[int], bool] = lambda done_s: True) -> PlayedShift:
        """From the beginning to the oracle's verdict."""
        self.start()
        begin_ns = self.world.loop.now_ns()
        end_ns = begin_ns + self._shift.duration_s * SECOND_NS - SETTLE_NS - LAST_NS
        while (now_ns := self.world.loop.now_ns()) < end_ns:
            if not go_on((now_ns - begin_ns) // SECOND_NS):
                played_s = (now_ns - begin_ns + SETTLE_NS + LAST_NS) // SECOND_NS
                self._shift = self._shift._replace(duration_s=played_s)
                break
            self._run(min(end_ns, now_ns + ASK_NS))
        return self.finish()

    def finish(self) -> PlayedShift:
        """Calm, a last recording, an orderly stop, and the verdict."""
        world = self.world
        self._calm()
        self._run(world.loop.now_ns() + SETTLE_NS)
        if world.agent is None:
            self._switch_on()
            self._run(world.loop.now_ns() + 5 * SECOND_NS)
        self._findings += self._last_recording()
        self._shut_down()
        self._findings += judge(world, self.witness, bench_agency())
        return PlayedShift(
            self._shift,
            self.fault_names,
            self._findings,
            trace_digest(world, self.witness),
            world,
            self.witness,
            dict(sorted(self.faults.strikes.items())),
            self._counts(),
        )

    # --- power and supervisor -----------------------------------------------------------------

    def _run(self, until_ns: int) -> None:
        """Runs on over power cuts, killed processes, and agents that died of an exception."""
        world = self.world
        while world.loop.now_ns() < until_ns:
            try:
                world.loop.run_until(until_ns)
            except PowerCut:
                self._power_cut()
            except AgentKilled:
                self._process_ended("killed")
            except Exception:
                if not world.agent_loop or not world.agent_loop.died:
                    raise
                self._crashed(traceback.format_exc(limit=-4))

    def _switch_on(self) -> None:
        world = self.world
        if world.agent is not None:
            return
        if world.power.percent() == 0:
            world.power.set(30)  # somebody changes the battery
        if self.faults.on(faults.UNSET) and not world.powered:
            faults.clock_unset(world, self.faults.stream(faults.UNSET))
        world.clock.stepped_ns = 0
        world.boot()

    def _boot_in(self, wait_ns: int) -> None:
        self.world.loop.call_at(self.world.loop.now_ns() + wait_ns, self._switch_on)

    def _power_cut(self) -> None:
        world = self.world
        self.witness.ended("power cut")
        world.power_off()
        if self.faults.on(faults.TORN):
            world.disk.cut_anyhow(self.faults.stream(faults.TORN).below)
        else:
            world.disk.cut(Tear(Bytes.NONE, Names.WITHOUT))
        if self.faults.on(faults.RECOVERY):
            faults.cut_in_recovery(world, self.faults.stream(faults.RECOVERY))
        self._boot_in(self._power.spread(100, 20_000) * 1_000_000)

    def _process_ended(self, how: str) -> None:
        self.witness.ended(how)
        self.world.happened(how)
        self.world.vanish()
        self._boot_in(2 * SECOND_NS)

    def _crashed(self, text: str) -> None:
        """An exception of the agent: its supervisor starts it again, and it is a finding."""
        now_ns = self.world.loop.now_ns()
        self._findings.append(Finding("no crash", now_ns, text))
        self._process_ended("crashed")

    def _watch(self) -> None:
        """Queues, an empty battery, an agent that stopped in order."""
        world = self.world
        self.witness.look()
        if world.stopped() and not self._closing:
            self.witness.ended("switched off")
            world.happened("off, in order")
            world.switched_off()
            self._boot_in(self._power.spread(2, 60) * SECOND_NS)
        elif world.agent and world.power.percent() == 0 and not world.power.charging:
            raise PowerCut
        world.loop.call_at(world.loop.now_ns() + LOOK_NS, self._watch)

    # --- the end ------------------------------------------------------------------------------

    def _calm(self) -> None:
        """Faults off, hands off, a good battery, room, a network; the camera off the dock."""
        world = self.world
        self._tell(world.loop.now_ns(), "calm: all faults are over")
        self.officer.rest()
        try:
            self.faults.calm()
        except PowerCut:
            self._power_cut()
        self.nature.calm()
        self.operator.calm()
        world.power.set(80)
        world.disk.faults.clear()
        world.disk.cut_before = world.disk.cut_during = None
        world.disk.latency_ns = lambda operation: 0
        world.put_in_dock(False)

    def _last_recording(self) -> list[Finding]:
        """Liveness: after the calm the camera obeys."""
        world, began_ns = self.world, self.world.loop.now_ns()
        found: list[Finding] = []

        def expect(state: str) -> None:
            now = world.agent.state.value if world.agent else "off"
            if now != state:
                text = f"after the calm the camera should be {state}, and is {now}"
                found.append(Finding("liveness", world.loop.now_ns(), text))

        if world.agent and world.agent.state.value == "recording":
            world.hold_record()  # a forgotten one
            self._run(world.loop.now_ns() + 3 * SECOND_NS)
        self._run(world.loop.now_ns() + world.settings.recording.post_event_s * SECOND_NS)
        expect("ready")
        world.press_record_twice()
        self._run(world.loop.now_ns() + 5 * SECOND_NS)
        expect("recording")
        synced = [one for one in self.witness.footage_synced if one.at_ns > began_ns]
        if not synced:
            found.append(Finding("liveness", began_ns, "after the calm nothing is stored"))
        world.hold_record()
        self._run(world.loop.now_ns() + 4 * SECOND_NS)
        self._run(world.loop.now_ns() + world.settings.recording.post_event_s * SECOND_NS)
        expect("ready")
        return found

    def _shut_down(self) -> None:
        world = self.world
        if world.agent is None:
            return
        self._closing = True
        world.happened("the end of the shift")
        world.agent.stop()
        for _ in range(200):
            if world.stopped():
                break
            self._run(world.loop.now_ns() + SECOND_NS // 2)
        self.witness.ended("switched off")
        world.switched_off()

    # --- the rest -----------------------------------------------------------------------------

    def _prepare(self, before: Callable[[World], None]) -> Callable[[World], None]:
        def prepare(world: World) -> None:
            before(world)
            faults.prepare_capture(world, self.faults.ways(), self.faults.stream)

        return prepare

    def _tell_transition(self, transition: Transition) -> None:
        before, after = transition.before.value, transition.after.value
        self._tell(transition.at_ns, f"{before} → {after} ({transition.event.value})")

    def _then_tell(
        self, observe: Callable[[Operation, bytes], None]
    ) -> Callable[[Operation, bytes], None]:
        """The disk's operations are only counted: keeping 12 hours of them costs memory."""

        def also(operation: Operation, data: bytes) -> None:
            observe(operation, data)
            self.world.disk.operations.clear()

        return also

    def _counts(self) -> dict[str, int]:
        lives = self.witness.lives
        return {
            "boots": len(lives),
            "power cuts": sum(life.how == "power cut" for life in lives),
            "recordings": sum(t.event.value == "start" for t in self.world.transitions),
            "disk operations": self.world.disk.count,
            "events": self.world.loop.events,
        }


def drawn_settings(draws: Draws) -> tuple[Settings, Media]:
    """A configuration that somebody could have chosen, and media to match."""
    bitrate_kbps, fps = draws.spread(200, 2000), draws.pick((10, 15, 30))
    base = Settings()
    settings = replace(
        base,
        recording=replace(
            base.recording,
            pre_event_s=draws.pick((0, 5, 10, 30, 30, 60)),
            pre_event_audio=draws.chance(200),
            post_event_s=draws.pick((0, 0, 0, 5, 20)),
            segment_s=draws.pick((10, 20, 60)),
            rollover_min=draws.pick((240, 240, 2)),
            batch_ms=draws.pick((100, 250, 250, 500)),
            queue_limit_mib=draws.pick((4, 32)),
        ),
        video=replace(base.video, fps=fps, bitrate_kbps=bitrate_kbps),
        sounds=replace(base.sounds, reminder_s=draws.pick((30, 30, 10, 120))),
        public=replace(base.public, spoken_notice=draws.pick(("", "", "recording"))),
        policy=replace(
            base.policy, mute=draws.chance(300), covert=draws.chance(200), covert_limit_min=1
        ),
        location=replace(base.location, enabled=draws.chance(300)),
        dock=replace(base.dock, store="bench", poll_ms=1000),
        mqtt=replace(base.mqtt, broker="bench"),
    )
    return settings, stub_media(bitrate_kbps * 1000, fps)


def trace_digest(world: World, witness: Witness) -> str:
    """Everything that was seen, as one digest: equal for equal seeds."""
    total = hashlib.sha256()
    for item in (*world.transitions, *world.happenings):
        total.update(repr(item).encode())
    for output in ("front light", "status light", "beeper", "vibration"):
        for shown in witness.shown(output):
            total.update(f"{output} {shown.at_ns} {shown.level.value} {shown.pattern}\n".encode())
    for path, data in world.disk.files():
        total.update(f"{path} {len(data)} ".encode() + data)
    return total.hexdigest()


def named_faults(text: str) -> Sequence[str]:
    """`swarm`, `none`, `all`, or names with commas. Raises `ValueError` with the known ones."""
    if text in (SWARM, "none", "all"):
        return {"none": [], "all": list(faults.BY_NAME)}.get(text, [SWARM])
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in faults.BY_NAME]
    if unknown:
        raise ValueError(f"unknown fault {unknown[0]!r}; known: {', '.join(faults.BY_NAME)}")
    return names
