"""Custody of what cameras delivered: holds, deletion, requests, search, audit."""

from __future__ import annotations

import datetime
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
from support.custody_day import DAY_NS, Day, lines
from support.write_anyway import write_anyway

from bwv_device.custody import camera_register, search
from bwv_device.custody.intake.file_intake import BATCH, batches
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.ledger import CustodyLedger
from bwv_device.custody.recording_history import audit
from bwv_device.custody.requests import law, public_requests, search_certificate
from bwv_device.custody.retention import deletion_certificate, holds
from bwv_device.custody.retention.deletion import Expiry, plan
from bwv_device.custody.search import Wanted, count, find
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.formats import store_keys
from bwv_device.formats.grammar.statements import Announced
from bwv_device.formats.upload_body import BytesBody
from hal.ports import SECOND_NS, Body, Stored, StoreError, StoreTrouble
from hal.simulated.power_dock_and_place import SeededEntropy
from hal.simulated.store import MemoryStore
from sim.world.camera_handle import TEAR
from sim.world.custody_workers import role
from sim.world.test_keys import BenchAgency
from sim.world.world import EPOCH_UTC_NS


@pytest.fixture
def day(agency: BenchAgency) -> Callable[..., Day]:
    return lambda *a, **k: Day(agency, *a, **k)


def certificates(it: Day) -> list[dict[str, Any]]:
    """What each certificate says, with who signed its line."""
    names = [name for line in lines(it.custodian, "erased") for name in line["recordings"]]
    found = [deletion_certificate.find(it.custodian, name) for name in names]
    return [{**one.said, "name": one.line["name"], "role": one.line["role"]} for one in found]


def between_plan_and_decision(expiry: Expiry, act: Callable[[], object]) -> None:
    """Something happens when a run knows what is due, and has written nothing down."""
    guard = expiry._guard

    def acts(count: int, confirmed: int) -> None:
        act()
        guard(count, confirmed)

    expiry._guard = acts  # type: ignore[method-assign]


