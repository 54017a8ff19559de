"""Months of an agency's custody, drawn and judged from the world."""

from __future__ import annotations

import datetime

import pytest

from sim.custody import dates, troubles
from sim.custody.months import SWARM, Months, play

DAYS = 45


def test_months_with_everything_that_may_go_wrong_keep_every_promise() -> None:
    played = play(Months(1, DAYS, (SWARM,)))
    assert played.findings == []
    assert sum(played.strikes.values()) > 20
    for what in ("recordings", "holds", "released", "requests", "erased"):
        assert played.counts[what] > 3, what


def test_the_same_seed_is_the_same_months() -> None:
    assert play(Months(3, 8)) == play(Months(3, 8))


@pytest.mark.ci
@pytest.mark.parametrize("trouble", troubles.DRAWN)
def test_each_trouble_alone_breaks_no_promise(trouble: str) -> None:
    played = play(Months(1, DAYS, (trouble,)))
    assert played.findings == []
    struck_by_its_nature = {
        troubles.NO_LOCKS, troubles.CLOCK_UNSET, troubles.CLOCK_UNSURE,
    }  # fmt: skip
    assert played.strikes.get(trouble) or trouble in struck_by_its_nature


# --- what is known to be wrong --------------------------------------------------------------------


def test_a_recording_that_came_in_part_is_erased_as_if_it_were_whole() -> None:
    """To be mended: deletion must wait for the rest, and take it when it comes."""
    played = play(Months(1, DAYS, (troubles.GIVEN_UP,)))
    said = [str(finding) for finding in played.findings]
    assert any("erased-too-early" in one and "not received" in one for one in said)
    assert any("still has" in one for one in said)


def test_a_store_that_was_set_back_says_nothing() -> None:
    """To be mended: the cameras' ledgers hold receipts that custody does not know."""
    played = play(Months(1, 30, (troubles.SET_BACK,)))
    assert any(finding.promise == "lost-without-a-word" for finding in played.findings)


def test_a_wrong_clock_of_custody_erases_too_early() -> None:
    """To be mended: custody's own clock must not decide alone."""
    played = play(Months(1, 32, (troubles.CUSTODY_WRONG,)))
    assert any(finding.promise == "erased-too-early" for finding in played.findings)


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
