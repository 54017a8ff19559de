"""When answers are due: examples from the statutes and the Commissioner's guidance, and ten years
of days against an oracle that walks them one by one."""

from __future__ import annotations

import datetime

import pytest
from support import law_oracle

from bwv_device.custody.requests.law import (
    ANSWERED,
    ASKED,
    CLARIFICATION,
    COMPLEX,
    EXTENDED,
    FEE,
    FREEDOM_OF_INFORMATION,
    IDENTITY,
    PARTS,
    PUBLIC_INTEREST,
    SUBJECT_ACCESS,
    Figures,
    Step,
    deadline,
    why_not,
)

FIRST, LAST = datetime.date(2024, 1, 1), datetime.date(2033, 12, 31)


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def steps(*words: str) -> list[Step]:
    """ "asked identity 2026-03-02", one after another."""
    return [Step(*word.split()[:2], day(word.split()[2])) for word in words]


@pytest.mark.parametrize(
    ("received", "taken", "due"),
    [
        ("2026-09-03", (), "2026-10-05"),  # 3 October is a Saturday (the guidance's own example)
        ("2026-01-31", (), "2026-03-02"),  # no 31 February; the 28th is a Saturday
        ("2028-01-31", (), "2028-02-29"),  # leap year
        ("2026-11-25", (), "2026-12-29"),  # Christmas, Boxing Day moved to Monday
        ("2026-03-03", (), "2026-04-07"),  # Good Friday and Easter Monday
        ("2026-12-01", (), "2027-01-04"),  # New Year's Day, a Friday
        ("2026-03-30", (), "2026-04-30"),
        # A week's wait for clarification moves the day by a week.
        ("2026-06-01", ("asked clarification 2026-06-08", "answered clarification 2026-06-15"),
         "2026-07-08"),
        # Both asked for at once: the days are counted once.
        ("2026-06-01", ("asked identity 2026-06-08", "asked clarification 2026-06-10",
                        "answered identity 2026-06-12", "answered clarification 2026-06-15"),
         "2026-07-08"),
        ("2026-06-01", ("extended complex 2026-06-20",), "2026-09-01"),
        ("2026-11-30", ("extended complex 2026-12-20",), "2027-03-01"),  # 28 February is a Sunday
        ("2026-06-01", ("asked identity 2026-06-08",), ""),
    ],
)  # fmt: skip
def test_subject_access(received: str, taken: tuple[str, ...], due: str) -> None:
    found = deadline(SUBJECT_ACCESS, day(received), steps(*taken))
    assert (found.due.isoformat() if found.due else "") == due
    assert bool(found.waits_for) == (not due)


@pytest.mark.parametrize(
    ("received", "taken", "due"),
    [
        # Christmas, New Year; and 2 January 2027 is a Saturday: Scotland has Monday the 4th.
        ("2026-12-21", (), "2027-01-22"),
        ("2026-03-23", (), "2026-04-22"),  # Easter
        ("2026-05-02", (), "2026-06-02"),  # a Saturday; two holidays
        ("2026-07-01", (), "2026-07-30"),  # the Boyne, in Northern Ireland alone
        ("2026-11-16", (), "2026-12-15"),  # Saint Andrew's Day, in Scotland alone
        ("2026-03-02", (), "2026-03-31"),  # Saint Patrick's Day
        ("2026-06-01", (), "2026-06-30"),  # 15 June 2026: proclaimed in Scotland
        # Clarification begins them anew, from the day on which it came.
        ("2026-02-02", ("asked clarification 2026-02-05", "answered clarification 2026-02-12"),
         "2026-03-12"),
        # An unpaid fee: from the notice to the payment, both days included.
        ("2026-02-02", ("asked fee 2026-02-05", "answered fee 2026-02-09"), "2026-03-05"),
        ("2026-02-02", ("extended public-interest 2026-02-20",), "2026-03-31"),
        ("2026-02-02", ("asked clarification 2026-02-05",), ""),
    ],
)  # fmt: skip
def test_freedom_of_information(received: str, taken: tuple[str, ...], due: str) -> None:
    found = deadline(FREEDOM_OF_INFORMATION, day(received), steps(*taken))
    assert (found.due.isoformat() if found.due else "") == due