HOSTILE: list[tuple[str, str, dict[str, Any]]] = [
    ("auditor", "search", {"list": 1}),
    ("auditor", "search", {"request": 5, "found": []}),
    ("custodian", "trust-proposed", {"list": 1, "version": 2}),
    ("custodian", "rules-proposed", {"version": 1, "zone": "Europe", "days": 40, "hidden_days": 5,
                                     "late_days": 7, "categories": {}, "words_days": 9}),
    ("custodian", "rules-proposed", {"version": 1, "zone": "localtime", "days": 40,
                                     "hidden_days": 5, "late_days": 7, "categories": {},
                                     "words_days": 9}),
    ("custodian", "rules-proposed", {"version": 1, "zone": "UTC", "days": 40, "hidden_days": 5,
                                     "late_days": 7, "categories": [], "words_days": 9}),
    ("intake", "quarantine", {"device": "a", "segment": "", "reason": "", "key": None,
                              "review_ns": 0}),
    ("intake", "quarantine", {"device": "a", "segment": "x", "reason": "", "review_ns": 0,
                              "key": "footage/bench-camera-1/x/y"}),
    ("custodian", "request", {"request": "2026-00001", "type": "subject-access", "received":
                              "2026-03-03", "due": "soon", "from_ns": 0, "to_ns": "x",
                              "incident_ns": 0, "in_time": 2, "devices": 5, "officers": [],
                              "figures": {}}),
    ("disclosure", "disclosed", {}),
    ("retention", "words-erasing", {"lines": [1], "letters": []}),
    ("retention", "erasing", {"recordings": {}, "rules": 5}),
    ("custodian", "fork-settled", {"device": [], "proof": "", "heads": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("who", "kind", "said"), HOSTILE, ids=lambda value: str(value)[:40])
def test_a_signed_line_that_says_what_it_may_not_stops_no_reader(
    day: Callable[..., Day], who: str, kind: str, said: dict[str, Any]
) -> None:
    """Whoever holds a role writes with a tool of their own."""
    it = day(1)
    write_anyway(it.desk("Mallory", who), kind, said)
    desk = it.custodian
    desk.index.catch_up()
    problems = [row["problem"] for row in desk.index.rows("SELECT * FROM problems")]
    assert len(problems) == 1
    opened = public_requests.open_request(desk, asked(it))
    search_certificate.search(desk, opened.request)
    public_requests.reminders(desk)
    it.days(31)
    Expiry(it.retention).run()
    fresh = it.desk("Fresh", "auditor").index
    fresh.rebuild()
    desk.index.catch_up()
    assert fresh.rows("SELECT * FROM problems") == desk.index.rows("SELECT * FROM problems")


# --- deletion ---------------------------------------------------------------------------------


def test_hidden_on_day_24_erased_on_day_31_with_a_certificate(day: Callable[..., Day]) -> None:
    it = day()
    first = it.footage()
    assert len(first) == 2
    for passed in range(33):
        done = Expiry(it.retention).run()
        assert len(done.hidden) == (2 if passed == 24 else 0)
        assert len(done.erased) == (2 if passed == 31 else 0)
        assert len(it.footage()) == (2 if passed < 24 else 0)
        it.days(1)
    assert it.custody.store.hidden == {}
    assert sorted(it.custody.store.erased) == sorted(
        [*first, *[k for k in it.custody.store.erased if k.startswith("dockings/")]]
    )
    for certificate in certificates(it):
        assert certificate["age_days"] == 31
        assert certificate["rule"].startswith("31 days after 2026-03-02")
        assert certificate["holds"] == []
        assert certificate["ended"] == "2026-03-02"
        assert certificate["missing"] == []
        assert certificate["stores"] == 1
        assert certificate["hidden_ns"] > 0
        assert (certificate["name"], certificate["role"]) == ("retention service", "retention")
        assert certificate["files"][0]["sha256"] in str(first)
        _reads_as_a_page(it, certificate)
    assert it.names() == []


def _reads_as_a_page(it: Day, line: dict[str, Any]) -> None:
    certificate = deletion_certificate.find(it.custodian, line["recording"])
    page = deletion_certificate.page(certificate, "on a Thursday")
    for _, value in deletion_certificate.facts(certificate, "on a Thursday"):
        assert value.rpartition("SHA-256 ")[2] in page
    assert len(certificate.digest) == 64
    facts = dict(deletion_certificate.facts(certificate, "on a Thursday"))
    assert facts["holds in force"] == "none"
    assert facts["rule"] == line["rule"]
    assert facts["it ended"] == "2026-03-02, 31 days before"
    assert facts["stores"] == "1"
    assert facts["signed by"] == "retention service (retention)"
    assert facts["custody ledger"].endswith(certificate.digest)
    assert "never came" not in facts


def test_a_certificate_names_what_never_came_and_which_hold_was_in_force(
    day: Callable[..., Day],
) -> None:
    it = day(1)
    it.days(31)
    (name,) = Expiry(it.retention).run().erased
    found = deletion_certificate.find(it.custodian, name)
    said = {**found.said, "missing": ["00000001-0001-0009.mp4.age"], "holds": [7],
            "rule": "31 days <script>"}  # fmt: skip
    certificate = found._replace(said=said)
    facts = dict(deletion_certificate.facts(certificate, "today"))
    assert facts["never came"] == "00000001-0001-0009.mp4.age"
    assert facts["holds in force"] == "7"
    page = deletion_certificate.page(certificate, "today")
    assert "never came" in page
    assert "<script>" not in page
    assert "00000001-0001-0009.mp4.age" in page
    with pytest.raises(CustodyError, match="was not erased"):
        deletion_certificate.find(it.custodian, name[:-1])


def test_what_is_held_stays_for_ever(day: Callable[..., Day]) -> None:
    it = day()
    held, other = it.names()
    assert holds.place(it.custodian, held, "evidence", "case 12/26")
    assert {key.split("/")[2][:13] for key in it.custody.store.held} == {held.partition("/")[2]}
    assert not holds.place(it.custodian, held, "evidence", "case 12/26"), "once"
    it.days(400)
    done = Expiry(it.retention).run()
    assert done.erased == [other]
    assert [d.why for d in plan(it.retention)] == ["held: evidence (case 12/26)"]


def test_a_hold_in_the_hidden_week_brings_it_back(day: Callable[..., Day]) -> None:
    it = day(1)
    (name,) = it.names()
    it.days(26)
    assert Expiry(it.retention).run().hidden == [name]
    assert it.footage() == []
    assert [row["id"] for row in find(it.custodian, Wanted(hidden=True))] == [name]
    holds.place(it.custodian, name, "complaint")
    assert Expiry(it.retention).run().restored == [name]
    assert len(it.footage()) == 1
    it.days(30)
    assert Expiry(it.retention).run().erased == []


def test_a_release_takes_two_people(day: Callable[..., Day]) -> None:
    it = day(1)
    (name,) = it.names()
    ada, bob = it.custodian, it.desk("Bob", "reviewer")
    holds.place(ada, name, "evidence")
    (hold,) = ada.held(name)
    with pytest.raises(CustodyError, match="Nobody proposed"):
        holds.approve_release(bob, hold["n"])
    holds.propose_release(ada, hold["n"], "case closed")
    with pytest.raises(CustodyError, match="Somebody else"):
        holds.approve_release(ada, hold["n"])
    it.days(400)
    assert Expiry(it.retention).run().erased == []
    holds.approve_release(bob, hold["n"])
    assert Expiry(it.retention).run().erased == [name]


@pytest.mark.parametrize("spelling", ["ada", "ADA", " Ada ", "\uff21da"])
def test_one_person_in_two_spellings_is_one_person(day: Callable[..., Day], spelling: str) -> None:
    it = day(1)
    (name,) = it.names()
    ada, other = it.custodian, it.desk(spelling, "reviewer")
    holds.place(ada, name, "evidence")
    (hold,) = ada.held(name)
    holds.propose_release(ada, hold["n"], "case closed")
    with pytest.raises(CustodyError, match="Somebody else"):
        holds.approve_release(other, hold["n"])
    write_anyway(other, "release-approved", {"hold": hold["n"], "recording": name})
    assert it.custodian.held(name)


def test_whoever_writes_around_the_rules_changes_nothing(day: Callable[..., Day]) -> None:
    """The same rules hold for a line that somebody writes with a tool of their own."""
    it = day(1)
    (name,) = it.names()
    ada = it.custodian
    holds.place(ada, name, "evidence")
    (hold,) = ada.held(name)
    release = {"hold": hold["n"], "recording": name, "reason": ""}
    retention, auditor = it.retention, it.desk("Eve", "auditor")
    write_anyway(ada, "release-proposed", release)
    write_anyway(ada, "release-approved", release)
    write_anyway(ada, "erasing", {"recordings": [name], "rules": {}})
    write_anyway(auditor, "release-approved", release)
    write_anyway(retention, "erasing", {"recordings": [name], "rules": {}})
    write_anyway(retention, "erased", {"recordings": [name], "certificates": "0" * 64})
    write_anyway(retention, "hidden", {"recordings": [name], "rules": {}})
    write_anyway(retention, "nonsense", {})
    write_anyway(retention, "hold", {"recording": name, "reason": 5})
    ada.index.catch_up()
    assert ada.held(name)
    problems = [row["problem"] for row in ada.index.rows("SELECT * FROM problems ORDER BY n")]
    assert len(problems) == 9, "and a body that is none"
    assert "who proposes a release can't approve it" in problems[0]
    assert "may not write 'erasing'" in problems[1]
    it.days(400)
    assert Expiry(it.retention).run().erased == []


def test_the_store_protects_the_bytes_until_they_are_due(day: Callable[..., Day]) -> None:
    it = day(1)
    (key,) = it.footage()
    it.days(30.5)
    with pytest.raises(OSError, match="protected"):
        it.custody.store.erase(key)
    it.days(1)
    it.custody.store.erase(key)


def test_late_footage_stays_a_week(day: Callable[..., Day]) -> None:
    it = day(1, dock=False)
    it.camera.power_cut(TEAR)
    it.days(40)
    it.camera.clock.set(40 * DAY_NS, 10**9, "ntp")
    it.camera.boot()
    it.deliver()
    (name,) = it.names()
    assert find(it.custodian, Wanted())[0]["late"] == 1
    assert lines(it.custodian, "intake")[0]["files"][0]["late"] is True
    it.days(6)
    Expiry(it.retention).run()
    assert len(it.names()) == 1
    it.days(1)
    assert Expiry(it.retention).run().erased == [name]


def test_a_camera_that_brings_back_what_was_erased_may_forget_it(
    day: Callable[..., Day],
) -> None:
    """Its receipt was lost, and it comes again when the store has erased the footage."""
    it = day(1, dock=False)
    read = it.camera.uplink.read
    it.camera.uplink.read = lambda key, limit: (  # type: ignore[method-assign]
        read(key.replace("/receipts/", "/nowhere/"), limit)
    )
    it.camera.put_in_dock(True)
    it.camera.run(seconds=40)
    it.camera.put_in_dock(False)
    it.days(31)
    assert len(Expiry(it.retention).run().erased) == 1
    it.camera.uplink.read = read  # type: ignore[method-assign]
    it.record()
    it.camera.put_in_dock(True)
    it.camera.run(seconds=60)
    assert it.camera.disk.names("footage") == []
    assert it.camera.ledger("refusal") == []
    assert len(it.names()) == 1
    Expiry(it.retention).run()
    kept = [key for key, _ in it.custody.store.everything() if key.startswith("footage/")]
    assert len(kept) == 1, "what was sent once more is erased once more"


def test_an_interrupted_deletion_is_finished(day: Callable[..., Day]) -> None:
    it = day(1)
    (name,) = it.names()
    it.days(31)
    desk = it.retention
    desk.append(lambda: ("erasing", {"recordings": [name], "rules": {}}))
    with pytest.raises(CustodyError):
        search.review(it.custodian, "none", "")
    assert not it.custodian.hold(name, "too late")
    assert Expiry(it.retention).run().erased == [name]
    assert it.footage() == []
    assert len(lines(desk, "erasing")) == 1, "it was decided before"


def test_far_more_than_usual_must_be_confirmed(
    day: Callable[..., Day], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bwv_device.custody.retention.deletion.BULK_LEAST", 1)
    it = day(3)
    it.days(31)
    with pytest.raises(CustodyError, match=r"would erase 3 recordings.*--confirm 3"):
        Expiry(it.retention).run()
    with pytest.raises(CustodyError):
        Expiry(it.retention).run(confirmed=2)
    assert len(Expiry(it.retention).run(confirmed=3).erased) == 3


def test_a_category_lengthens(day: Callable[..., Day]) -> None:
    it = day()
    longer, shorter = it.names()
    search.categorize(it.custodian, longer, "evidence")
    with pytest.raises(CustodyError, match="Choose one of"):
        search.categorize(it.custodian, longer, "rubbish")
    it.days(32)
    assert Expiry(it.retention).run().erased == [shorter]
    it.days(365)
    assert Expiry(it.retention).run().erased == [longer]


def test_what_was_flagged_waits_for_a_person(day: Callable[..., Day]) -> None:
    it = day(0, dock=False)
    it.record(flag=True)
    it.deliver()
    (name,) = it.names()
    assert [h["reason"] for h in it.custodian.held(name)] == ["flagged as evidence on the camera"]
    it.days(90)
    assert Expiry(it.retention).run().erased == []


# --- requests ---------------------------------------------------------------------------------


def asked(it: Day, *, after_days: int = 3, **wishes: Any) -> public_requests.RequestDetails:
    """A letter about the first minute of the shift."""
    start_ns = EPOCH_UTC_NS
    received = it.custody.clock.utc().utc_ns
    day = datetime.datetime.fromtimestamp(received // SECOND_NS, datetime.UTC).date()
    fields: dict[str, Any] = {
        "kind": law.SUBJECT_ACCESS, "letter": b"Dear Sir or Madam ...",
        "letter_name": "letter.txt", "received": day, "incident_ns": start_ns + 5 * SECOND_NS,
        "from_ns": start_ns, "to_ns": start_ns + 8 * SECOND_NS, "place": "Mare Street",
        "description": "stopped at the bus stop", **wishes,
    }  # fmt: skip
    return public_requests.RequestDetails(**fields)


def test_a_request_protects_by_its_own_line_and_holds_follow(day: Callable[..., Day]) -> None:
    """Whoever opened it died right after: nothing that it asks for goes, and intake places the
    holds."""
    it = day(2)
    first, second = it.names()
    it.days(3)
    desk = it.custodian

    def die(*_: object, **__: object) -> bool:
        raise ConnectionError("the process is gone")

    desk.hold = die  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        public_requests.open_request(desk, asked(it, letter_name="Brief von Frau Müller (2).txt"))
    desk.index.catch_up()
    assert desk.index.rows("SELECT * FROM holds") == []
    it.days(60)
    assert Expiry(it.retention).run().erased == [second]
    write_anyway(it.retention, "erasing", {"recordings": [first], "rules": {}})
    it.custody.look()
    (hold,) = it.desk("Eve", "auditor").held(first)
    assert hold["request"] == "2026-00001"
    row = it.desk("Eve", "auditor")
    row.index.catch_up()
    assert row.index.rows("SELECT * FROM recordings WHERE erasing AND id = ?", first) == []


@pytest.mark.parametrize("taken", [1, 2])
def test_what_is_taken_off_the_card_before_it_is_docked_is_named(
    day: Callable[..., Day], taken: int
) -> None:
    """SA2: the ledger speaks of it. A search must not certify that there is nothing."""
    it = day(2, dock=False)
    kept = sorted(it.camera.disk.names("footage"))[:taken]
    for name in kept:
        it.camera.disk.remove(f"footage/{name}")
    it.deliver()
    desk = it.custodian
    desk.index.catch_up()
    rows = desk.index.rows("SELECT segment FROM files WHERE status = 'absent' ORDER BY segment")
    assert [row["segment"] for row in rows] == kept
    assert len(it.names()) == 2
    (problem,) = desk.index.rows("SELECT * FROM problems")
    assert f"recorded {taken} files that are not on its card" in problem["problem"]
    opened = public_requests.open_request(desk, asked(it))
    coverage = search_certificate.search(desk, opened.request)
    assert coverage.found == coverage.not_delivered == it.names()[:1]
    camera = desk.index.row("SELECT * FROM cameras")
    assert camera is not None
    assert camera["waiting"] == 0, "what never comes does not keep a camera from being issued"


def test_a_category_that_is_given_during_a_run_saves(day: Callable[..., Day]) -> None:
    it = day(2)
    first, second = it.names()
    it.days(40)
    expiry = Expiry(it.retention)
    between_plan_and_decision(expiry, lambda: search.categorize(it.custodian, second, "evidence"))
    assert expiry.run().erased == [first]


def test_a_request_that_is_closed_names_its_holds(day: Callable[..., Day]) -> None:
    it = day(1)
    (name,) = it.names()
    opened = public_requests.open_request(it.custodian, asked(it))
    left = public_requests.close_request(it.custodian, opened.request, "refused", "not theirs")
    assert [hold["recording"] for hold in left] == [name]


def test_a_request_holds_what_it_asks_for_at_once(day: Callable[..., Day]) -> None:
    it = day(2)
    first, second = it.names()
    it.days(3)
    opened = public_requests.open_request(it.custodian, asked(it))
    assert opened.in_time
    assert opened.held == [first]
    assert opened.due.isoformat() == "2026-04-07"
    sha256 = hashlib.sha256(asked(it).letter).hexdigest()
    assert it.custody.store.read(store_keys.letter(sha256), 1000) == asked(it).letter
    it.days(60)
    assert Expiry(it.retention).run().erased == [second]
    assert public_requests.reminders(it.custodian) == [
        f"request {opened.request} was due on 2026-04-07, {27} days ago"
    ]
    public_requests.close_request(it.custodian, opened.request, "disclosed", "sent on a disk")
    assert public_requests.reminders(it.custodian) == []
    with pytest.raises(CustodyError, match="no open request"):
        public_requests.close_request(it.custodian, opened.request, "disclosed", "")
    assert it.custodian.held(first), "holds are released by two people, not by an answer"


def test_and_what_is_still_on_a_camera(day: Callable[..., Day]) -> None:
    it = day(1, dock=False)
    it.days(2)
    opened = public_requests.open_request(it.custodian, asked(it))
    assert opened.held == []
    it.deliver()
    (name,) = it.names()
    assert [h["request"] for h in it.custodian.held(name)] == [opened.request]


def test_a_request_after_31_days_holds_nothing(day: Callable[..., Day]) -> None:
    it = day(1)
    holds.place(it.custodian, it.names()[0], "evidence")
    it.days(32)
    opened = public_requests.open_request(it.custodian, asked(it))
    assert not opened.in_time
    assert opened.held == []
    assert public_requests.candidates(it.custodian.index, opened.request) == it.names()


def test_a_search_says_what_it_can_not_have_seen(day: Callable[..., Day]) -> None:
    it = day(1)
    it.days(1)
    wanted = asked(it, devices=("bench-camera-1", "cam-9"))
    with pytest.raises(CustodyError, match="no camera cam-9 is known"):
        public_requests.open_request(it.custodian, wanted)
    configuration = role(it.agency, "g", "configuration")
    with pytest.raises(CustodyError, match="No camera cam-9 has docked here"):
        camera_register.issue(it.custodian, configuration, "cam-9", "PC 1")
    camera_register.issue(it.custodian, configuration, "cam-9", "PC 1", new=True)
    opened = public_requests.open_request(it.custodian, wanted)
    coverage = search_certificate.search(it.custodian, opened.request)
    assert coverage.found == it.names()
    assert coverage.searched == ["bench-camera-1"]
    assert coverage.not_docked == ["cam-9"]
    (line,) = lines(it.custodian, "search")
    assert line["not_docked"] == ["cam-9"]
    assert line["name"] == "Ada"


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"kind": "gossip"}, "unknown kind of request"),
        ({"letter": b""}, "letter is empty"),
        ({"letter_name": "a\x1b[8mb"}, "name can't be written down"),
        ({"from_ns": EPOCH_UTC_NS + DAY_NS}, "ends before it begins"),
        ({"received": datetime.date(2026, 3, 1)}, "after the request"),
        ({"received": datetime.date(2036, 3, 1)}, "in the future"),
        ({"place": " "}, "names no place"),
        ({"description": ""}, "does not say what happened"),
    ],
)
def test_a_request_that_makes_no_sense_is_not_opened(
    day: Callable[..., Day], wish: dict[str, Any], said: str
) -> None:
    it = day(0, dock=False)
    with pytest.raises(CustodyError, match=said):
        public_requests.open_request(it.custodian, asked(it, **wish))
    assert lines(it.custodian, "request") == []


