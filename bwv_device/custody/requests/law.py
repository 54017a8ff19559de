"""When an answer to the public is due, by the words of the statutes: what stops a clock, what
begins it anew, what extends it.

Subject access: one month (UK GDPR, article 12A, as the Data (Use and Access) Act 2025, section 76,
writes it; DPA 2018, section 54, for law enforcement), to the corresponding day or the month's last,
and on to the next working day (Information Commissioner's guidance). The days while identity or
clarification was asked for do not count; complex requests may take two further months.

Freedom of information: twenty working days after the day of receipt (FOIA 2000, section 10(1)); a
day that is a bank holiday in any part of the United Kingdom is none (section 10(6)). Where
clarification was asked for, the day on which it came is the day of receipt (sections 1(3), 10(6));
days of an unpaid fee do not count (section 10(2)); the public-interest test may take longer
(section 10(3); twenty more by the Commissioner's guidance).
"""

from __future__ import annotations

import calendar
import datetime
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import holidays

SUBJECT_ACCESS, FREEDOM_OF_INFORMATION = "subject-access", "freedom-of-information"
KINDS = (SUBJECT_ACCESS, FREEDOM_OF_INFORMATION)
PARTS = ("ENG", "WLS", "SCT", "NIR")

ASKED, ANSWERED, EXTENDED = "asked", "answered", "extended"
IDENTITY, CLARIFICATION, FEE = "identity", "clarification", "fee"
COMPLEX, PUBLIC_INTEREST = "complex", "public-interest"
# What may happen to a request on its way, and what it does.
STOPS, RESTARTS, EXTENDS = "stops", "restarts", "extends"
TABLE: dict[str, dict[str, str]] = {
    SUBJECT_ACCESS: {IDENTITY: STOPS, CLARIFICATION: STOPS, COMPLEX: EXTENDS},
    FREEDOM_OF_INFORMATION: {CLARIFICATION: RESTARTS, FEE: STOPS, PUBLIC_INTEREST: EXTENDS},
}
ABOUT = tuple(dict.fromkeys(about for table in TABLE.values() for about in table))
ONE_DAY = datetime.timedelta(1)


@dataclass(frozen=True, slots=True)
class Figures:
    """The statutes' figures, and bank holidays that were proclaimed meanwhile. `region` is where
    the agency is: subject access knows its working days alone."""

    subject_access_months: int = 1
    subject_access_more_months: int = 2
    foi_working_days: int = 20
    foi_more_working_days: int = 20
    region: str = "ENG"
    proclaimed: frozenset[datetime.date] = field(default_factory=frozenset)


class Step(NamedTuple):
    """Something that happened to a request on a day: `asked` or `answered` about identity,
    clarification, a fee; or `extended` for a reason."""

    what: str
    about: str
    day: datetime.date


class Deadline(NamedTuple):
    """When the answer is due; None while the clock stands still, or waits to begin anew, for
    `waits_for`."""

    due: datetime.date | None
    waits_for: tuple[str, ...]


def deadline(
    kind: str, received: datetime.date, steps: Sequence[Step] = (), figures: Figures = Figures()
) -> Deadline:
    """After all `steps`, which are in order and allowed (`why_not`)."""
    asked: dict[str, datetime.date] = {}
    stopped: list[tuple[datetime.date, datetime.date]] = []
    begun, extended = received, False
    for step in steps:
        does = TABLE[kind][step.about]
        if step.what == ASKED:
            asked[step.about] = step.day
        elif step.what == EXTENDED:
            extended = True
        elif does == RESTARTS:
            begun = step.day
            del asked[step.about]
        else:
            stopped.append((asked.pop(step.about), step.day))
    if asked:
        return Deadline(None, tuple(sorted(asked)))
    if kind == SUBJECT_ACCESS:
        return Deadline(_subject_access(begun, stopped, figures, extended=extended), ())
    return Deadline(_freedom_of_information(begun, stopped, figures, extended=extended), ())


def _subject_access(
    received: datetime.date,
    stopped: Sequence[tuple[datetime.date, datetime.date]],
    figures: Figures,
    *,
    extended: bool,
) -> datetime.date:
    months = figures.subject_access_months
    months += figures.subject_access_more_months if extended else 0
    day = _months_later(received, months) + datetime.timedelta(len(_days(stopped)))
    while not _works(day, (figures.region,), figures.proclaimed):
        day += ONE_DAY
    return day


def _freedom_of_information(
    received: datetime.date,
    stopped: Sequence[tuple[datetime.date, datetime.date]],
    figures: Figures,
    *,
    extended: bool,
) -> datetime.date:
    left = figures.foi_working_days + (figures.foi_more_working_days if extended else 0)
    # From the day on which the notice is given to the day on which the fee came: both included.
    unpaid = _days((first, last + ONE_DAY) for first, last in stopped)
    day = received
    while left:
        day += ONE_DAY
        left -= _works(day, PARTS, figures.proclaimed) and day not in unpaid
    return day


def _days(spans: Iterable[tuple[datetime.date, datetime.date]]) -> set[datetime.date]:
    """The days of spans, each once: from the first to the day before the last."""
    return {
        first + datetime.timedelta(n) for first, last in spans for n in range((last - first).days)
    }


def _months_later(day: datetime.date, months: int) -> datetime.date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return day.replace(year=year, month=month + 1, day=min(day.day, last))


def _works(
    day: datetime.date, parts: Collection[str], proclaimed: Collection[datetime.date]
) -> bool:
    return day.weekday() < 5 and day not in proclaimed and not any(
        day in _bank_holidays(part, day.year) for part in parts
    )  # fmt: skip


@lru_cache(maxsize=256)
def _bank_holidays(part: str, year: int) -> frozenset[datetime.date]:
    return frozenset(holidays.country_holidays("GB", subdiv=part, years=year))


def why_not(
    kind: str, received: datetime.date, steps: Sequence[Step], new: Step, figures: Figures
) -> str:
    """Why a step can't be taken, as the end of a sentence; "" where it can."""
    does = TABLE[kind].get(new.about)
    if does is None:
        return f"{new.about} changes nothing for {kind}"
    if (does == EXTENDS) != (new.what == EXTENDED):
        return f"{new.about} {'extends the time' if does == EXTENDS else 'is asked for'}"
    last = max([received, *(step.day for step in steps)])
    if new.day < last:
        return f"something happened on {last} already"
    now = deadline(kind, received, steps, figures)
    if new.what == ANSWERED:
        return "" if new.about in now.waits_for else f"nobody asked for {new.about}"
    if new.what == ASKED and new.about in now.waits_for:
        return f"{new.about} is asked for already"
    if new.what == EXTENDED and any(step.what == EXTENDED for step in steps):
        return "it was extended before"
    if now.due is not None and new.day > now.due:
        return f"the answer was due on {now.due}"
    return ""
