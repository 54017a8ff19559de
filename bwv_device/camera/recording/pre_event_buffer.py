"""The pre-event buffer: whole groups of pictures in RAM, limited in duration and in bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bwv_device.camera.recording.gop_queue import GopQueue
from hal.ports import AccessUnit, Track


class PreEvent(NamedTuple):
    """What the buffer held at the press. `shortfall` says why it is less than asked, or is ""."""

    units: list[AccessUnit]
    requested_ns: int
    achieved_ns: int
    shortfall: str


class PreEventBuffer:
    """Holds at least `duration_ns` once the camera has run that long, if the bytes allow it."""

    def __init__(self, duration_ns: int, limit_bytes: int, *, audio: bool) -> None:
        self._duration_ns, self._limit_bytes, self._audio = duration_ns, limit_bytes, audio
        self._gops = GopQueue()
        self._started_ns: int | None = None
        self._squeezed_ns: int | None = None
        self._broken_ns: int | None = None

    @property
    def size(self) -> int:
        return self._gops.size

    @property
    def held_ns(self) -> int:
        """From the oldest picture to the newest."""
        start_ns, end_ns = self._gops.start_ns(), self._gops.end_ns
        return 0 if start_ns is None or end_ns is None else end_ns - start_ns

    def extend(self, units: Sequence[AccessUnit]) -> None:
        """Adds units. Sound is dropped before it gets in where policy says so."""
        if not units or not self._duration_ns:
            return
        if self._started_ns is None:
            self._started_ns = units[0].pts_ns
        kept = units if self._audio else [u for u in units if u.track is Track.VIDEO]
        self._gops.extend(kept)
        # By pictures alone: a sound card's clock may run ahead.
        for newest in (u for u in reversed(kept) if u.track is Track.VIDEO):
            self._gops.forget_before(newest.end_ns - self._duration_ns)
            break
        while self._gops.size > self._limit_bytes:
            self._squeezed_ns = self._gops.drop_oldest()[-1].end_ns

    def interrupted(self, at_ns: int) -> None:
        """The camera stopped delivering; later units start a new history."""
        self._broken_ns = at_ns

    def drain(self, now_ns: int) -> PreEvent:
        """Everything held, at the press. The buffer is empty afterwards. What a camera that stalled
        left in it for too long is forgotten first."""
        self._gops.forget_before(now_ns - self._duration_ns)
        self._gops.forget_ended(now_ns - self._duration_ns)
        start_ns = self._gops.start_ns()
        achieved = max(0, now_ns - start_ns) if start_ns is not None else 0
        shortfall = "" if achieved >= self._duration_ns else self._why(now_ns)
        return PreEvent(self._gops.drain(), self._duration_ns, achieved, shortfall)

    def clear(self) -> None:
        """Forgets everything, as at the dock."""
        self._gops.drain()
        self._started_ns = self._squeezed_ns = self._broken_ns = None

    def _why(self, now_ns: int) -> str:
        horizon_ns = now_ns - self._duration_ns
        if self._squeezed_ns is not None and self._squeezed_ns > horizon_ns:
            return "memory limit"
        if self._broken_ns is not None and self._broken_ns > horizon_ns:
            return "camera interrupted"
        if self._started_ns is None:
            return "no picture yet"
        return "camera started or last recording ended shortly before"