# --- issue register -----------------------------------------------------------------------------


def test_a_camera_is_issued_to_one_officer_at_a_time(day: Callable[..., Day]) -> None:
    it = day(1)
    device, key = it.agency.device.device, role(it.agency, "g", "configuration")
    camera_register.issue(it.custodian, key, device, "PC 1")
    camera_register.issue(
        it.custodian, key, device, "PC 1"
    )  # the same again publishes what is missing
    with pytest.raises(CustodyError, match="issued to PC 1"):
        camera_register.issue(it.custodian, key, device, "PC 2")
    camera_register.take_back(it.custodian, key, device)
    assert camera_register.issue(it.custodian, key, device, "PC 2") == 3
    camera_register.revoke(it.custodian, device, "lost")
    camera_register.take_back(it.custodian, key, device)
    with pytest.raises(CustodyError, match="revoked"):
        camera_register.issue(it.custodian, key, device, "PC 1")


def test_a_camera_that_is_not_fit_is_not_issued() -> None:
    camera = {"revoked": "", "officer": "", "waiting": 2, "clock": "none", "battery": 12}
    problems = camera_register.refusals(camera, "PC 1")
    assert problems == ["2 files of footage have not arrived", "its clock is not set",
                        "its battery is at 12 %"]  # fmt: skip
    assert (
        camera_register.refusals({**camera, "waiting": 0, "clock": "rtc", "battery": 90}, "P") == []
    )
    assert camera_register.refusals(None, "") == ["an officer is needed"]


