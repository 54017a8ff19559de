"""Readings of the wall clock carry an error that contains the truth, if one word of it was true."""

from __future__ import annotations

import pytest

from bwv_device.camera.health.wall_clock import STEP_NS, WallClock, WallClockWatch
from hal.ports import SECOND_NS, UtcReading
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


@pytest.mark.parametrize(("own_ms", "told_ms"), [(20, 1000), (1000, 20)])
def test_the_better_of_the_clock_and_the_store_is_read(own_ms: int, told_ms: int) -> None:
    _, clock, honest = clocks()
    clock.set(3_000_000, own_ms * 1_000_000, "ntp")
    honest.correct(UtcReading(clock.truth_utc_ns(), told_ms * 1_000_000, "store"))
    reading = honest.utc()
    assert reading.error_ns == min(own_ms, told_ms) * 1_000_000
    assert reading.source == ("store" if told_ms < own_ms else "ntp")


def test_a_worse_word_of_the_store_does_not_replace_a_better_one() -> None:
    _, clock, honest = clocks()
    clock.unset()
    for error_ms in (50, 500):
        honest.correct(UtcReading(clock.truth_utc_ns(), error_ms * 1_000_000, "store"))
    assert honest.utc().error_ns == 50_000_000


def test_what_was_stepped_counts_no_more_once_a_better_source_speaks() -> None:
    loop, clock, honest = clocks()
    clock.set(0, SECOND_NS, "rtc")
    honest.utc()
    clock.step(600 * SECOND_NS)
    assert honest.utc().error_ns >= 600 * SECOND_NS
    loop.run_until(SECOND_NS)
    clock.set(0, 20_000_000, "ntp")
    assert honest.utc().error_ns == 20_000_000
    loop.run_until(2 * SECOND_NS)
    assert honest.utc().error_ns == 20_000_000


def test_a_clock_that_is_set_at_last_is_believed_at_once() -> None:
    _, clock, honest = clocks()
    clock.unset()
    honest.utc()
    clock.set(0, SECOND_NS, "rtc")
    assert honest.utc().error_ns == SECOND_NS


class Notes:
    def __init__(self) -> None:
        self.lines: list[tuple[str, int]] = []

    def __call__(self, kind: str, *, time: dict[str, object], stepped_ns: int) -> None:
        assert kind == "time"
        self.lines.append((str(time["source"]), stepped_ns))


def test_steps_and_other_sources_become_lines_and_small_steps_do_not() -> None:
    _, clock, _ = clocks()
    clock.set(0, 20_000_000, "ntp")
    notes = Notes()
    watch = WallClockWatch(clock, notes)
    watch.look()
    watch.look()
    clock.step(STEP_NS)
    watch.look()
    assert notes.lines == []
    clock.step(STEP_NS + 1)
    watch.look()
    clock.step(-STEP_NS - 1)
    watch.look()
    assert notes.lines == [("ntp", STEP_NS + 1), ("ntp", -STEP_NS - 1)]
    clock.set(clock.utc().utc_ns - clock.truth_utc_ns(), SECOND_NS, "rtc")
    watch.look()
    assert notes.lines[2] == ("rtc", 0)
