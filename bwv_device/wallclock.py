"""Watches the wall clock against the monotonic one. A step is a ledger line, never a rename."""

from __future__ import annotations

from collections.abc import Callable

from hal.ports import SECOND_NS, Clock

# Beyond what a crystal drifts between two looks (10 s at 200 ppm is 2 ms), with room.
STEP_NS = SECOND_NS // 2


class WallClockWatch:
    """`look` now and then; steps and changes of source become `time` lines."""

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