@pytest.mark.parametrize(
    ("kind", "before", "new", "why"),
    [
        (FREEDOM_OF_INFORMATION, (), "asked identity 2026-06-02", "changes nothing"),
        (FREEDOM_OF_INFORMATION, (), "extended complex 2026-06-02", "changes nothing"),
        (SUBJECT_ACCESS, (), "extended public-interest 2026-06-02", "changes nothing"),
        (SUBJECT_ACCESS, (), "asked complex 2026-06-02", "extends the time"),
        (SUBJECT_ACCESS, (), "extended identity 2026-06-02", "is asked for"),
        (SUBJECT_ACCESS, (), "answered identity 2026-06-02", "nobody asked for identity"),
        (SUBJECT_ACCESS, ("asked identity 2026-06-02",), "asked identity 2026-06-03", "already"),
        (SUBJECT_ACCESS, ("asked identity 2026-06-05",), "answered identity 2026-06-03",
         "something happened on 2026-06-05"),
        (SUBJECT_ACCESS, (), "asked identity 2026-05-31", "something happened on 2026-06-01"),
        (SUBJECT_ACCESS, (), "asked identity 2026-07-02", "the answer was due on 2026-07-01"),
        (SUBJECT_ACCESS, (), "extended complex 2026-07-02", "the answer was due on 2026-07-01"),
        (SUBJECT_ACCESS, ("extended complex 2026-06-02",), "extended complex 2026-06-03",
         "extended before"),
        (SUBJECT_ACCESS, (), "asked identity 2026-07-01", ""),
        (SUBJECT_ACCESS, ("asked identity 2026-06-02",), "answered identity 2027-06-03", ""),
    ],
)  # fmt: skip
def test_what_the_statute_does_not_know(
    kind: str, before: tuple[str, ...], new: str, why: str
) -> None:
    found = why_not(kind, day("2026-06-01"), steps(*before), steps(new)[0], Figures())
    assert (why in found) if why else found == ""


def test_bank_holidays_that_were_proclaimed_meanwhile() -> None:
    figures = Figures(proclaimed=frozenset({day("2026-07-01"), day("2026-06-29")}))
    assert deadline(SUBJECT_ACCESS, day("2026-06-01"), (), figures).due == day("2026-07-02")
    assert deadline(FREEDOM_OF_INFORMATION, day("2026-06-01"), (), figures).due == day("2026-07-02")


# --- against the oracle --------------------------------------------------------------------------


def histories(received: datetime.date) -> dict[str, list[list[tuple[str, str, int]]]]:
    """Steps by days after receipt: allowed ones, other on each day."""
    wait = 1 + received.toordinal() % 40
    return {
        SUBJECT_ACCESS: [
            [],
            [(ASKED, IDENTITY, 0), (ANSWERED, IDENTITY, wait)],
            [(ASKED, CLARIFICATION, 5), (ANSWERED, CLARIFICATION, 5 + wait)],
            [(ASKED, IDENTITY, 3), (ASKED, CLARIFICATION, 4), (ANSWERED, IDENTITY, 4 + wait),
             (ANSWERED, CLARIFICATION, 9 + wait), (EXTENDED, COMPLEX, 10 + wait)],
            [(EXTENDED, COMPLEX, 20), (ASKED, IDENTITY, 50), (ANSWERED, IDENTITY, 50 + wait)],
            [(ASKED, IDENTITY, 7)],
        ],
        FREEDOM_OF_INFORMATION: [
            [],
            [(ASKED, CLARIFICATION, 2), (ANSWERED, CLARIFICATION, 2 + wait)],
            [(ASKED, FEE, 4), (ANSWERED, FEE, 4 + wait)],
            [(EXTENDED, PUBLIC_INTEREST, 10), (ASKED, FEE, 20), (ANSWERED, FEE, 20 + wait)],
            [(ASKED, CLARIFICATION, 1), (ANSWERED, CLARIFICATION, 1 + wait),
             (ASKED, CLARIFICATION, 3 + wait), (ANSWERED, CLARIFICATION, 3 + 2 * wait),
             (EXTENDED, PUBLIC_INTEREST, 5 + 2 * wait)],
            [(ASKED, FEE, 3)],
        ],
    }  # fmt: skip


def test_ten_years_of_days_against_an_oracle() -> None:
    received, compared = FIRST, 0
    while received <= LAST:
        part = PARTS[received.toordinal() % 4]
        figures = Figures(region=part)
        for kind, lists in histories(received).items():
            for after in lists:
                taken = [Step(w, a, received + datetime.timedelta(n)) for w, a, n in after]
                found = deadline(kind, received, taken, figures).due
                wanted = (
                    law_oracle.subject_access(received, taken, part)
                    if kind == SUBJECT_ACCESS
                    else law_oracle.freedom_of_information(received, taken)
                )
                assert found == wanted, (kind, received, taken, part)
                compared += 1
        received += datetime.timedelta(1)
    assert compared == 12 * 3653
