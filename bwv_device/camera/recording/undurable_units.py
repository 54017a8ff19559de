"""Units that were captured and are not durable yet. A failed segment is written again from them.

The memory is limited. If the disk falls behind, whole groups of pictures are dropped, never parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bwv_device.camera.recording.gop_queue import GopQueue
from bwv_device.camera.recording.segment import starts_segment
from hal.ports import AccessUnit


class Backlog:
    """`dropped` hears of every unit that has no room."""

    def __init__(self, limit_bytes: int, dropped: Callable[[AccessUnit], None]) -> None:
        self._limit_bytes, self._dropped = limit_bytes, dropped
        self._allowance_bytes = 0
        self._gops = GopQueue()
        self._overflowing = False

    @property
    def size(self) -> int:
        return self._gops.size

    def begin(self, units: Sequence[AccessUnit]) -> None:
        """A recording starts with what was in memory already: that may wait beyond the limit."""
        self._gops.drain()
        self._overflowing = False
        self._allowance_bytes = sum(len(unit.data) for unit in units)

    def take(self, units: Sequence[AccessUnit]) -> Sequence[AccessUnit]:
        """Keeps units until they are durable; returns those that had room."""
        kept = self._within_limit(units)
        self._gops.extend(kept)
        return kept

    def durable(self, video_until_ns: int) -> None:
        """Pictures up to here need not be written again. The newest group stays while it fits: a
        segment can start only at its keyframe."""
        self._gops.forget_before(video_until_ns)
        if self._gops.size > self._limit_bytes:
            self._gops.trim_newest(video_until_ns)

    def again(self) -> list[AccessUnit]:
        """Everything that is not durable, from a keyframe on; it stays here."""
        units = self._gops.drain()
        self._gops.extend(units)
        return units

    def newest_gop(self) -> Sequence[AccessUnit]:
        """The group of pictures that is still open, from its keyframe on."""
        return self._gops.newest()

    def clear(self) -> None:
        self._gops.drain()

    def _within_limit(self, units: Sequence[AccessUnit]) -> Sequence[AccessUnit]:
        limit = self._limit_bytes + self._allowance_bytes
        if self._gops.size <= limit and not self._overflowing:
            return units
        kept: list[AccessUnit] = []
        for unit in units:
            if starts_segment(unit):
                room = limit // 2 if self._overflowing else limit
                self._overflowing = self._gops.size > room
            elif self._gops.size > 2 * limit:  # a group without end
                self._overflowing = True
            if self._overflowing:
                self._dropped(unit)
            else:
                kept.append(unit)
        return kept
