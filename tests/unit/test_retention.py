"""When footage goes: property-tested over leap years, month ends, clock changes and time zones."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bwv_device.custody.public_requests import FREEDOM_OF_INFORMATION, SUBJECT_ACCESS, due_date
from bwv_device.custody.retention_dates import NANOSECOND, Retention

LONDON = ZoneInfo("Europe/London")
ZONES = ["Europe/London", "UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe",
         "Pacific/Apia", "America/Santiago", "Asia/Beirut"]  # fmt: skip
UTC = datetime.UTC
moments = st.datetimes(
    datetime.datetime(2024, 1, 1),  # noqa: DTZ001  hypothesis adds the zone
    datetime.datetime(2033, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def ns(moment: datetime.datetime) -> int:
    return int(moment.timestamp()) * NANOSECOND


@given(ended=moments, zone=st.sampled_from(ZONES))
@example(ended=datetime.datetime(2028, 2, 29, 23, 59, tzinfo=UTC), zone="Europe/London")
@example(ended=datetime.datetime(2027, 3, 28, 0, 59, 59, tzinfo=UTC), zone="Europe/London")
@example(ended=datetime.datetime(2026, 10, 25, 0, 30, tzinfo=UTC), zone="Europe/London")
@example(ended=datetime.datetime(2026, 9, 6, 3, 59, tzinfo=UTC), zone="America/Santiago")
def test_hidden_from_day_24_and_gone_by_the_end_of_day_31(
    ended: datetime.datetime, zone: str
) -> None:
    rules = Retention(ZoneInfo(zone))
    due = rules.due(ns(ended), ns(ended), "unreviewed")
    day = ended.astimezone(ZoneInfo(zone)).date()
    assert (due.hidden - day).days == 24
    assert (due.erased - day).days == 31
    lock_s = rules.start_utc_s(due.erased)
    assert rules.day(lock_s * NANOSECOND) == due.erased, "the lock ends when the day begins"
    assert rules.day((lock_s - 1) * NANOSECOND) < due.erased
    elapsed_days = (lock_s - ended.timestamp()) / 86_400
    assert 30 - 1.1 / 24 <= elapsed_days <= 31 + 1.1 / 24


@given(ended=moments, days_late=st.integers(0, 400), category=st.sampled_from(["x", "unreviewed"]))
def test_late_footage_has_its_week_and_the_longest_rule_wins(
    ended: datetime.datetime, days_late: int, category: str
) -> None:
    rules = Retention(LONDON, categories={"x": 100})
    received = ended + datetime.timedelta(days_late)
    due = rules.due(ns(ended), ns(received), category)
    assert due.erased >= rules.day(ns(ended)) + datetime.timedelta(31)
    assert due.erased >= rules.day(ns(received)) + datetime.timedelta(7)
    if category == "x":
        assert due.erased >= rules.day(ns(ended)) + datetime.timedelta(100)
    assert due.erased - due.hidden == datetime.timedelta(7)
    assert rules.is_late(ns(ended), ns(received)) == (days_late > 24) or days_late in (24, 25)


@given(ended=moments, error_h=st.integers(0, 2000))
def test_an_uncertain_end_never_shortens(ended: datetime.datetime, error_h: int) -> None:
    rules = Retention(LONDON)
    latest = ended + datetime.timedelta(hours=error_h)
    assert rules.due(ns(latest), None, "").erased >= rules.due(ns(ended), None, "").erased


def test_a_category_never_shortens() -> None:
    rules = Retention(LONDON, categories={"short": 3})
    ended = ns(datetime.datetime(2026, 5, 1, tzinfo=UTC))
    assert rules.due(ended, ended, "short").erased == datetime.date(2026, 6, 1)


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2026-09-03", "2026-10-05"),  # 3 October is a Saturday (the ICO's own example of dates)
        ("2026-01-31", "2026-03-02"),  # no 31 February; the 28th is a Saturday
        ("2028-01-31", "2028-02-29"),  # leap year
        ("2026-11-25", "2026-12-29"),  # Christmas, Boxing Day moved to Monday
        ("2026-03-03", "2026-04-07"),  # Good Friday and Easter Monday
        ("2026-12-01", "2027-01-04"),  # New Year's Day, a Friday
        ("2026-03-30", "2026-04-30"),
    ],
)
def test_one_calendar_month(received: str, due: str) -> None:
    day = datetime.date.fromisoformat(received)
    assert due_date(SUBJECT_ACCESS, day).isoformat() == due


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2026-06-01", "2026-06-29"),
        ("2026-12-21", "2027-01-21"),  # Christmas, Boxing Day's substitute, New Year
        ("2026-03-23", "2026-04-22"),  # Easter
        ("2026-05-02", "2026-06-02"),  # a Saturday: counted from the next working day; two holidays
    ],
)
def test_twenty_working_days(received: str, due: str) -> None:
    day = datetime.date.fromisoformat(received)
    assert due_date(FREEDOM_OF_INFORMATION, day).isoformat() == due


@given(day=st.dates(datetime.date(2024, 1, 1), datetime.date(2033, 12, 31)))
def test_an_answer_is_due_on_a_working_day(day: datetime.date) -> None:
    for kind in (SUBJECT_ACCESS, FREEDOM_OF_INFORMATION):
        due = due_date(kind, day)
        assert due.weekday() < 5
        assert 26 <= (due - day).days <= 40
