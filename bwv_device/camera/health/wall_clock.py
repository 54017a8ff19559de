"""The wall clock, compared with the monotonic clock.

A step is written to the ledger; file names never change. Every step that is seen widens the error,
and so does a reading that contradicts an earlier one: it contains both then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hal.ports import SECOND_NS, Clock, UtcReading

# Beyond what a crystal drifts between two looks (10 s at 200 ppm is 2 ms), with room.
STEP_NS = SECOND_NS // 2
# How far two readings of clocks, one after the other, may be off by the way they are read.
READ_NS = 2_000_000
# How fast an honest clock may run away between two readings (adjtimex(2) assumes as much).
DRIFT_PPM = 500
# Whom to believe more.
RANK = {"none": 0, "rtc": 1, "ntp": 2, "store": 3}


class _Word(NamedTuple):
    """A reading of a source: wall clock minus monotonic time, its error, and when."""

    rank: int
    offset_ns: int
    error_ns: int
    at_ns: int


class WallClock:
    """`hal.ports.Clock` over another one whose readings need not agree with each other.

    The first word of the best source counts; a later one of the same source that it can't be
    reconciled with widens the error until both are inside. Between two readings of a clock that
    claims no better than before, more than a crystal's drift is a step, and whether before or
    behind it the clock was right nobody knows: the error grows by the sum of the steps, until the
    clock is set anew to within what it claimed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._word: _Word | None = None
        self._told: _Word | None = None
        self._last: _Word | None = None  # of the clock itself
        self._stepped_ns = 0

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()

    def correct(self, told: UtcReading) -> None:
        """Takes the time from the evidence store."""
        now_ns = self._clock.monotonic_ns()
        word = _Word(RANK[told.source], told.utc_ns - now_ns, told.error_ns, now_ns)
        if self._told is None or told.error_ns < self._reading_told(now_ns, self._told).error_ns:
            self._told = self._word = word

    def utc(self) -> UtcReading:
        """The better of the clock's reading and the store's."""
        reading = self._from_clock()
        if self._told is None:
            return reading
        told = self._reading_told(self._clock.monotonic_ns(), self._told)
        return told if told.error_ns < reading.error_ns else reading

    @staticmethod
    def _reading_told(now_ns: int, word: _Word) -> UtcReading:
        drifted_ns = (now_ns - word.at_ns) * DRIFT_PPM // 1_000_000
        return UtcReading(word.offset_ns + now_ns, word.error_ns + drifted_ns, "store")

    def _from_clock(self) -> UtcReading:
        reading, now_ns = self._clock.utc(), self._clock.monotonic_ns()
        rank, offset_ns = RANK.get(reading.source, 0), reading.utc_ns - now_ns
        self._add_step(_Word(rank, offset_ns, reading.error_ns, now_ns))
        reading = reading._replace(error_ns=reading.error_ns + abs(self._stepped_ns))
        word = self._word
        if word is None or rank > word.rank:
            self._word = _Word(rank, offset_ns, reading.error_ns, now_ns)
            return reading
        apart_ns = abs(offset_ns - word.offset_ns)
        allowed_ns = word.error_ns + (now_ns - word.at_ns) * DRIFT_PPM // 1_000_000
        if rank == 0 or apart_ns <= allowed_ns + reading.error_ns:
            return reading
        return reading._replace(error_ns=max(reading.error_ns, apart_ns + allowed_ns))

    def _add_step(self, new: _Word) -> None:
        last, self._last = self._last, new
        if last is None or last.rank == 0 or new.rank > last.rank:
            self._stepped_ns = 0
            return
        by_ns = new.offset_ns - last.offset_ns
        drift_ns = (new.at_ns - last.at_ns) * DRIFT_PPM // 1_000_000 + READ_NS
        claimed_ns = last.error_ns + abs(self._stepped_ns) + new.error_ns + drift_ns
        if new.error_ns < last.error_ns and abs(by_ns) <= claimed_ns:
            self._stepped_ns = 0
        elif abs(by_ns) > drift_ns:
            self._stepped_ns += by_ns


class WallClockWatch:
    """Call `look` at intervals; steps and changes of source become `time` lines."""

    def __init__(self, clock: Clock, note: Callable[..., None]) -> None:
        self._clock, self._note = clock, note
        self._offset_ns: int | None = None
        self._source = ""

    def look(self) -> None:
        reading = self._clock.utc()
        offset_ns = reading.utc_ns - self._clock.monotonic_ns()
        stepped_ns = 0 if self._offset_ns is None else offset_ns - self._offset_ns
        if abs(stepped_ns) > STEP_NS or (self._source and reading.source != self._source):
            self._note("time", time=reading._asdict(), stepped_ns=stepped_ns)
        self._offset_ns, self._source = offset_ns, reading.source
