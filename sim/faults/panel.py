"""Faults of lights, beeper, buttons and wall clock."""

from __future__ import annotations

from collections.abc import Callable

from hal.ports import SECOND_NS
from hal.simulated.panel import SimulatedPanel
from sim.faults.strike import Strike, Struck
from sim.world.world import World

YEAR_S = 365 * 86_400
# The camera looks at its clock this often at least.
WATCHED_NS = 30 * SECOND_NS


def output_fails(*names: str) -> Callable[[Strike], Struck | None]:
    def strike(on: Strike) -> Struck | None:
        panel, name = on.world.panel, on.draws.pick(names)
        if panel is None:
            return None
        panel.break_output(name)
        return on.draws.spread(1, 40) * SECOND_NS, lambda: repair_output(panel, on.world, name)

    return strike


def repair_output(panel: SimulatedPanel, world: World, name: str) -> None:
    if panel is world.panel:
        panel.repair_output(name)


def button_bounces(strike: Strike) -> Struck:
    strike.officer.bounce(on=True)
    return strike.draws.spread(30, 300) * SECOND_NS, lambda: strike.officer.bounce(on=False)


def button_stuck(strike: Strike) -> Struck | None:
    button, world = strike.draws.pick(("record", "marker")), strike.world
    if world.panel is None:
        return None
    world.touch(button, pressed=True)
    return strike.draws.spread(5, 120) * SECOND_NS, lambda: world.touch(button, pressed=False)


def clock_steps(strike: Strike) -> Struck | None:
    """The wall clock is set wrong, by half a second up to ten years, after the camera has read it
    once; later it is put right. A first word that is wrong nothing can detect."""
    world, clock, draws = strike.world, strike.world.clock, strike.draws
    lived_ns = world.loop.now_ns() - strike.witness.life.started_ns
    if min(lived_ns, clock.set_for_ns()) < WATCHED_NS:
        return None
    short_ms, long_s = draws.between(500, 15_000), draws.pick((60, 3600, 3 * YEAR_S, 10 * YEAR_S))
    by_ns = draws.pick((-1, 1)) * draws.pick((short_ms * 1_000_000, 10**9, long_s * SECOND_NS))
    clock.step(by_ns)
    return draws.spread(5, 300) * SECOND_NS, lambda: setattr(clock, "stepped_ns", 0)
