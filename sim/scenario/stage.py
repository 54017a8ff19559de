"""A camera in its world, with everything that people and faults can do to it by hand: what a
scenario's sentences act on, and the switches of the live panel.

A fault that is named strikes once, now, as the drawn shifts strike with it (`docs/faults.md`). One
that is no event but a way in which other things happen is switched on, and off again.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable

from bwv_device.camera.state_table import State
from hal.ports import SECOND_NS
from hal.simulated.disk import PowerCut, Tear
from sim import faults
from sim.faults.strike import AgentKilled, Repair, Strike
from sim.random_streams import Draws
from sim.world.camera_handle import TEAR, Camera
from sim.world.custody_workers import BenchCustody
from sim.world.mqtt_operator import SimulatedOperator
from sim.world.observations import Witness
from sim.world.officer import Officer
from sim.world.test_keys import BenchAgency
from sim.world.world import World

LOOK_NS = SECOND_NS // 10
INTAKE_NS = 3 * SECOND_NS
WAYS = tuple(kind.name for kind in faults.KINDS if kind.strike is None)


class Stage(Camera):
    """Power cuts, kills and crashes end the agent, never the world: `boot` begins another."""

    def __init__(self, world: World, agency: BenchAgency, seed: int = 0) -> None:
        """Before the world's first boot."""
        super().__init__(world, agency)
        self._draws = Draws(seed, "stage")
        self._witness = Witness(world)
        self._officer = Officer(world, self._draws.stream("officer"))
        self._operator = SimulatedOperator(world, agency, self._draws.stream("operator"))
        world.attack = self._operator.attack
        self._before_start = world.prepare
        world.prepare = self._prepare
        self._repairs: dict[str, Repair] = {}
        self._strikes = 0
        self.ways: set[str] = set()
        self.crashes: list[str] = []
        self.room_bytes = world.disk.capacity_bytes
        if world.settings.dock.store:
            BenchCustody(world, agency, every_ns=INTAKE_NS).start()

    @property
    def active(self) -> list[str]:
        """Faults that strike now, and ways that are on."""
        return sorted({*self._repairs, *self.ways})

    # --- time ---------------------------------------------------------------------------------

    def run_until(self, until_ns: int) -> None:
        """Runs on over planned cuts, killed processes, and agents that died of an exception."""
        while self.world.loop.now_ns() < until_ns:
            self._surviving(lambda: self.world.loop.run_until(until_ns))

    def _surviving(self, act: Callable[[], None]) -> None:
        try:
            act()
        except PowerCut:
            self.power_cut()
        except AgentKilled:
            self.kill()
        except Exception:
            if not self.world.agent_loop or not self.world.agent_loop.died:
                raise
            self.crashes.append(traceback.format_exc(limit=-4))
            self.world.happened("the agent crashed")
            self.world.vanish()

    # --- power --------------------------------------------------------------------------------

    def boot(self) -> None:
        if self.world.agent is not None:
            return
        if faults.UNSET in self.ways and not self.world.powered:
            faults.clock_unset(self.world, self._draws.stream(faults.UNSET))
        self._surviving(super().boot)

    def power_cut(self, tear: Tear = TEAR) -> None:
        self._lost()
        if faults.TORN in self.ways:
            self.world.power_off()
            self.world.disk.cut_anyhow(self._draws.stream(faults.TORN).below)
        else:
            super().power_cut(tear)
        if faults.RECOVERY in self.ways:
            faults.cut_in_recovery(self.world, self._draws)

    def kill(self) -> None:
        self._lost()
        super().kill()

    def begin_to_switch_off(self) -> None:
        """In order. It takes as long as it takes, and then the power goes."""
        assert self.world.agent
        self.world.happened("the camera is told to switch off")
        self.world.agent.stop()
        self._look_for_the_end()

    def _look_for_the_end(self) -> None:
        if self.world.agent is None or self.world.agent.state is not State.STOPPED:
            waits = self.world.agent is not None
        else:
            waits = not self.world.stopped()
            if not waits:
                self.world.happened("off, in order")
                self.world.switched_off()
        if waits:
            loop = self.world.loop
            loop.call_at(loop.now_ns() + LOOK_NS, self._look_for_the_end)

    def _lost(self) -> None:
        self._witness.ended("power cut")

    # --- hands --------------------------------------------------------------------------------

    def move(self, button: str, *, pressed: bool) -> None:
        """A finger goes down on a button, or off it."""
        self._officer.move(self.world.loop.now_ns(), button, pressed)

    # --- faults -------------------------------------------------------------------------------

    def strike(self, name: str, span_s: float | None = None) -> None:
        """The fault strikes now, for as long as it draws or for `span_s`. A way is switched on."""
        self.world.happened(f"fault: {name}")
        if name in WAYS:
            self._switch_on(name)
            return
        self.end_fault(name)
        self._strikes += 1
        self._surviving(lambda: self._strike(name, span_s))

    def end_fault(self, name: str) -> None:
        """It is over, whatever it had drawn."""
        self.ways.discard(name)
        if name == faults.LATENCY:
            self.world.disk.latency_ns = lambda operation: 0
        if repair := self._repairs.pop(name, None):
            self._surviving(repair)

    def _strike(self, name: str, span_s: float | None) -> None:
        act = faults.BY_NAME[name].strike
        assert act
        draws = self._draws.stream(f"{name} {self._strikes}")
        struck = act(Strike(self.world, self._officer, self._witness, draws))
        if struck is None:
            self.world.happened(f"{name} finds nothing to strike now")
            return
        lasts_ns, repair = struck
        lasts_ns = lasts_ns if span_s is None or not lasts_ns else round(span_s * SECOND_NS)
        if lasts_ns:
            self._repairs[name] = repair
            loop = self.world.loop
            loop.call_at(loop.now_ns() + lasts_ns, lambda: self._put_right(name, repair))

    def _put_right(self, name: str, repair: Repair) -> None:
        """Unless somebody did before."""
        if self._repairs.get(name) is repair:
            del self._repairs[name]
            repair()

    def _switch_on(self, name: str) -> None:
        self.ways.add(name)
        if name == faults.LATENCY:
            faults.slow_card(self.world, self._draws.stream(name))
        elif name == faults.JITTER:
            faults.jittery(self.world, self._draws.stream(name))

    def _prepare(self, world: World) -> None:
        self._before_start(world)
        faults.prepare_capture(world, self.ways, self._draws.stream)
