"""When was sample n captured? A line through the callbacks' times, against CLOCK_MONOTONIC.

A sound card's crystal is off by up to some hundred parts in a million: half a second in forty
minutes. A callback comes when its samples are there, or later; never earlier. So the earliest ones
of each second tell the truth, and a line through those of the last minutes gives the card's true
rate. No sample is changed: only its time is told as it was.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from hal.ports import SECOND_NS

WINDOW_NS = SECOND_NS
# Minima that the line goes through, and how many it takes before a slope is believed.
WINDOWS, ENOUGH = 120, 20
# No crystal is worse; what looks so is a loaded machine.
LIMIT_PPM = 1000
# How fast a stamp may move towards the line: 5 ms a second.
SLEW_PPM = 5000
# Samples that are behind the line by more, for so long, are not late but lost.
LOST_NS, LOST_AFTER_NS = 30_000_000, SECOND_NS // 2
# A card that says that it lost something is believed from here on.
TOLD_NS = 5_000_000
# Longer losses begin a new recording of sound: the process that holds the card starts again.
LONGEST_NS = 10 * SECOND_NS


class Minimum(NamedTuple):
    """The earliest callback of a window: time minus nominal time, at a count of samples."""

    samples: int
    offset_ns: int


class SampleClock:
    """`feed` each callback, `time_ns` of any sample after the first callback."""

    def __init__(self, rate_hz: int, latency_ns: int = 0) -> None:
        """`latency_ns`: how long before its callback the last sample was captured at best; a
        constant of the hardware."""
        self._rate_hz, self._latency_ns = rate_hz, latency_ns
        self._samples = 0
        self._minima: deque[Minimum] = deque(maxlen=WINDOWS)
        self._window: Minimum | None = None
        self._window_until_ns = 0
        self._behind_since_ns: int | None = None
        self._behind_ns = 0
        self._offset_ns = 0.0
        self._slope = 0.0  # nanoseconds a sample
        self._told: tuple[int, int] | None = None

    @property
    def ppm(self) -> float:
        """How much faster than nominal the card's crystal runs."""
        return -self._slope * self._rate_hz / SECOND_NS * 1e6

    @property
    def samples(self) -> int:
        return self._samples

    def feed(self, now_ns: int, count: int, *, overflow: bool = False) -> int:
        """A callback at `now_ns` brought `count` samples. Returns how many were lost before them:
        so many samples of silence belong there, and are counted from now on. `LostSoundError` where
        that is not sensible any more."""
        offset_ns = now_ns - self._latency_ns - self._nominal_ns(self._samples + count)
        missing = self._missing(now_ns, offset_ns, overflow=overflow)
        if missing * SECOND_NS > LONGEST_NS * self._rate_hz:
            raise LostSoundError(f"{missing / self._rate_hz:.1f} s of sound are lost")
        self._samples += missing + count
        self._note(now_ns, offset_ns - self._nominal_ns(missing))
        return missing

    def time_ns(self, sample: int) -> int:
        """When a sample was captured. Ascending in the order of asking, and smooth."""
        due_ns = self._nominal_ns(sample) + self._line_ns(sample)
        if self._told is None:
            told_ns = round(due_ns)
        else:
            before, before_ns = self._told
            passed_ns = self._nominal_ns(sample - before)
            limit_ns = abs(passed_ns) * SLEW_PPM / 1e6
            expected_ns = before_ns + passed_ns
            told_ns = round(expected_ns + max(-limit_ns, min(limit_ns, due_ns - expected_ns)))
        self._told = (sample, told_ns)
        return told_ns

    def _missing(self, now_ns: int, offset_ns: int, *, overflow: bool) -> int:
        if not self._minima and self._window is None:
            return 0
        behind_ns = round(offset_ns - self._line_ns(self._samples))
        if overflow and behind_ns > TOLD_NS:
            self._behind_since_ns = None
            return behind_ns * self._rate_hz // SECOND_NS
        if behind_ns <= LOST_NS:
            self._behind_since_ns = None
            return 0
        if self._behind_since_ns is None:
            self._behind_since_ns, self._behind_ns = now_ns, behind_ns
        self._behind_ns = min(self._behind_ns, behind_ns)
        if now_ns - self._behind_since_ns < LOST_AFTER_NS:
            return 0
        self._behind_since_ns = None
        return self._behind_ns * self._rate_hz // SECOND_NS

    def _note(self, now_ns: int, offset_ns: int) -> None:
        if self._window is None or now_ns >= self._window_until_ns:
            if self._window is not None:
                self._minima.append(self._window)
            self._window = Minimum(self._samples, offset_ns)
            self._window_until_ns = now_ns + WINDOW_NS
        elif offset_ns < self._window.offset_ns:
            self._window = Minimum(self._samples, offset_ns)
        else:
            return
        self._fit()

    def _fit(self) -> None:
        """Least squares through the minima; only their least, as long as they are few."""
        assert self._window is not None
        minima = [*self._minima, self._window]
        origin = minima[0].samples
        xs = [m.samples - origin for m in minima]
        ys = [m.offset_ns - minima[0].offset_ns for m in minima]
        if len(minima) < ENOUGH:
            self._slope, self._offset_ns = 0.0, float(minima[0].offset_ns + min(ys))
            return
        count, sum_x, sum_y = len(xs), sum(xs), sum(ys)
        sum_xx = sum(x * x for x in xs)
        sum_xy = sum(x * y for x, y in zip(xs, ys, strict=True))
        slope = (count * sum_xy - sum_x * sum_y) / (count * sum_xx - sum_x * sum_x)
        limit = LIMIT_PPM / 1e6 * SECOND_NS / self._rate_hz
        self._slope = max(-limit, min(limit, slope))
        mean_ns = sum_y / count - self._slope * sum_x / count
        self._offset_ns = minima[0].offset_ns + mean_ns - self._slope * origin

    def _line_ns(self, sample: int) -> float:
        return self._offset_ns + self._slope * sample

    def _nominal_ns(self, samples: int) -> int:
        return samples * SECOND_NS // self._rate_hz


class LostSoundError(Exception):
    """More is lost than silence should stand for."""
