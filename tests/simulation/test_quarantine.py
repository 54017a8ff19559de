"""What intake did not accept has an owner, a day, and two ways to end."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.custody_day import Day, lines
from support.write_anyway import write_anyway

from bwv_device.custody import camera_register, quarantine
from bwv_device.custody.retention.deletion import Expiry
from bwv_device.errors import CustodyError
from sim.world.test_keys import BenchAgency


@pytest.fixture
def it(agency: BenchAgency, tmp_path: Path) -> Day:
    """A docking that was refused: a proof of a fork is kept of its camera. Its file lies in the
    store all the same."""
    day = Day(agency, 1, dock=False)
    (tmp_path / "bench-camera-1.forked.json").write_text("proof")
    day.custody.workers[0]._heads = tmp_path
    day.camera.put_in_dock(True)
    day.camera.run(seconds=20)
    assert len(day.footage()) == 1
    return day


def only(it: Day) -> dict[str, object]:
    (row,) = quarantine.listed(it.custodian)
    return dict(row)


def test_it_has_an_owner_and_a_day(it: Day) -> None:
    row = only(it)
    number = int(str(row["n"]))
    assert (row["state"], row["owner"]) == ("open", "")
    assert quarantine.overdue(it.custodian) == []
    it.days(15)
    (sentence,) = quarantine.overdue(it.custodian)
    assert "a person must decide" in sentence
    assert "it has no owner" in sentence
    quarantine.give(it.custodian, number, "Bob")
    assert "by Bob" in quarantine.overdue(it.custodian)[0]
    with pytest.raises(CustodyError, match="An owner has a name"):
        quarantine.give(it.custodian, number, " ")
    with pytest.raises(CustodyError, match="no open quarantine 99"):
        quarantine.give(it.custodian, 99, "Bob")


def test_a_docking_is_taken_in_after_all(it: Day, tmp_path: Path) -> None:
    number = int(str(only(it)["n"]))
    ada = it.custodian
    quarantine.take_in_again(ada, number, "looked at")
    it.camera.run(seconds=3)
    assert only(it)["state"] == "open", "what spoke against it still does"
    assert it.names() == []
    ada.append(lambda: ("issue", {"device": "bench-camera-1", "officer": "PC 1", "version": 1}))
    camera_register.settle_fork(ada, "bench-camera-1", tmp_path, "the card was looked at")
    quarantine.take_in_again(ada, number, "the fork is settled")
    it.camera.run(seconds=3)
    assert only(it)["state"] == "taken in again"
    assert it.names() == ["bench-camera-1/00000001-0001"]
    assert len(lines(ada, "intake")) == 1, "its file lay there"
    with pytest.raises(CustodyError, match="no open quarantine"):
        quarantine.propose_discard(ada, number, "too late")


def test_two_persons_discard_it_and_the_service_erases_it(it: Day) -> None:
    number = int(str(only(it)["n"]))
    ada, bob = it.custodian, it.desk("Bob", "reviewer")
    it.days(60)
    Expiry(it.retention).run()
    assert len(it.footage()) == 1, "expiry knows nothing of it"
    with pytest.raises(CustodyError, match="Nobody proposed"):
        quarantine.approve_discard(bob, number)
    quarantine.propose_discard(ada, number, "a test card")
    with pytest.raises(CustodyError, match="Somebody else"):
        quarantine.approve_discard(ada, number)
    assert quarantine.erase_discarded(it.retention) == []
    quarantine.approve_discard(bob, number)
    assert quarantine.erase_discarded(it.retention) == [number]
    assert only(it)["state"] == "discarded"
    assert it.footage() == []
    assert not any(key.startswith("dockings/") for key, _ in it.custody.store.everything())
    (line,) = lines(ada, "discarded")
    assert line["objects"] == 2
    assert quarantine.erase_discarded(it.retention) == []
    assert quarantine.overdue(ada) == []


def test_a_tool_of_ones_own_discards_nothing(it: Day) -> None:
    number = int(str(only(it)["n"]))
    ada = it.custodian
    write_anyway(ada, "discard-proposed", {"quarantine": number})
    write_anyway(ada, "discard-approved", {"quarantine": number})
    write_anyway(it.retention, "discarded", {"quarantine": number})
    write_anyway(it.retention, "discard-approved", {"quarantine": number})
    assert quarantine.erase_discarded(it.retention) == []
    ada.index.catch_up()
    problems = [row["problem"] for row in ada.index.rows("SELECT * FROM problems ORDER BY n")]
    assert len(problems) == 3
    assert len(it.footage()) == 1


def test_what_custody_took_in_meanwhile_is_not_discarded_with_it(it: Day, tmp_path: Path) -> None:
    """The camera docked again, and its footage was taken in: the older docking is discarded."""
    number = int(str(only(it)["n"]))
    ada, bob = it.custodian, it.desk("Bob", "reviewer")
    ada.append(lambda: ("issue", {"device": "bench-camera-1", "officer": "PC 1", "version": 1}))
    camera_register.settle_fork(ada, "bench-camera-1", tmp_path, "the card was looked at")
    it.camera.put_in_dock(False)
    it.camera.run(seconds=5)
    it.camera.put_in_dock(True)
    it.camera.run(seconds=40)
    assert it.names() == ["bench-camera-1/00000001-0001"]
    quarantine.propose_discard(ada, number, "it came since")
    quarantine.approve_discard(bob, number)
    it.custody.store.protected_until.clear()  # as a directory, which locks nothing
    assert quarantine.erase_discarded(it.retention) == [number]
    assert len(it.footage()) == 1