# --- chain --------------------------------------------------------------------------------------


def test_the_life_of_a_recording_from_the_press_to_the_end(day: Callable[..., Day]) -> None:
    it = day(1)
    (name,) = it.names()
    holds.place(it.custodian, name, "evidence")
    search.review(it.custodian, name, "nothing on it")
    life = audit(it.custodian, [it.agency.root], name)
    assert life.problems == []
    told = [step.what for step in life.steps]
    wanted = ["open", "seal", "close", "docking", "intake", "hold", "review"]
    assert [what for what in told if what in wanted] == wanted


def test_a_piece_of_a_ledger_that_nobody_read_is_not_taken(day: Callable[..., Day]) -> None:
    """A line that corrupts what is sent again, of a boot that was judged long ago."""
    it = day(1)
    create = it.camera.uplink.create

    def with_another(key: str, body: Body) -> None:
        create(key, body)
        if key.startswith("ledgers/"):
            it.custody.store.put(f"{key.rpartition('/')[0]}/00000000-000000000000", b"corrupted\n")

    it.camera.uplink.create = with_another  # type: ignore[method-assign]
    it.camera.put_in_dock(False)
    it.record()
    it.deliver()
    assert any(b"corrupted" in data for data in it.custody.store.objects.values())
    for name in it.names():
        assert audit(it.custodian, [it.agency.root], name).problems == []


