"""Leaves out sound that was captured while the officer had muted, by time of capture."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from hal.ports import AccessUnit, Track

# Units come at most some batches late, so older intervals are not needed.
REMEMBERED = 4


class MuteIntervals:
    """`switch` starts and ends an interval; `without` removes sound captured inside one."""

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._over: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)

    def switch(self, on: bool, at_ns: int) -> None:
        if on and self._since_ns is None:
            self._since_ns = at_ns
        elif not on and self._since_ns is not None:
            self._over.append((self._since_ns, at_ns))
            self._since_ns = None

    def without(self, batch: Sequence[AccessUnit]) -> Sequence[AccessUnit]:
        if self._since_ns is None and not self._over:
            return batch
        return [u for u in batch if u.track is Track.VIDEO or not self._muted(u)]

    def _muted(self, unit: AccessUnit) -> bool:
        """Whether any part of the unit lies in an interval."""
        if self._since_ns is not None and unit.end_ns > self._since_ns:
            return True
        return any(unit.end_ns > start and unit.pts_ns < end for start, end in self._over)
