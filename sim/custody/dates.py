"""The agency's calendar as the judge counts it, from product.md and the statutes alone.

Nothing of `bwv_device` is used here: two mistakes of the same kind must not agree.
"""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import holidays
import numpy as np

LONDON = ZoneInfo("Europe/London")
SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS

KEPT_DAYS, HIDDEN_BEFORE_DAYS, LATE_DAYS, HOLD_DAYS = 31, 7, 7, 31
FOI_WORKING_DAYS = 20


def day_of(utc_ns: int) -> datetime.date:
    """The day of the agency's calendar."""
    utc = datetime.datetime.fromtimestamp(utc_ns // SECOND_NS, datetime.UTC)
    return utc.astimezone(LONDON).date()


def start_ns(day: datetime.date, hour: int = 0) -> int:
    """When an hour of a day of the agency begins."""
    return int(datetime.datetime.combine(day, datetime.time(hour), LONDON).timestamp()) * SECOND_NS


def days(count: int) -> datetime.timedelta:
    return datetime.timedelta(count)


def answer_due(kind: str, received: datetime.date) -> datetime.date:
    """Subject access: the corresponding day of the next month or its last, moved to a working day
    of England. Freedom of information: the twentieth day that is one in all of the United
    Kingdom."""
    if kind == "freedom-of-information":
        return _business(received, FOI_WORKING_DAYS, "backward", ("ENG", "WLS", "SCT", "NIR"))
    first = (received.replace(day=1) + days(32)).replace(day=1)
    last = (first + days(31)).replace(day=1) - days(1)
    return _business(min(first + days(received.day - 1), last), 0, "forward", ("ENG",))


def _business(day: datetime.date, offset: int, roll: str, parts: tuple[str, ...]) -> datetime.date:
    years = (day.year, day.year + 1)
    free = [d for p in parts for d in holidays.country_holidays("GB", subdiv=p, years=years)]
    moved = np.busday_offset(np.datetime64(day), offset, roll=roll, holidays=free)  # type: ignore[call-overload]
    return datetime.date.fromisoformat(str(moved))
