"""When answers are due, walked day by day over bank holidays computed from the proclamations' own
rules. Nothing of `bwv_device` and no library of holidays is used: two mistakes must not agree.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from functools import cache

DAY = datetime.timedelta(1)
MONDAY, SATURDAY, SUNDAY = 0, 5, 6
Steps = Sequence[tuple[str, str, datetime.date]]


def easter(year: int) -> datetime.date:
    """Sunday, by the anonymous Gregorian algorithm (Meeus, Astronomical Algorithms, chapter 8)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e, g = b // 4, b % 4, (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return datetime.date(year, month, day + 1)


def _monday(year: int, month: int, *, last: bool) -> datetime.date:
    days = [datetime.date(year, month, n) for n in range(1, 32) if n <= 30 or month in (5, 8)]
    mondays = [day for day in days if day.weekday() == MONDAY]
    return mondays[-1 if last else 0]


def _observed(days: Sequence[datetime.date]) -> set[datetime.date]:
    """With the substitutes of those that fall on a weekend: the next weekday that is free."""
    taken = {day for day in days if day.weekday() < SATURDAY}
    for day in days:
        moved = day
        while day.weekday() >= SATURDAY and (moved.weekday() >= SATURDAY or moved in taken):
            moved += DAY
        taken.add(moved)
    return taken


@cache
def bank_holidays(part: str, year: int) -> frozenset[datetime.date]:
    good_friday = easter(year) - 2 * DAY
    free = {good_friday, _monday(year, 5, last=False), _monday(year, 5, last=True)}
    free |= _observed([datetime.date(year, 12, 25), datetime.date(year, 12, 26)])
    new_year = [datetime.date(year, 1, 1)]
    if part == "SCT":
        free |= _observed([*new_year, datetime.date(year, 1, 2)])
        free |= {_monday(year, 8, last=False)} | _observed([datetime.date(year, 11, 30)])
        free |= {datetime.date(2026, 6, 15)} if year == 2026 else set()  # proclaimed in 2025
    else:
        free |= _observed(new_year) | {easter(year) + DAY, _monday(year, 8, last=True)}
    if part == "NIR":
        free |= _observed([datetime.date(year, 3, 17)]) | _observed([datetime.date(year, 7, 12)])
    return frozenset(free)


def works(day: datetime.date, parts: Sequence[str]) -> bool:
    return day.weekday() < SATURDAY and not any(day in bank_holidays(p, day.year) for p in parts)


def subject_access(received: datetime.date, steps: Steps, part: str) -> datetime.date | None:
    months = 3 if any(what == "extended" for what, _, _ in steps) else 1
    year, month = received.year, received.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    same = received.day
    while True:
        try:
            corresponding = datetime.date(year, month, same)
            break
        except ValueError:
            same -= 1
    left, day, asked = (corresponding - received).days, received, set[str]()
    last = max([received, *(when for _, _, when in steps)])
    while left > 0 or day < last:
        for what, about, when in steps:
            if when == day and what == "asked":
                asked.add(about)
            if when == day and what == "answered":
                asked.discard(about)
        day += DAY
        left -= not asked
        if day > last and asked:
            return None
    if any(what == "asked" and when == day for what, _, when in steps):
        asked |= {about for what, about, when in steps if what == "asked" and when == day}
        asked -= {about for what, about, when in steps if what == "answered" and when == day}
        if asked:
            return None
    day += DAY * max(0, -left)
    while not works(day, [part]):
        day += DAY
    return day


def freedom_of_information(received: datetime.date, steps: Steps) -> datetime.date | None:
    wanted = 40 if any(what == "extended" for what, _, _ in steps) else 20
    begun, unpaid, asked = received, set[datetime.date](), dict[str, datetime.date]()
    for what, about, when in steps:
        if what == "asked":
            asked[about] = when
        elif what == "answered" and about == "clarification":
            begun = when
            del asked[about]
        elif what == "answered":
            day = asked.pop(about)
            while day <= when:
                unpaid.add(day)
                day += DAY
    if asked:
        return None
    day, counted = begun, 0
    while counted < wanted:
        day += DAY
        if works(day, ["ENG", "WLS", "SCT", "NIR"]) and day not in unpaid:
            counted += 1
    return day
