"""A request on its way: each step is a signed line with its effect on the date; figures are
counted from the lines, by two programs that share nothing."""

from __future__ import annotations

import datetime
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.custody_day import Day, lines
from support.write_anyway import write_anyway

from bwv_device.custody.requests import law, public_requests, search_certificate
from bwv_device.custody.requests.law import Figures, Step
from bwv_device.custody.requests.public_requests import RequestDetails
from bwv_device.custody.requests.statistics import statistics
from bwv_device.custody.requests.steps import take_step
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.keys import ROOT
from bwv_device.verification import request_statistics
from hal.stores.directory import DirectoryStore
from sim.custody.dates import LONDON
from sim.world.custody_workers import BenchClock, founded, session
from sim.world.test_keys import BenchAgency
from sim.world.virtual_loop import VirtualLoop

DAY = datetime.timedelta(1)


@pytest.fixture
def day(agency: BenchAgency) -> Callable[..., Day]:
    return lambda *a, **k: Day(agency, *a, **k)


def details(
    desk: CustodySession, kind: str = law.SUBJECT_ACCESS, letter: str = "Dear all"
) -> RequestDetails:
    now_ns = desk.now_ns()
    return RequestDetails(
        kind, letter.encode(), "letter.txt", desk.retention.day(now_ns), now_ns, now_ns, now_ns + 1,
        "Mare Street", "spoken to at the bus stop",
    )  # fmt: skip


def test_the_clock_stops_goes_on_and_is_extended(day: Callable[..., Day]) -> None:
    it = day(1)
    ada = it.custodian
    opened = public_requests.open_request(ada, details(ada))
    today = ada.retention.day(ada.now_ns())
    it.days(3)
    asked = Step(law.ASKED, law.IDENTITY, today + 3 * DAY)
    now = take_step(ada, opened.request, asked, "a passport, by letter")
    assert (now.due, now.waits_for) == (None, (law.IDENTITY,))
    (row,) = public_requests.all_requests(ada.index)
    assert row["due"] == ""
    it.days(40)
    assert public_requests.reminders(ada, 5) == [], "it stands still"
    answered = Step(law.ANSWERED, law.IDENTITY, today + 43 * DAY)
    due = take_step(ada, opened.request, answered, "it came").due
    assert due is not None
    assert 40 <= (due - opened.due).days <= 44
    extended = Step(law.EXTENDED, law.COMPLEX, today + 43 * DAY)
    later = take_step(ada, opened.request, extended, "twelve cameras").due
    assert later is not None
    assert 58 <= (later - due).days <= 65
    said = lines(ada, "request-step")
    assert [line["due"] for line in said] == ["", due.isoformat(), later.isoformat()]
    assert said[0]["reason"] == "a passport, by letter"
    assert "passport" not in str(ada.index.rows("SELECT json FROM lines")), "words are in the body"
    public_requests.close_request(ada, opened.request, "withdrawn", "")
    with pytest.raises(CustodyError, match="it is closed"):
        take_step(ada, opened.request, extended, "again")


def test_a_step_that_the_statute_does_not_know_is_not_written(day: Callable[..., Day]) -> None:
    it = day(1)
    ada = it.custodian
    opened = public_requests.open_request(ada, details(ada, law.FREEDOM_OF_INFORMATION))
    today = ada.retention.day(ada.now_ns())
    for step, why in {
        Step(law.ASKED, law.IDENTITY, today): "changes nothing",
        Step(law.ASKED, law.CLARIFICATION, today + DAY): "is not over",
        Step(law.ASKED, "weather", today): "Unknown reason",
    }.items():
        with pytest.raises(CustodyError, match=why):
            take_step(ada, opened.request, step, "because")
    with pytest.raises(CustodyError, match="needs a reason"):
        take_step(ada, opened.request, Step(law.ASKED, law.CLARIFICATION, today), " ")
    with pytest.raises(CustodyError, match="There is no request"):
        take_step(ada, "2026-99999", Step(law.ASKED, law.CLARIFICATION, today), "because")
    auditor = it.desk("Eve", "auditor")
    with pytest.raises(CustodyError, match="this needs custodian"):
        take_step(auditor, opened.request, Step(law.ASKED, law.CLARIFICATION, today), "because")
    assert lines(ada, "request-step") == []
    write_anyway(it.desk("Eve", "auditor"), "request-step", {"request": opened.request, "step":
        "asked", "about": "identity", "day": "2026-03-03", "due": "2099-01-01"})  # fmt: skip
    write_anyway(ada, "request-step", {"request": opened.request, "step": "asked", "about":
        "identity", "day": "2026-03-03", "due": "whenever"})  # fmt: skip
    (row,) = public_requests.all_requests(ada.index)
    assert row["due"] == opened.due.isoformat()


