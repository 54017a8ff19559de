"""Nothing goes before its day: by rules that two persons signed, by the store's own time, whoever
holds the retention key (docs/format.md, 8.6 and 8.7)."""

from __future__ import annotations

import json
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from support.custody_day import DAY_NS, Day, lines
from support.write_anyway import write_anyway

from bwv_device.custody import search
from bwv_device.custody.ledger.ledger import CustodyLedger, Place
from bwv_device.custody.retention import agreed_rules, deletion_certificate
from bwv_device.custody.retention.deletion import Expiry
from bwv_device.custody.retention_dates import Retention
from bwv_device.errors import CustodyError
from bwv_device.formats import canonical_json, store_keys
from bwv_device.verification.tlog.merkle_tree import leaf_hash, proves_inclusion
from hal.host import HostClock
from hal.simulated.power_dock_and_place import SeededEntropy
from hal.simulated.store import MemoryStore
from sim.custody.drawn_ledger import drawn_docking
from sim.world.camera_handle import TEAR
from sim.world.custody_workers import founded, session
from sim.world.test_keys import BenchAgency
from sim.world.world import EPOCH_UTC_NS

LONDON = ZoneInfo("Europe/London")


@pytest.fixture
def day(agency: BenchAgency) -> Callable[..., Day]:
    return lambda *a, **k: Day(agency, *a, **k)


def problems(it: Day) -> list[str]:
    index = it.custodian.index
    index.catch_up()
    return [row["problem"] for row in index.rows("SELECT problem FROM problems ORDER BY n")]


def agree(it: Day, rules: Retention) -> None:
    version = agreed_rules.propose(it.custodian, rules)
    agreed_rules.approve(it.desk("Bob", "custodian"), version)


# --- the retention key alone -------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "days"), [("hiding", 23.5), ("erasing", 30.5)])
def test_a_line_before_the_day_does_not_count_whoever_signed_it(
    day: Callable[..., Day], kind: str, days: float
) -> None:
    it = day(1)
    (name,) = it.names()
    it.days(days - 0.5)
    write_anyway(it.retention, kind, {"recordings": [name], "rules": {name: "31 days"}})
    (said,) = problems(it)
    assert f"{name} is not to be {'hidden' if kind == 'hiding' else 'erased'} before 2026-" in said
    it.days(1)
    write_anyway(it.retention, kind, {"recordings": [name], "rules": {name: "31 days"}})
    assert len(problems(it)) == 1, "from its day on it counts"


def test_certificates_without_a_decision_do_not_count(day: Callable[..., Day]) -> None:
    it = day(1)
    (name,) = it.names()
    said = {"recordings": [name], "certificates": "0" * 64}
    write_anyway(it.retention, "erased", said)
    write_anyway(it.retention, "erased", {**said, "certificates": "no root"})
    assert len(problems(it)) == 2
    assert it.names() == [name]


def test_a_line_that_is_dated_back_does_not_count(day: Callable[..., Day]) -> None:
    it = day(1)
    (name,) = it.names()
    it.days(30)
    ada = it.custodian
    search.review(ada, name, "a street")
    it.custody.clock.ahead_ns -= 25 * DAY_NS
    index = ada.index
    place = index.catch_up()
    ledger = CustodyLedger(it.custody.store, it.custody.clock, SeededEntropy("back"))
    said = {"recording": name, "reason": "it was held all along", "case": "", "request": ""}
    back = Place(place.head, place.aside, 0)
    assert ledger.append_once(ada.signer, back, index.knows, lambda: ("hold", said)).line
    assert "it is dated before the line in front of it" in problems(it)
    assert not ada.held(name)


def test_a_clock_that_is_behind_takes_the_last_lines_time(day: Callable[..., Day]) -> None:
    it = day(1)
    (name,) = it.names()
    it.days(30)
    search.review(it.custodian, name, "a street")
    before_ns = it.custodian.index.catch_up().utc_ns
    it.custody.clock.ahead_ns -= 25 * DAY_NS
    it.custodian.hold(name, "evidence")
    (line,) = lines(it.custodian, "hold")
    assert line["utc_ns"] == before_ns
    assert problems(it) == []


# --- rules -------------------------------------------------------------------------------------


def test_two_persons_agree_on_rules_and_they_count(day: Callable[..., Day]) -> None:
    it = day(2)
    first, second = it.names()
    longer = Retention(LONDON, 40, 5, 7, {"evidence": 100})
    version = agreed_rules.propose(it.custodian, longer)
    with pytest.raises(CustodyError, match="Somebody else"):
        agreed_rules.approve(it.custodian, version)
    it.days(24)
    assert Expiry(it.retention).run().hidden == [first, second], "not in force yet"
    assert agreed_rules.approve(it.desk("Bob", "custodian"), version) == longer
    done = Expiry(it.retention).run()
    assert done.erased == []
    assert done.restored == [first, second], "they have more time by now"
    with pytest.raises(CustodyError, match="in force already"):
        agreed_rules.propose(it.custodian, longer)
    search.categorize(it.custodian, first, "evidence")
    it.days(16)
    assert Expiry(it.retention).run().erased == [second]
    it.days(59)
    assert Expiry(it.retention).run().erased == []
    it.days(1)
    assert Expiry(it.retention).run().erased == [first]


