"""Faults of power and process: cuts, undervoltage, unreadable gauges, kills."""

from __future__ import annotations

from hal.ports import SECOND_NS
from hal.simulated.disk import PowerCut
from sim.faults.strike import AgentKilled, Strike, Struck, over


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


def undervoltage(strike: Strike) -> Struck:
    power = strike.world.power
    power.undervoltage = True
    return strike.draws.spread(1, 60) * SECOND_NS, lambda: setattr(power, "undervoltage", False)


def gauge_unreadable(strike: Strike) -> Struck:
    power = strike.world.power
    power.broken = "the gauge does not answer"
    return strike.draws.spread(1, 60) * SECOND_NS, lambda: setattr(power, "broken", "")
