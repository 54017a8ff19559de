"""Readings of the wall clock carry an error that contains the truth, if one word of it was true."""

from __future__ import annotations

import pytest

from bwv_device.camera.health.wall_clock import WallClock
from hal.ports import SECOND_NS
from hal.simulated.clock import Oscillator, SimulatedClock
from sim.world.virtual_loop import VirtualLoop

YEAR_NS = 365 * 86_400 * SECOND_NS


def clocks() -> tuple[VirtualLoop, SimulatedClock, WallClock]:
    loop = VirtualLoop()
    clock = SimulatedClock(loop, 10**18)
    return loop, clock, WallClock(clock)


def contains_truth(clock: SimulatedClock, honest: WallClock) -> bool:
    reading = honest.utc()
    return abs(reading.utc_ns - clock.truth_utc_ns()) <= reading.error_ns


@pytest.mark.parametrize("years", [10, -10, 56])
def test_a_step_of_years_is_inside_the_error(years: int) -> None:
    _, clock, honest = clocks()
    clock.set(5_000_000, 20_000_000, "ntp")
    assert honest.utc().error_ns == 20_000_000
    clock.step(years * YEAR_NS)
    assert contains_truth(clock, honest)
    clock.step(-years * YEAR_NS)
    assert honest.utc().error_ns == 20_000_000


def test_a_clock_that_nobody_set_knows_that_it_knows_nothing() -> None:
    loop, clock, honest = clocks()
    clock.unset()
    assert honest.utc().utc_ns == 0
    assert contains_truth(clock, honest)
    loop.run_until(3600 * SECOND_NS)
    clock.step(30 * YEAR_NS)
    assert contains_truth(clock, honest)


def test_a_better_source_is_believed() -> None:
    _, clock, honest = clocks()
    clock.set(40 * SECOND_NS, SECOND_NS, "rtc")  # it is wrong, and does not know it
    assert not contains_truth(clock, honest)
    clock.set(0, 20_000_000, "ntp")
    assert honest.utc().error_ns == 20_000_000


@pytest.mark.parametrize("rate_ppm", [-200, 200])
def test_drift_stays_inside_the_error(rate_ppm: int) -> None:
    loop, clock, honest = clocks()
    clock.oscillator = Oscillator(rate_ppm, 30_000_000, 1800 * SECOND_NS)
    clock.set(-15_000_000, 50_000_000, "ntp")
    for _ in range(200):
        loop.run_until(loop.now_ns() + 97 * SECOND_NS)
        assert contains_truth(clock, honest)


def test_the_oscillator_swings_to_both_sides_and_comes_back() -> None:
    oscillator = Oscillator(0, 1000, 400)
    assert [oscillator.error_ns(at) for at in (0, 50, 100, 200, 300, 400)] == [
        0, 500, 1000, 0, -1000, 0,
    ]  # fmt: skip


@pytest.mark.parametrize("by_ms", [-15_000, -800, 600, 10_000])
def test_a_step_that_would_hide_in_eight_hours_of_drift_is_inside_the_error(by_ms: int) -> None:
    loop, clock, honest = clocks()
    clock.oscillator = Oscillator(150, 30_000_000, 1800 * SECOND_NS)
    clock.set(0, 100_000_000, "ntp")
    for _ in range(8 * 360):
        loop.run_until(loop.now_ns() + 10 * SECOND_NS)
        honest.utc()
    before_ns = honest.utc().error_ns
    clock.step(by_ms * 1_000_000)
    assert contains_truth(clock, honest)
    assert honest.utc().error_ns >= before_ns + abs(by_ms) * 1_000_000
    loop.run_until(loop.now_ns() + 10 * SECOND_NS)
    clock.step(-by_ms * 1_000_000)
    assert contains_truth(clock, honest)
    assert honest.utc().error_ns <= before_ns + 10_000_000, "put right, it is as good as before"


def test_a_clock_that_is_set_anew_within_its_claim_is_believed_anew() -> None:
    loop, clock, honest = clocks()
    clock.oscillator = Oscillator(150, 0, 1800 * SECOND_NS)
    clock.set(0, 100_000_000, "ntp")
    honest.utc()
    clock.step(2 * SECOND_NS)
    assert honest.utc().error_ns > 2 * SECOND_NS
    loop.run_until(loop.now_ns() + 600 * SECOND_NS)
    honest.utc()
    clock.set(5_000_000, 20_000_000, "ntp")
    assert honest.utc().error_ns == 20_000_000
