"""Faults of power and process: cuts, undervoltage, unreadable gauges, kills."""

from __future__ import annotations

from hal.ports import SECOND_NS
from hal.simulated.disk import PowerCut
from sim.faults.strike import AgentKilled, Strike, Struck, over
from sim.random_streams import Draws
from sim.world.world import World

YEAR_2016_NS = 1_451_606_400 * SECOND_NS


def cut_now(strike: Strike) -> Struck:
    raise PowerCut


def cut_at_disk(strike: Strike) -> Struck:
    """Before or within one of the next operations of the disk."""
    disk, number = strike.world.disk, strike.world.disk.count + strike.draws.below(60)
    if strike.draws.chance(500):
        disk.cut_before = number
    else:
        disk.cut_during = number
    return 0, over


def kill(strike: Strike) -> Struck:
    raise AgentKilled


def battery_dies(strike: Strike) -> Struck:
    """An old cell says 30 % and is empty."""
    strike.world.power.set(strike.draws.between(5, 60))
    raise PowerCut


def battery_low(strike: Strike) -> Struck:
    """A gauge that finds out late: a few percent are left, or hardly any."""
    strike.world.power.set(strike.draws.between(1, 12), charging=strike.world.power.charging)
    return 0, over


def undervoltage(strike: Strike) -> Struck:
    power = strike.world.power
    power.undervoltage = True
    return strike.draws.spread(1, 60) * SECOND_NS, lambda: setattr(power, "undervoltage", False)


def gauge_unreadable(strike: Strike) -> Struck:
    power = strike.world.power
    power.broken = "the gauge does not answer"
    return strike.draws.spread(1, 60) * SECOND_NS, lambda: setattr(power, "broken", "")


def cut_in_recovery(world: World, draws: Draws) -> None:
    """The next boot may not come far: after such a cut this comes round again."""
    if draws.chance(600):
        number = world.disk.count + draws.below(14)
        if draws.chance(500):
            world.disk.cut_before = number
        else:
            world.disk.cut_during = number


def clock_unset(world: World, draws: Draws) -> None:
    """There is no battery behind the clock, and the power was off."""
    world.clock.unset(draws.pick((0, YEAR_2016_NS)))
