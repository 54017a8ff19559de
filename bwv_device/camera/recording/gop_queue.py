"""A queue of whole groups of pictures: the pre-event buffer and the recorder keep units in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from operator import attrgetter

from hal.ports import AccessUnit, Track

BY_PTS = attrgetter("pts_ns")


class GopQueue:
    """Units grouped behind their keyframes. Units before the first keyframe are not kept."""

    def __init__(self) -> None:
        self._gops: deque[list[AccessUnit]] = deque()
        self._sizes: deque[int] = deque()
        self.size = 0

    def extend(self, units: Iterable[AccessUnit]) -> None:
        """Adds units in order of capture."""
        gops, sizes, video, added = self._gops, self._sizes, Track.VIDEO, 0
        current = gops[-1] if gops else None
        for unit in units:
            if unit.keyframe and unit.track is video:
                if sizes:
                    sizes[-1] += added
                self.size += added
                current, added = [], 0
                gops.append(current)
                sizes.append(0)
            if current is not None:
                current.append(unit)
                added += len(unit.data)
        if sizes:
            sizes[-1] += added
        self.size += added

    def drop_oldest(self) -> list[AccessUnit]:
        """Removes the oldest group and returns it."""
        self.size -= self._sizes.popleft()
        return self._gops.popleft()

    def drain(self) -> list[AccessUnit]:
        """Removes and returns every unit, from the oldest keyframe on, in order of capture."""
        units = sorted((unit for gop in self._gops for unit in gop), key=BY_PTS)
        self._gops.clear()
        self._sizes.clear()
        self.size = 0
        return units

    def newest(self) -> list[AccessUnit]:
        """The newest group, in order of capture."""
        return sorted(self._gops[-1], key=BY_PTS) if self._gops else []

    def start_ns(self, index: int = 0) -> int | None:
        """When the group at `index` starts; None where there is no such group."""
        return (
            self._gops[index][0].pts_ns if len(self._gops) > index and self._gops[index] else None
        )

    @property
    def end_ns(self) -> int | None:
        return self._gops[-1][-1].end_ns if self._gops and self._gops[-1] else None

    def forget_before(self, pts_ns: int) -> None:
        """Drops every group that ends before `pts_ns`."""
        while (following := self.start_ns(1)) is not None and following <= pts_ns:
            self.drop_oldest()

    def forget_ended(self, pts_ns: int) -> None:
        """Drops every group of which nothing is newer than `pts_ns`, even if none follows yet."""
        while self._gops and max(unit.end_ns for unit in self._gops[0]) <= pts_ns:
            self.drop_oldest()

    def trim_newest(self, pts_ns: int) -> None:
        """Drops units before `pts_ns` from the group that is still open, keyframe and all."""
        if self._gops:
            self._gops[-1] = [unit for unit in self._gops[-1] if unit.pts_ns >= pts_ns]
            size = sum(len(unit.data) for unit in self._gops[-1])
            self.size += size - self._sizes[-1]
            self._sizes[-1] = size

    def __len__(self) -> int:
        return len(self._gops)