def test_the_same_request_twice_is_noticed(day: Callable[..., Day]) -> None:
    it = day(1)
    ada = it.custodian
    wanted = details(ada)
    assert public_requests.open_request(ada, wanted).alike == []
    again = public_requests.open_request(ada, wanted)
    assert again.alike == ["request 2026-00001 has the same letter"]
    other = wanted._replace(letter=b"I asked before", place=" MARE  street")
    assert public_requests.open_request(ada, other).alike == [
        "request 2026-00001 is of the same time and place",
        "request 2026-00002 is of the same time and place",
    ]
    elsewhere = wanted._replace(letter=b"Another matter", place="Kingsland Road")
    assert public_requests.open_request(ada, elsewhere).alike == []


def test_not_found_rests_on_a_search(day: Callable[..., Day]) -> None:
    it = day(1)
    ada = it.custodian
    opened = public_requests.open_request(ada, details(ada))
    with pytest.raises(CustodyError, match="rests on nothing"):
        public_requests.close_request(ada, opened.request, "not-found", "nothing is there")
    search_certificate.search(ada, opened.request)
    (line,) = lines(ada, "search")
    assert (line["devices"], line["officers"]) == ([], [])
    assert line["head"] < line["n"]
    public_requests.close_request(ada, opened.request, "not-found", "nothing is there")


def test_a_requests_own_figures_count(day: Callable[..., Day]) -> None:
    """What is configured later changes no date that was promised."""
    it = day(1)
    ada = it.custodian
    opened = public_requests.open_request(ada, details(ada), Figures(subject_access_months=2))
    today = ada.retention.day(ada.now_ns())
    assert 58 <= (opened.due - today).days <= 66
    step = Step(law.ASKED, law.IDENTITY, today)
    take_step(ada, opened.request, step, "a passport")
    done = take_step(ada, opened.request, Step(law.ANSWERED, law.IDENTITY, today), "it came")
    assert done.due == opened.due


# --- figures -------------------------------------------------------------------------------------


def test_two_programs_count_the_same_from_drawn_requests(
    tmp_path: Path, agency: BenchAgency
) -> None:
    """Months of drawn requests; the second program reads the store's files with public keys."""
    draw, root = random.Random(1), tmp_path / "agency-root.pem"
    root.write_bytes(agency.files[ROOT])
    folder = tmp_path / "store"
    folder.mkdir(mode=0o700)
    clock = BenchClock(VirtualLoop())
    desk = session(agency, founded(DirectoryStore(folder)), clock, "Ada", "custodian")
    opened: list[str] = []
    for number in range(120):
        clock.ahead_ns += draw.randrange(2 * 86_400) * 10**9
        kind = draw.choice(law.KINDS)
        opened.append(
            public_requests.open_request(desk, details(desk, kind, f"letter {number}")).request
        )
        for request in draw.sample(opened, min(3, len(opened))):
            _something(desk, request, draw)
    today = desk.retention.day(desk.now_ns())
    every = (datetime.date.min, datetime.date.max)
    spans = [every, (today - 60 * DAY, today - 20 * DAY)]
    lines_read = request_statistics.read(folder, agency.root)
    for first, last in spans:
        ours = {
            said.kind: {k: v for k, v in said._asdict().items() if k != "kind"}
            for said in statistics(desk, first, last)
        }
        theirs = request_statistics.count(
            lines_read, first.isoformat(), last.isoformat(), today.isoformat()
        )
        assert ours == theirs
        assert all(said["received"] for said in ours.values())
    total = {name: sum(of[name] for of in ours.values()) for name in ours[law.KINDS[0]]
             if name != "average_days"}  # fmt: skip
    assert total["received"] > 5
    done = subprocess.run(
        [sys.executable, "-m", "bwv_device.verification.request_statistics", str(folder), "--root",
         str(root)], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[law.SUBJECT_ACCESS]["received"] > 0
    assert f"the last is {desk.index.head.number}" in done.stderr
    for place, key in ((tmp_path / "nowhere", root), (folder, tmp_path / "other.pem")):
        (tmp_path / "other.pem").write_bytes(BenchAgency("another").files[ROOT])
        none = subprocess.run(
            [sys.executable, "-m", "bwv_device.verification.request_statistics", str(place),
             "--root", str(key)], capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (none.returncode, none.stdout) == (1, ""), "nothing read is not nothing asked"
        assert "no line" in none.stderr
    path = next(path for path in sorted(folder.glob("custody/ledger/*/*/*/*"))[5:])
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"2026", b"2027", 1))
    with pytest.raises(ValueError, match=r"signed|continue"):
        request_statistics.read(folder, agency.root)


def _something(desk: CustodySession, request: str, draw: random.Random) -> None:
    """What may happen to a request on a day; what may not is refused."""
    today = datetime.datetime.fromtimestamp(desk.now_ns() // 10**9, LONDON).date()
    try:
        if draw.random() < 0.4:
            outcome = draw.choice(["disclosed", "refused", "withdrawn"])
            public_requests.close_request(desk, request, outcome, "")
        else:
            what = draw.choice([law.ASKED, law.ANSWERED, law.EXTENDED])
            take_step(desk, request, Step(what, draw.choice(law.ABOUT), today), "drawn")
    except CustodyError:
        pass
