"""Merges the tracks in order of capture, and finds what is missing or wrong.

Everything odd becomes an `Anomaly` with a count. Nothing is dropped silently.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

from bwv_device.formats.media.h264 import is_picture, parameter_sets
from hal.ports import SECOND_NS, AccessUnit, Track

BY_PTS = itemgetter(1)
NEVER_NS = 1 << 62
FUTURE_TOLERANCE_NS = SECOND_NS // 2


class Anomaly(NamedTuple):
    """`reason` is "missing" for a hole in a track; else why `units` were not taken."""

    track: Track
    from_ns: int
    to_ns: int
    units: int
    reason: str


class Interleaved(NamedTuple):
    units: list[AccessUnit]
    anomalies: list[Anomaly]


class Interleaver:
    """Takes batches of both tracks, returns units in order. Waits for the slower track briefly."""

    def __init__(self, patience_ns: int) -> None:
        self._patience_ns = patience_ns
        self._waiting: list[AccessUnit] = []
        self._end_ns: list[int | None] = [None, None]
        self._last_ns: list[int] = [-1, -1]

    def feed(self, batch: Iterable[AccessUnit], now_ns: int | None = None) -> Interleaved:
        """Takes a batch; returns what is in order now. What claims to be captured after `now_ns` is
        refused: it would make everything behind it look late."""
        latest_ns = NEVER_NS if now_ns is None else now_ns + FUTURE_TOLERANCE_NS
        anomalies: list[Anomaly] = []
        last_ns, ends_ns, waiting = self._last_ns, self._end_ns, self._waiting
        for unit in batch:
            track, pts_ns, duration_ns = unit.track, unit.pts_ns, unit.duration_ns
            wrong = self._wrong(unit)
            if pts_ns > latest_ns:
                wrong = "future"
            elif pts_ns <= last_ns[track]:
                wrong = "duplicate" if pts_ns == last_ns[track] else "backward"
            if wrong:
                anomalies.append(Anomaly(track, pts_ns, pts_ns + duration_ns, 1, wrong))
                continue
            end_ns = ends_ns[track]
            if end_ns is not None and pts_ns - end_ns > duration_ns // 2:
                missing = round((pts_ns - end_ns) / duration_ns)
                anomalies.append(Anomaly(track, end_ns, pts_ns, missing, "missing"))
            last_ns[track] = pts_ns
            ends_ns[track] = pts_ns + duration_ns
            waiting.append(unit)
        waiting.sort(key=BY_PTS)
        return Interleaved(self._ready(), anomalies)

    def flush(self) -> list[AccessUnit]:
        """Returns everything that still waits."""
        ready, self._waiting = self._waiting, []
        return ready

    def restart(self) -> None:
        """Capture starts again: the next units do not continue the old ones."""
        self._waiting = []
        self._end_ns = [None, None]

    def _ready(self) -> list[AccessUnit]:
        ends = [end for end in self._end_ns if end is not None]
        if not ends:
            return []
        behind = max(ends) - min(ends) > self._patience_ns
        until = max(ends) if behind else min(ends)
        cut = bisect_left(self._waiting, until, key=BY_PTS)
        ready, self._waiting = self._waiting[:cut], self._waiting[cut:]
        return ready

    @staticmethod
    def _wrong(unit: AccessUnit) -> str:
        if unit.track is Track.AUDIO:
            return "" if unit.data else "empty"
        try:
            if not is_picture(unit.data):
                return "no picture"
            if unit.keyframe and parameter_sets(unit.data) is None:
                return "keyframe without parameter sets"
        except ValueError:
            return "malformed"
        return ""