def test_what_came_again_after_its_erasure_is_erased_wherever_it_lies(
    day: Callable[..., Day],
) -> None:
    """Nobody announced it: its camera was taken away before its docking was taken."""
    it = day(1)
    (key,) = it.footage()
    data = it.custody.store.objects[key]
    it.days(31)
    Expiry(it.retention).run()
    it.days(60)
    replica = MemoryStore()
    for store in (it.custody.store, replica):
        store.put(key, data)
        store.put("footage/strange", b"nobody knows it")
    done = Expiry(it.retention, [replica]).run()
    assert done.denied == []
    assert it.footage() == ["footage/strange"]
    assert list(replica.objects) == ["footage/strange"]


def test_what_a_store_does_not_let_go_after_its_erasure_is_told_and_stops_nothing(
    day: Callable[..., Day],
) -> None:
    it = day(2)
    store, keys = it.custody.store, it.footage()
    data = [store.objects[key] for key in keys]
    it.days(31)
    Expiry(it.retention).run()
    for key, content in zip(keys, data, strict=True):
        store.put(key, content)
        store.put(f"{key}/longer", content)
    store.hold(store.stat(keys[0]), on=True)
    (sentence,) = Expiry(it.retention).run().denied
    assert f"{keys[0]} was erased, and came again" in sentence
    assert "protected" in sentence
    assert it.footage() == [keys[0], f"{keys[0]}/longer", f"{keys[1]}/longer"]


