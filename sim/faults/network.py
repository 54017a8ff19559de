"""Faults of the broker, and an attacker who owns it."""

from __future__ import annotations

from collections.abc import Callable

from hal.ports import SECOND_NS
from hal.simulated.broker import SimulatedBroker
from sim.faults.strike import Strike, Struck, over


def broker(what: Callable[[SimulatedBroker, bool], None]) -> Callable[[Strike], Struck]:
    """On for a while, then off."""

    def strike(on: Strike) -> Struck:
        ill = on.world.broker
        what(ill, True)
        return on.draws.spread(5, 400) * SECOND_NS, lambda: what(ill, False)

    return strike


def refuses(ill: SimulatedBroker, on: bool) -> None:
    ill.refuses = "bad credentials" if on else ""
    ill.cut()


def deaf(ill: SimulatedBroker, on: bool) -> None:
    ill.deaf = on
    ill.cut()


def full(ill: SimulatedBroker, on: bool) -> None:
    ill.full = on


def slow(ill: SimulatedBroker, on: bool) -> None:
    ill.latency_ns = (20 * SECOND_NS) if on else 1_000_000


def loses_acknowledgements(ill: SimulatedBroker, on: bool) -> None:
    ill.loses_acks = on
    ill.cut()  # within one connection a broker that acknowledges does so in order


def doubles(ill: SimulatedBroker, on: bool) -> None:
    ill.doubles = on


def flaps(strike: Strike) -> Struck:
    """The line breaks some times, seconds apart."""
    loop = strike.world.loop
    for number in range(strike.draws.between(2, 12)):
        loop.call_at(loop.now_ns() + number * 2 * SECOND_NS, strike.world.broker.cut)
    return 0, over


def taken_over(strike: Strike) -> Struck:
    strike.world.broker.take_over()
    return 0, over


def commands_forged(strike: Strike) -> Struck:
    strike.world.attack(strike.draws)
    return 0, over
