"""Computes when footage is hidden (day 24) and erased (day 31), or later where a rule or a late
docking says so.

Days are days of the agency's calendar. A recording is one day old when the day after its end
begins. The latest possible end counts.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

NANOSECOND = 1_000_000_000
QUARTER_NS = 900 * NANOSECOND
# Seven years.
WORDS_DAYS = 2557


class Due(NamedTuple):
    """Days on which footage is hidden and erased, and the rule in words."""

    hidden: datetime.date
    erased: datetime.date
    rule: str


class Retention(NamedTuple):
    """Rules of an agency. `categories` lengthen what `days` says; none shortens it. `words_days`:
    how long free text stays behind the closing of its matter."""

    zone: ZoneInfo
    days: int = 31
    hidden_days: int = 7
    late_days: int = 7
    categories: Mapping[str, int] = {}
    words_days: int = WORDS_DAYS

    def due(self, latest_ns: int, received_ns: int | None, category: str) -> Due:
        """For a recording that ended at `latest_ns` at the latest and was received whole at
        `received_ns`."""
        days = max(self.days, self.categories.get(category, 0))
        ended = self.day(latest_ns)
        erased = self.erased_on(latest_ns, received_ns, category)
        rule = f"{days} days after {ended}"
        if category in self.categories and self.categories[category] > self.days:
            rule += f" (category {category})"
        if received_ns is not None and erased > ended + datetime.timedelta(days):
            rule = f"{self.late_days} days after late docking on {self.day(received_ns)}"
        return Due(erased - datetime.timedelta(self.hidden_days), erased, rule)

    def is_late(self, latest_ns: int, received_ns: int) -> bool:
        """Docked so late that it would not have had its days for review."""
        due = self.day(latest_ns) + datetime.timedelta(self.days)
        return self.day(received_ns) + datetime.timedelta(self.late_days) > due

    def erased_on(self, latest_ns: int, received_ns: int | None, category: str) -> datetime.date:
        """`due` without its words."""
        days = max(self.days, self.categories.get(category, 0))
        erased = self.day(latest_ns) + datetime.timedelta(days)
        if received_ns is None:
            return erased
        return max(erased, self.day(received_ns) + datetime.timedelta(self.late_days))

    def day(self, utc_ns: int) -> datetime.date:
        return _day(self.zone, utc_ns // QUARTER_NS)

    def moment(self, utc_ns: int) -> datetime.datetime:
        """In the agency's time."""
        utc = datetime.datetime.fromtimestamp(utc_ns // NANOSECOND, datetime.UTC)
        return utc.astimezone(self.zone)

    def start_utc_s(self, day: datetime.date) -> int:
        """When a day of the agency begins. Where the clock jumps over midnight, the first
        moment."""
        midnight = datetime.datetime.combine(day, datetime.time(), self.zone)
        return int(midnight.timestamp())


@lru_cache(maxsize=8192)
def _day(zone: ZoneInfo, quarter: int) -> datetime.date:
    """Of a quarter of an hour: days begin, and zones change, between two of them."""
    utc = datetime.datetime.fromtimestamp(quarter * (QUARTER_NS // NANOSECOND), datetime.UTC)
    return utc.astimezone(zone).date()


# Where an agency has put no rules in force: nothing goes earlier.
BUILT_IN = Retention(ZoneInfo("Europe/London"))