def test_a_hold_whose_writer_died_before_the_lock_is_locked_by_the_next_run(
    day: Callable[..., Day],
) -> None:
    it = day(2)
    held, other = it.names()
    said = {"recording": held, "reason": "evidence", "case": "7", "request": ""}
    it.custodian.append(lambda: ("hold", said))
    assert it.custody.store.held == set()
    Expiry(it.retention).run()
    locked = {key.split("/")[2][:13] for key in it.custody.store.held}
    assert locked == {held.rpartition("/")[2]}
    assert other not in locked


def test_what_is_held_while_the_run_goes_is_not_erased(day: Callable[..., Day]) -> None:
    it = day(2)
    first, second = it.names()
    it.days(31)
    custodian, expiry = it.custodian, Expiry(it.retention)
    between_plan_and_decision(expiry, lambda: custodian.hold(second, "evidence"))
    assert expiry.run().erased == [first]
    assert len(it.footage()) == 1
    assert len(lines(custodian, "erasing")) == len(lines(custodian, "erased")) == 1


def test_what_was_received_and_is_gone_is_told(day: Callable[..., Day]) -> None:
    """Its receipt was lost on the way, and then the store lost the file."""
    it = day(1, dock=False)
    read = it.camera.uplink.read
    it.camera.uplink.read = lambda key, limit: (  # type: ignore[method-assign]
        read(key.replace("/receipts/", "/nowhere/"), limit)
    )
    it.camera.put_in_dock(True)
    it.camera.run(seconds=40)
    it.camera.put_in_dock(False)
    (key,) = it.footage()
    data = it.custody.store.objects.pop(key)
    create = it.camera.uplink.create

    def all_but_footage(at: str, body: Body) -> None:
        if not at.startswith("footage/"):
            create(at, body)

    it.camera.uplink.create = all_but_footage  # type: ignore[method-assign]
    it.camera.put_in_dock(True)
    it.camera.run(seconds=40)
    assert it.custody.workers[0].once().troubles == [f"{key} was received, and is gone"]
    it.custody.store.objects[key] = data
    it.camera.uplink.read = read  # type: ignore[method-assign]
    it.camera.run(seconds=40)
    assert it.camera.disk.names("footage") == [], "and it goes on when it is there again"


@pytest.mark.parametrize("lower", [False, True])
def test_other_bytes_of_the_same_length_are_not_received(
    day: Callable[..., Day], *, lower: bool
) -> None:
    """Whatever their digest is, lower or higher."""
    it = day(1, dock=False)
    create = it.camera.uplink.create

    def changed(key: str, body: Body) -> None:
        if not key.startswith("footage/"):
            create(key, body)
            return
        data = body.read(0, body.length)
        others = (bytes([byte]) + data[1:] for byte in range(256))
        digests = {hashlib.sha256(other).hexdigest(): other for other in others}
        del digests[body.sha256]
        digest = next(d for d in digests if (d < body.sha256) == lower)
        it.custody.store.put(key, digests[digest])

    it.camera.uplink.create = changed  # type: ignore[method-assign]
    it.camera.put_in_dock(True)
    it.camera.run(seconds=20)
    assert lines(it.custodian, "intake") == []
    assert len(it.camera.disk.names("footage")) == 1
    assert any(key.startswith("quarantine/") for key in it.custody.store.objects)