def test_what_is_configured_shortens_nothing_that_was_agreed(day: Callable[..., Day]) -> None:
    it = day(1)
    hasty = it.retention
    hasty.configured = Retention(LONDON, 3, 1, 0)
    it.days(10)
    assert Expiry(hasty).run().erased == [], "31 days are built in"
    agree(it, Retention(LONDON, 35, 5, 7))
    it.days(24)
    assert Expiry(hasty).run().erased == []
    it.days(1)
    assert len(Expiry(hasty).run().erased) == 1


@pytest.mark.parametrize(
    "changed",
    [{"days": 0}, {"days": 10**6}, {"hidden_days": 41}, {"late_days": -1}, {"days": "31"},
     {"days": True}, {"zone": "Nowhere/At all"}, {"categories": {"x": 0}},
     {"categories": {"x": "y"}}, {"categories": {str(n): 40 for n in range(101)}},
     {"version": 2}],
    ids=str,
)  # fmt: skip
def test_rules_that_are_none_do_not_count(
    day: Callable[..., Day], changed: dict[str, object]
) -> None:
    it = day(1)
    said = {"version": 1, "zone": "Europe/London", "days": 40, "hidden_days": 5, "late_days": 7,
            "categories": {}}  # fmt: skip
    write_anyway(it.custodian, "rules-proposed", {**said, **changed})
    assert len(problems(it)) == 1
    assert it.custodian.index.rules is None


def test_nobody_approves_alone_with_a_tool_of_their_own(day: Callable[..., Day]) -> None:
    it = day(1)
    agreed_rules.propose(it.custodian, Retention(LONDON, 2, 1, 0))
    (line,) = lines(it.custodian, "rules-proposed")
    write_anyway(it.custodian, "rules-approved", {"version": 1, "proposed": line["n"]})
    assert "who proposes rules can't approve them" in problems(it)[0]
    assert it.custodian.index.rules is None


# --- certificates --------------------------------------------------------------------------------


def test_one_pair_of_lines_for_many_and_a_certificate_for_each(day: Callable[..., Day]) -> None:
    it = day(5)
    names = it.names()
    it.days(31)
    assert Expiry(it.retention, at_once=4).run().erased == names
    assert len(lines(it.custodian, "erasing")) == len(lines(it.custodian, "erased")) == 1
    for name in names:
        found = deletion_certificate.find(it.custodian, name)
        leaf = leaf_hash(canonical_json.encode(found.said))
        path = [bytes.fromhex(node) for node in found.proof]
        root = bytes.fromhex(found.line["certificates"])
        assert proves_inclusion(leaf, found.leaf, found.size, path, root)
        others = set(names) - {name}
        assert not any(other in json.dumps(found.said) for other in others)
        (step,) = [s for s in search.lines_about(it.custodian, name) if s["kind"] == "erasing"]
        assert step["recordings"] == [name], "a recording's history tells of no other"
        assert step["rule"].startswith("31 days after")


def test_a_certificate_that_was_lost_or_changed_is_told(day: Callable[..., Day]) -> None:
    it = day(2)
    names = it.names()
    it.days(31)
    Expiry(it.retention).run()
    (line,) = lines(it.custodian, "erased")
    key, objects = store_keys.certificates(line["certificates"]), it.custody.store.objects
    whole = objects[key]
    for damage in (b"", whole.replace(b'"age_days":31', b'"age_days":30'), None):
        if damage is None:
            del objects[key]
        else:
            objects[key] = damage
        with pytest.raises(CustodyError, match="its certificate is lost"):
            deletion_certificate.find(it.custodian, names[0])
    assert it.names() == [], "that it was erased is known all the same"


def test_what_comes_while_its_recording_is_being_erased_is_taken_afterwards(
    agency: BenchAgency,
) -> None:
    """Else its certificate would not name it, and its camera would forget it."""
    store = founded(MemoryStore())
    intake = session(agency, store, HostClock(), "intake", "intake")
    docking, took = drawn_docking(1, 1)
    intake.append(lambda: ("docking", docking))
    names = ["cam-00001/00000001-0001"]
    retention = session(agency, store, HostClock(), "retention", "retention")
    write_anyway(retention, "erasing", {"recordings": names, "rules": {}})
    write_anyway(intake, "intake", took)
    (problem,) = intake.index.rows("SELECT * FROM problems")
    assert "is being erased" in problem["problem"]
    (file,) = intake.index.rows("SELECT * FROM files")
    assert file["status"] == "expected"
    write_anyway(retention, "erased", {"recordings": names, "certificates": "0" * 64})
    write_anyway(intake, "intake", took)
    (file,) = intake.index.rows("SELECT * FROM files")
    assert file["status"] == "received", "with days of its own"


# --- the camera's clock --------------------------------------------------------------------------


@pytest.mark.parametrize("off_days", [-40, 40, 0])
def test_the_stores_time_bounds_a_cameras_clock(
    day: Callable[..., Day], agency: BenchAgency, off_days: int
) -> None:
    """A clock that is 40 days off, and says that it is right to a second."""
    it = Day(agency, 0, dock=False)
    it.camera.power_cut(TEAR)
    it.camera.clock.set(off_days * DAY_NS, 10**9, "ntp")
    it.camera.boot()
    it.camera.run(seconds=2)
    it.record()
    it.deliver()
    (name,) = it.names()
    that_day = search.Wanted(from_ns=EPOCH_UTC_NS, to_ns=EPOCH_UTC_NS + DAY_NS)
    assert [row["id"] for row in search.find(it.custodian, that_day)] == [name]
    it.days(23)
    assert Expiry(it.retention).run().hidden == []
    it.days(7)
    assert Expiry(it.retention).run().erased == []
    it.days(1)
    assert Expiry(it.retention).run().erased == [name]
