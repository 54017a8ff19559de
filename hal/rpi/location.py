"""`hal.ports.Location` from gpsd, over its own protocol (gpsdclient)."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from hal.ports import SECOND_NS, Clock, Fix

# A place that was true some time ago is none.
STALE_NS = 10 * SECOND_NS
AGAIN_S = 5.0
# What a receiver that names no error may be off by (GPS SPS performance standard, 95 %).
UNKNOWN_ERROR_M = 50
LARGEST_ERROR_M = 1_000_000


class _Known(NamedTuple):
    fix: Fix
    at_ns: int


class NoLocation:
    def fix(self) -> Fix | None:
        return None


class GpsdLocation:
    """Listens from a thread of its own; a daemon that is not there is asked again."""

    def __init__(self, host: str, port: int, clock: Clock, again_s: float = AGAIN_S) -> None:
        self._host, self._port, self._clock, self._again_s = host, port, clock, again_s
        self._known: _Known | None = None
        threading.Thread(target=self._listen, name="gpsd", daemon=True).start()

    def fix(self) -> Fix | None:
        known = self._known
        if known is None or self._clock.monotonic_ns() - known.at_ns > STALE_NS:
            return None
        return known.fix

    def _listen(self) -> None:
        from gpsdclient.client import GPSDClient  # noqa: PLC0415 - an extra

        while True:
            try:
                with GPSDClient(self._host, self._port, timeout=60) as client:
                    for report in client.dict_stream(convert_datetime=False, filter=["TPV"]):
                        fix = parse_fix(report)
                        self._known = _Known(fix, self._clock.monotonic_ns()) if fix else None
            except (OSError, ValueError, TypeError, AttributeError, OverflowError):
                self._known = None
            threading.Event().wait(self._again_s)


def parse_fix(report: Mapping[str, Any]) -> Fix | None:
    """A TPV report (gpsd_json(5)) with a 2D or 3D fix; None for anything else."""
    latitude, longitude = report.get("lat"), report.get("lon")
    if report.get("mode") not in (2, 3) or not _degrees(latitude, 90):
        return None
    if not _degrees(longitude, 180):
        return None
    errors = [report.get(name) for name in ("eph", "epx", "epy")]
    known = [error for error in errors if isinstance(error, (int, float)) and error >= 0]
    # gpsd says Infinity where it can't tell.
    error_m = math.ceil(min(max(known), LARGEST_ERROR_M)) if known else UNKNOWN_ERROR_M
    return Fix(round(latitude * 1e7), round(longitude * 1e7), error_m)  # type: ignore[operator]


def _degrees(value: Any, limit: int) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and abs(value) <= limit