class Troubled(MemoryStore):
    """A store that answers every act with an error."""

    def __init__(self, trouble: StoreTrouble) -> None:
        super().__init__()
        self.trouble = trouble

    def _no(self) -> NoReturn:
        raise StoreError(self.trouble, "it says no")

    def hide(self, key: str) -> None:
        self._no()

    def erase(self, key: str) -> None:
        self._no()

    def hold(self, stored: Stored, on: bool) -> bool:
        self._no()


@pytest.mark.parametrize("trouble", [StoreTrouble.TRANSIENT, StoreTrouble.FULL])
def test_a_replica_that_is_away_is_told_when_all_else_is_done(
    day: Callable[..., Day], trouble: StoreTrouble
) -> None:
    it = day(2)
    it.days(31)
    with pytest.raises(StoreError, match="says no"):
        Expiry(it.retention, [Troubled(trouble)]).run()
    assert it.footage() == []
    assert lines(it.custodian, "erased") == []
    assert len(Expiry(it.retention).run().erased) == 2


def test_a_replica_that_protects_is_told_once_a_recording(day: Callable[..., Day]) -> None:
    it = day(0, dock=False)
    it.camera.press_record_twice()
    it.camera.run(seconds=24)
    it.camera.hold_record()
    it.camera.run(seconds=2)
    it.deliver()
    assert len(it.footage()) > 1
    it.days(31)
    done = Expiry(it.retention, [Troubled(StoreTrouble.DENIED)]).run()
    (name,) = it.names()
    assert done.denied == [f"{name}: it says no"]
    assert done.erased == []


def test_a_store_that_is_away_ends_the_run_at_once(day: Callable[..., Day]) -> None:
    it = day(2)
    it.days(31)
    erased: list[str] = []

    def away(key: str) -> None:
        erased.append(key)
        raise StoreError(StoreTrouble.TRANSIENT, "no answer")

    it.custody.store.erase = away  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="no answer"):
        Expiry(it.retention).run()
    assert len(erased) == 1


@pytest.mark.parametrize(
    ("trouble", "locked"), [(StoreTrouble.DENIED, False), (StoreTrouble.MISSING, True)]
)
def test_a_lock_that_may_not_be_set_is_told_and_one_on_nothing_is_not(
    day: Callable[..., Day], trouble: StoreTrouble, *, locked: bool
) -> None:
    it = day(1)
    (name,) = it.names()
    it.custody.store.hold = Troubled(trouble).hold  # type: ignore[method-assign]
    custodian = it.custodian
    assert custodian.hold(name, "evidence")
    assert custodian.lock(name) is locked
    it.custody.store.hold = Troubled(StoreTrouble.TRANSIENT).hold  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        custodian.lock(name)


def test_intake_counts_what_it_took(day: Callable[..., Day]) -> None:
    it = day(2)
    total, arrived = Counter[str](), Counter[str]()
    for done in it.custody.done:
        total.update({"received": done.received, "receipts": done.receipts})
        total.update({"greeted": done.greeted})
        arrived.update(done.arrived)
    assert total == {"received": 2, "receipts": 2, "greeted": 1}
    assert arrived == dict.fromkeys(it.names(), 1)


def test_what_was_answered_is_not_read_again(day: Callable[..., Day]) -> None:
    """A docking stays until its last file is answered; the others cost nothing more."""
    it = day(2, dock=False)
    create = it.camera.uplink.create
    kept: list[str] = []

    def all_but_the_last(key: str, body: Body) -> None:
        if key.startswith("footage/") and "-0002-" in key:
            kept.append(key)
            raise StoreError(StoreTrouble.TRANSIENT, "later")
        create(key, body)

    it.camera.uplink.create = all_but_the_last  # type: ignore[method-assign]
    blocks, read = it.custody.store.blocks, Counter[str]()

    def counted(stored: Stored) -> Iterator[bytes]:
        read[stored.key] += 1
        return blocks(stored)

    it.custody.store.blocks = counted  # type: ignore[method-assign]
    it.camera.put_in_dock(True)
    it.camera.run(seconds=60)
    assert kept
    assert list(read.values()) == [1]


def test_files_are_worked_on_in_batches_and_none_is_left_out() -> None:
    files = [Announced(f"{n}", n, "") for n in range(3 * BATCH + 5)]
    found = list(batches(files))
    assert [len(batch) for batch in found] == [BATCH, BATCH, BATCH, 5]
    assert [file for batch in found for file in batch] == files


