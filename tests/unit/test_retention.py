"""When footage goes: property-tested over leap years, month ends, clock changes and time zones."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

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
