"""Months of an agency's custody, drawn and judged from the world."""

from __future__ import annotations

import datetime

import pytest

from sim.custody import dates, troubles
from sim.custody.months import SWARM, Months, play

DAYS = 45
# What a whole station is from its first day on.
STRUCK_BY_ITS_NATURE = {troubles.NO_LOCKS, troubles.CLOCK_UNSET, troubles.CLOCK_UNSURE}


def test_months_with_everything_that_may_go_wrong_keep_every_promise() -> None:
    played = play(Months(4, 60, (SWARM,)))
    assert played.findings == []
    assert sum(played.strikes.values()) > 20
    for what in ("recordings", "holds", "released", "requests", "erased"):
        assert played.counts[what] > 3, what


def test_the_same_seed_is_the_same_months() -> None:
    assert play(Months(1, 6)) == play(Months(1, 6))


@pytest.mark.ci
@pytest.mark.parametrize("trouble", troubles.DRAWN)
def test_each_trouble_alone_breaks_no_promise(trouble: str) -> None:
    """In months in which it comes: what is drawn changes with every change of the product."""
    for seed in range(1, 9):
        played = play(Months(seed, DAYS, (trouble,)))
        assert played.findings == []
        if played.strikes.get(trouble) or trouble in STRUCK_BY_ITS_NATURE:
            return
    pytest.fail(f"{trouble} never came")


def test_a_rest_that_comes_late_is_waited_for_and_then_taken() -> None:
    """A docking given up between two files, and a drawer: deletion waits for a week, the rest is
    taken as what it is, and the camera is empty in the end."""
    played = play(Months(10, DAYS, (troubles.GIVEN_UP,)))
    assert played.findings == []
    assert played.strikes[troubles.GIVEN_UP]


def test_a_store_that_was_set_back_is_told_by_the_cameras_ledgers() -> None:
    """What people had decided is gone with it; but that footage is lost is said at the next
    docking, by its name."""
    played = play(Months(1, 30, (troubles.SET_BACK,)))
    assert played.strikes[troubles.SET_BACK]
    assert not [f for f in played.findings if f.promise == "lost-without-a-word"]


def test_a_wrong_clock_of_custody_erases_nothing_where_somebody_witnesses() -> None:
    """The control has no witness: custody's own clock decides alone there."""
    months = Months(1, 32, (troubles.CUSTODY_WRONG,))
    played = play(months)
    assert played.strikes[troubles.CUSTODY_WRONG]
    assert played.findings == []
    alone = play(months._replace(witnessed=False))
    assert any(finding.promise == "erased-too-early" for finding in alone.findings)


# --- the judge's own calendar ---------------------------------------------------------------------


def test_answers_are_due_as_the_statutes_count() -> None:
    day = datetime.date
    # The Information Commissioner's example: 31 March is answered on 30 April.
    assert dates.answer_due("subject-access", day(2026, 3, 31)) == day(2026, 4, 30)
    # 30 January has no day in February; its last is a Saturday.
    assert dates.answer_due("subject-access", day(2026, 1, 30)) == day(2026, 3, 2)
    # Good Friday and Easter Monday do not count.
    assert dates.answer_due("freedom-of-information", day(2026, 3, 30)) == day(2026, 4, 29)


def test_days_are_days_of_the_agency() -> None:
    just_before_midnight = int(datetime.datetime(2026, 7, 1, 22, 59, 59, tzinfo=datetime.UTC)
                               .timestamp()) * dates.SECOND_NS  # fmt: skip
    assert dates.day_of(just_before_midnight) == datetime.date(2026, 7, 1)
    assert dates.day_of(just_before_midnight + dates.SECOND_NS) == datetime.date(2026, 7, 2)