def test_a_first_issue_is_version_one_and_a_return_that_was_cut_is_published(
    day: Callable[..., Day],
) -> None:
    it = day(0, dock=False)
    key = role(it.agency, "g", "configuration")
    assert camera_register.issue(it.custodian, key, "new", "PC 5", new=True) == 1
    with pytest.raises(CustodyError, match="issued to PC 5"):
        camera_register.issue(it.custodian, key, "new", "PC 4")
    custodian = it.custodian
    create = it.custody.store.create

    def away(at: str, body: Body) -> None:
        if at.startswith("outbox/"):
            raise StoreError(StoreTrouble.TRANSIENT, "no answer")
        create(at, body)

    it.custody.store.create = away  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        camera_register.take_back(custodian, key, "new")
    it.custody.store.create = create  # type: ignore[method-assign]
    assert "outbox/new/assignments/00000002" not in it.custody.store.objects
    with pytest.raises(CustodyError, match="issued to nobody"):
        camera_register.take_back(custodian, key, "new")
    assert "outbox/new/assignments/00000002" in it.custody.store.objects
    with pytest.raises(CustodyError, match="issued to nobody"):
        camera_register.take_back(custodian, key, "never seen")
    assert [line["version"] for line in lines(custodian, "return")] == [2]


def test_the_index_is_the_same_when_it_is_built_anew(day: Callable[..., Day]) -> None:
    it = day(2)
    holds.place(it.custodian, it.names()[0], "evidence")
    it.days(26)
    Expiry(it.retention).run()
    desk = it.custodian
    desk.index.catch_up()
    before = [desk.index.rows(f"SELECT * FROM {t}") for t in ("recordings", "files", "holds")]
    fresh = Index(
        CustodyLedger(it.custody.store, it.custody.clock, SeededEntropy("x")), [it.agency.root]
    )
    fresh.catch_up()
    assert [fresh.rows(f"SELECT * FROM {t}") for t in ("recordings", "files", "holds")] == before
    fresh.rebuild()
    assert [fresh.rows(f"SELECT * FROM {t}") for t in ("recordings", "files", "holds")] == before


@pytest.mark.parametrize("how", ["changed", "removed", "swapped", "cut"])
def test_a_custody_ledger_that_was_tampered_with_is_found_out(
    day: Callable[..., Day], how: str
) -> None:
    it = day(1)
    objects = it.custody.store.objects
    keys = sorted(key for key in objects if key.startswith("custody/ledger/"))
    if how == "changed":
        objects[keys[0]] = objects[keys[0]].replace(b'"clock":"rtc"', b'"clock":"ntp"')
    elif how == "removed":
        del objects[keys[0]]
    elif how == "swapped":
        objects[keys[0]], objects[keys[1]] = objects[keys[1]], objects[keys[0]]
    else:
        objects[keys[1]] = objects[keys[1]][:-5]
    desk = it.desk("Eve", "auditor")
    if how == "cut":  # what is left of the last line is no line any more
        desk.index.catch_up()
        (problem,) = desk.index.rows("SELECT * FROM problems")
        assert "no role of the agency wrote" in problem["problem"]
        return
    why = {"changed": "line 2 does not continue", "removed": "line 1 is missing",
           "swapped": "holds line 2"}  # fmt: skip
    with pytest.raises(CustodyError, match=why[how]):
        desk.index.catch_up()


def test_a_stranger_can_write_nothing_that_counts(day: Callable[..., Day]) -> None:
    it = day(1)
    other = BenchAgency("another")
    stranger = CustodySession(
        it.custody.store, it.custody.clock, role(other, "Mallory", "custodian"), [other.root],
        it.custodian.retention, SeededEntropy("x"),
    )  # fmt: skip
    stranger.append(lambda: ("revoke", {"device": it.agency.device.device, "reason": "x"}))
    desk = it.custodian
    desk.index.catch_up()
    (problem,) = desk.index.rows("SELECT * FROM problems")
    assert "no role of the agency wrote" in problem["problem"]
    it.custody.store.create(store_keys.line(99), BytesBody(b"nonsense\n"))
    desk.append(lambda: ("revoke", {"device": it.agency.device.device, "reason": "y"}))
    told = [row["problem"] for row in desk.index.rows("SELECT * FROM problems")]
    assert sum("set aside" in problem for problem in told) == 3


def test_find(day: Callable[..., Day]) -> None:
    it = day(2)
    first, second = it.names()
    start_ns = EPOCH_UTC_NS
    desk = it.custodian

    def names(**wanted: Any) -> list[str]:
        return [row["id"] for row in find(desk, Wanted(**wanted))]

    assert names(to_ns=start_ns + 5 * SECOND_NS) == [first]
    assert names(from_ns=start_ns + 10 * SECOND_NS) == [second]
    with pytest.raises(CustodyError, match="No recording is of a camera 'another'"):
        names(device="another")
    with pytest.raises(CustodyError, match="Unknown category"):
        names(category="nonsense")
    with pytest.raises(CustodyError, match="--from is later than --to"):
        names(from_ns=2, to_ns=1)
    assert count(desk, Wanted(limit=1)) == 2
    assert names(officer="unassigned") == [first, second]
    assert names(category="evidence") == []
    assert names(marker="informed") == []
    holds.place(desk, first, "x")
    assert names(held=True) == [first]
    assert names(held=False) == [second]
    assert names(limit=1) == [second]
