"""Gaps in the footage. Neighbouring gaps are merged, so that many gaps become few ledger lines."""

from __future__ import annotations

from collections.abc import Callable

from bwv_device.camera.recording.interleave import Anomaly
from hal.ports import SECOND_NS, Track

MERGE_WITHIN_NS = SECOND_NS
LONGEST_OPEN_NS = 10 * SECOND_NS


class GapBook:
    """Collects anomalies; hands each merged one to `write` when it is over."""

    def __init__(self, write: Callable[[Anomaly], None]) -> None:
        self._write = write
        self._open: dict[tuple[Track, str], Anomaly] = {}
        self._since_ns: dict[tuple[Track, str], int] = {}

    def add(self, gap: Anomaly) -> None:
        key = (gap.track, gap.reason)
        known = self._open.get(key)
        if known is None:
            self._open[key] = gap
        elif gap.from_ns - known.to_ns <= MERGE_WITHIN_NS:
            self._open[key] = known._replace(
                from_ns=min(known.from_ns, gap.from_ns),
                to_ns=max(known.to_ns, gap.to_ns),
                units=known.units + gap.units,
            )
        else:
            self._write(known)
            self._open[key] = gap

    def settle(self, now_ns: int) -> None:
        """Writes gaps that are over, and gaps that last long."""
        for key, gap in list(self._open.items()):
            since_ns = self._since_ns.setdefault(key, now_ns)
            if now_ns - gap.to_ns > MERGE_WITHIN_NS or now_ns - since_ns > LONGEST_OPEN_NS:
                del self._since_ns[key]
                self._write(self._open.pop(key))

    def flush(self) -> None:
        for gap in self._open.values():
            self._write(gap)
        self._open.clear()
        self._since_ns.clear()
