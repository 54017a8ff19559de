"""The times of samples, against a card whose truth is known."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import pytest

from hal.ports import SECOND_NS
from hal.rpi.capture.sample_clock import LostSoundError, SampleClock

RATE_HZ = 48_000
BLOCK = 960
MS = 1_000_000


class Callback(NamedTuple):
    at_ns: int
    overflow: bool
    lost: int  # samples that the card threw away before this block


class Card:
    """A crystal that is `ppm` too fast, and a machine whose callbacks are late by chance."""

    def __init__(self, ppm: float, *, late_ms: float = 3, seed: int = 1) -> None:
        self._rate_hz = RATE_HZ * (1 + ppm / 1e6)
        self._chance, self._late_ms = random.Random(seed), late_ms
        self.start_ns = 7 * SECOND_NS
        self.captured = 0

    def callbacks(self, seconds: float, losses: dict[int, int] | None = None,
                  *, tells: bool = True) -> Iterator[Callback]:  # fmt: skip
        """`losses`: so many samples before the block of that number."""
        for block in range(int(seconds * RATE_HZ / BLOCK)):
            lost = (losses or {}).get(block, 0)
            self.captured += lost + BLOCK
            late_ns = self._chance.expovariate(1 / self._late_ms) * MS
            if self._chance.random() < 0.002:
                late_ns += 80 * MS  # somebody else had the processor
            yield Callback(self.time_ns(self.captured) + int(late_ns), bool(lost) and tells, lost)

    def time_ns(self, sample: int) -> int:
        return self.start_ns + round(sample / self._rate_hz * SECOND_NS)


def errors_ms(card: Card, clock: SampleClock, callbacks: Iterator[Callback]) -> list[float]:
    """Told time minus truth, at the end of each block."""
    found = []
    for callback in callbacks:
        clock.feed(callback.at_ns, BLOCK, overflow=callback.overflow)
        found.append((clock.time_ns(clock.samples) - card.time_ns(card.captured)) / MS)
    return found


@pytest.mark.parametrize(("ppm", "hours"), [(-200, 0.5), (0, 0.5), (200, 2)])
def test_hours_stay_within_ten_milliseconds(ppm: int, hours: float) -> None:
    card, clock = Card(ppm), SampleClock(RATE_HZ)
    found = errors_ms(card, clock, card.callbacks(hours * 3600))
    assert max(map(abs, found[500:])) < 10
    assert abs(clock.ppm - ppm) < 5


def test_without_the_fit_it_would_be_seconds() -> None:
    """The control: what counting samples alone comes to."""
    card = Card(200)
    for _ in card.callbacks(2 * 3600):
        pass
    nominal_ns = card.start_ns + card.captured * SECOND_NS // RATE_HZ
    assert abs(nominal_ns - card.time_ns(card.captured)) > SECOND_NS


def test_told_times_never_jump() -> None:
    card, clock = Card(150, late_ms=8), SampleClock(RATE_HZ)
    told, at = [], 0
    for callback in card.callbacks(300):
        clock.feed(callback.at_ns, BLOCK)
        while at + 1024 <= clock.samples:
            told.append(clock.time_ns(at))
            at += 1024
    nominal_ns = 1024 * SECOND_NS // RATE_HZ
    assert all(abs(b - a - nominal_ns) <= nominal_ns * 0.0052 for a, b in pairwise(told))


@pytest.mark.parametrize("tells", [True, False])
def test_lost_samples_become_as_much_silence(tells: bool) -> None:
    """Whether the card says so, or it only shows."""
    card, clock, silence = Card(80), SampleClock(RATE_HZ), 0
    lost = {3000: 9600, 6000: 48_000}
    for callback in card.callbacks(240, lost, tells=tells):
        silence += clock.feed(callback.at_ns, BLOCK, overflow=callback.overflow)
    assert silence == pytest.approx(sum(lost.values()), abs=0.012 * RATE_HZ)
    assert abs(clock.time_ns(clock.samples) - card.time_ns(card.captured)) < 15 * MS


def test_a_machine_that_is_busy_loses_nothing() -> None:
    card, clock = Card(50, late_ms=12, seed=3), SampleClock(RATE_HZ)
    assert sum(clock.feed(callback.at_ns, BLOCK) for callback in card.callbacks(600)) == 0


def test_more_than_silence_should_stand_for_is_refused() -> None:
    clock = SampleClock(RATE_HZ)
    clock.feed(SECOND_NS, BLOCK)
    with pytest.raises(LostSoundError):
        clock.feed(30 * SECOND_NS, BLOCK, overflow=True)
