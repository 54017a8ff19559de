"""The public's words do not stay for ever, and everything still verifies without them."""

from __future__ import annotations

import datetime

import pytest
from support.custody_day import Day, lines
from support.write_anyway import write_anyway

from bwv_device.custody import search
from bwv_device.custody.holdings.completeness import examine
from bwv_device.custody.recording_history import audit
from bwv_device.custody.requests import public_requests, search_certificate
from bwv_device.custody.requests.public_requests import RequestDetails
from bwv_device.custody.requests.statistics import statistics
from bwv_device.custody.retention import agreed_rules, holds
from bwv_device.custody.retention.deletion import Expiry
from bwv_device.custody.retention.words_erasure import erase_words
from bwv_device.custody.retention_dates import Retention
from bwv_device.formats import store_keys
from sim.custody.agency_store import WorkerKilled
from sim.custody.dates import LONDON
from sim.world.test_keys import BenchAgency

# Agreed in these tests; the certificates of the bench's roles end after two years.
WORDS_DAYS = 400
EVERY = (datetime.date.min, datetime.date.max)


@pytest.fixture
def it(agency: BenchAgency) -> Day:
    """A request that was answered, a hold that was released, one that is in force, a review."""
    day = Day(agency, 3)
    ada, bob = day.custodian, day.desk("Bob", "reviewer")
    version = agreed_rules.propose(ada, Retention(LONDON, words_days=WORDS_DAYS))
    agreed_rules.approve(day.desk("Ben", "custodian"), version)
    first, second, third = day.names()
    row = holds.existing(ada, first)
    opened = public_requests.open_request(
        ada,
        RequestDetails(
            "subject-access", b"I am Jo Bloggs", "Jo-Bloggs.txt", ada.retention.day(ada.now_ns()),
            row["start_ns"], row["start_ns"], row["start_ns"] + 1, "Mare Street", "a tall person",
        ),
    )  # fmt: skip
    search_certificate.search(ada, opened.request)
    public_requests.close_request(ada, opened.request, "disclosed", "sent to Jo Bloggs")
    holds.place(ada, second, "Jo Bloggs complained", "case 12/26")
    (hold,) = ada.held(second)
    holds.propose_release(bob, hold["n"], "Jo Bloggs withdrew")
    holds.approve_release(ada, hold["n"])
    holds.place(ada, third, "Jo Bloggs versus", "case 13/26")
    search.review(bob, third, "shows Jo Bloggs")
    return day


def words(it: Day) -> list[str]:
    """Objects of the store that name her."""
    return [key for key, data in it.custody.store.everything()
            if b"Bloggs" in data and not key.startswith("footage/")]  # fmt: skip


def test_words_go_after_their_days_and_the_rest_verifies(it: Day) -> None:
    assert len(words(it)) == 7
    it.days(WORDS_DAYS - 1)
    assert erase_words(it.desk("R2", "retention")) == 0
    it.days(1.1)
    before = list(statistics(it.desk("New", "custodian"), *EVERY))
    assert erase_words(it.desk("R2", "retention")) == 4
    left = words(it)
    assert len(left) == 2, "a hold in force, and a review of what is held"
    assert not any(key.startswith("custody/letters/") for key in left)
    (line,) = lines(it.desk("New", "custodian"), "words-erasing")
    assert len(line["letters"]) == 1
    for desk in (it.desk("New", "custodian"), it.desk("R2", "retention")):
        desk.index.rebuild()
        assert desk.index.rows("SELECT * FROM problems") == []
        assert list(statistics(desk, *EVERY)) == before
        (request,) = public_requests.all_requests(desk.index)
        assert (request["place"], request["outcome"]) == ("", "disclosed")
        assert [lost for lost in examine(desk).lost if lost.what != "footage"] == []
    assert erase_words(it.desk("R2", "retention")) == 0


def test_a_body_that_is_gone_before_its_day_is_a_problem(it: Day) -> None:
    ada = it.custodian
    line = lines(ada, "request")[0]
    row = ada.index.row(
        "SELECT json_extract(json, '$.body') AS d FROM lines WHERE n = ?", line["n"]
    )
    assert row is not None
    del it.custody.store.objects[store_keys.body(row["d"])]
    ada.index.rebuild()
    (problem,) = ada.index.rows("SELECT * FROM problems")
    assert "its body is not there" in problem["problem"]
    life = audit(ada, [it.agency.root], it.names()[0])
    assert not life.problems, "it says nothing of this recording"
    assert len(life.remarks) == 1


@pytest.mark.parametrize("kind", ["request", "hold", "review"])
def test_a_decision_before_the_day_does_not_count(it: Day, kind: str) -> None:
    retention = it.retention
    number = lines(retention, kind)[-1]["n"]
    it.days(30)
    write_anyway(retention, "words-erasing", {"lines": [number], "letters": []})
    write_anyway(retention, "words-erased", {"lines": [number]})
    told = [row["problem"] for row in retention.index.rows("SELECT * FROM problems ORDER BY n")]
    assert f"the words of line {number} are not to go yet" in told[0]
    assert "nobody decided" in told[1]
    assert len(words(it)) == 7


def test_a_run_that_was_interrupted_is_finished(it: Day) -> None:
    it.days(WORDS_DAYS + 1)
    store, erase = it.custody.store, it.custody.store.erase
    gone: list[str] = []

    def dies(key: str) -> None:
        if len(gone) == 2:
            raise WorkerKilled
        gone.append(key)
        erase(key)

    store.erase = dies  # type: ignore[method-assign]
    with pytest.raises(WorkerKilled):
        erase_words(it.desk("R2", "retention"))
    store.erase = erase  # type: ignore[method-assign]
    assert erase_words(it.desk("R3", "retention")) == 4
    assert len(words(it)) == 2
    assert len(lines(it.desk("New", "custodian"), "words-erasing")) == 1


def test_what_was_decided_rests_on_no_words(agency: BenchAgency, it: Day) -> None:
    """An erasure that was right while a request named its officer is right for a reader that comes
    when the request's words are gone."""
    _, second, _ = it.names()
    ada = it.custodian
    row = holds.existing(ada, second)
    other = public_requests.open_request(
        ada,
        RequestDetails(
            "subject-access", b"Dear all", "letter.txt", ada.retention.day(ada.now_ns()),
            row["start_ns"], row["start_ns"], row["start_ns"] + 1, "Mare Street", "a tall person",
            officers=("PC 999",),
        ),
    )  # fmt: skip
    assert other.held == []
    it.days(31)
    assert Expiry(it.retention).run().erased == [second]
    public_requests.close_request(ada, other.request, "refused", "")
    it.days(WORDS_DAYS)
    erase_words(it.desk("R2", "retention"))
    late = it.desk("Late", "auditor")
    late.index.rebuild()
    assert late.index.rows("SELECT * FROM problems") == []
