"""A store is moved: nothing at the source goes before the target has signed for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.custody_day import Day, lines

from bwv_device.custody.holdings import migration
from bwv_device.custody.holdings.completeness import examine
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.ledger import CustodyLedger
from bwv_device.custody.retention import holds
from bwv_device.custody.retention.deletion import Expiry
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError, EvidenceStoreError
from bwv_device.formats import store_keys
from hal.ports import EvidenceStore
from hal.simulated.power_dock_and_place import SeededEntropy
from hal.simulated.store import MemoryStore
from hal.stores.directory import DirectoryStore
from sim.custody.agency_store import AgencyStore, WorkerKilled
from sim.world.custody_workers import session
from sim.world.test_keys import BenchAgency


@pytest.fixture
def it(agency: BenchAgency) -> Day:
    """Three recordings: one held, one hidden, one erased."""
    day = Day(agency, 3)
    held, _, _ = day.names()
    holds.place(day.custodian, held, "evidence", "case 12/26")
    day.days(24)
    Expiry(day.retention).run()
    return day


def at(it: Day, store: EvidenceStore, role_name: str = "intake") -> CustodySession:
    return session(it.agency, store, it.custody.clock, "mover", role_name)


def move(it: Day, target: EvidenceStore) -> migration.Move:
    return migration.move(at(it, it.custody.store), target, lambda: at(it, target))


@pytest.mark.parametrize("kind", ["memory", "directory"])
def test_everything_is_there_and_the_target_says_so(it: Day, tmp_path: Path, kind: str) -> None:
    target: EvidenceStore = MemoryStore() if kind == "memory" else DirectoryStore(tmp_path)
    done = move(it, target)
    source = it.custody.store
    wanted = {k: v for k, v in source.everything() if not k.startswith(store_keys.CLAIMS)}
    assert done.objects == len(wanted) - 1, "and the identity"
    assert done.lost == []
    desk = at(it, target, "custodian")
    (line,) = lines(desk, "moved")
    assert (line["root"], line["objects"], line["lost"]) == (done.root, done.objects, 0)
    assert examine(desk).lost == []
    (held, *_) = it.names()
    assert [hold["case_"] for hold in desk.held(held)] == ["case 12/26"]
    seen = {stored.key for stored in target.entries("footage/")}
    assert seen == set(it.footage()), "what was hidden is hidden there"
    if isinstance(target, MemoryStore):
        assert target.held == source.held
        assert target.protected_until.keys() == set(it.footage())


def test_a_reader_of_the_target_refuses_the_source(it: Day, tmp_path: Path) -> None:
    target = MemoryStore()
    move(it, target)
    path = tmp_path / "index.sqlite"
    clock = it.custody.clock

    def read(store: EvidenceStore) -> None:
        ledger = CustodyLedger(store, clock, SeededEntropy("x"))
        Index(ledger, [it.agency.root], path).catch_up()

    read(target)
    with pytest.raises(CustodyError, match="was read before, and is not there any more"):
        read(it.custody.store)


def test_it_can_be_interrupted_anywhere(agency: BenchAgency) -> None:
    it, target = Day(agency, 1), AgencyStore()
    kills = 0
    while True:
        target.kill_at = target.operations + 1 + kills
        try:
            done = move(it, target)
            break
        except WorkerKilled:
            kills += 1
        finally:
            target.kill_at = -1
        assert len(it.footage()) == 1
        try:
            at(it, target).index.catch_up()
        except EvidenceStoreError:
            assert store_keys.STORE not in target.objects
    assert kills > 5
    desk = at(it, target, "custodian")
    assert [line["root"] for line in lines(desk, "moved")] == [done.root]
    assert examine(desk).lost == []


def test_nothing_at_the_source_goes_before_the_target_has_signed(it: Day) -> None:
    target = MemoryStore()
    before = dict(it.custody.store.everything())
    done = move(it, target)
    with pytest.raises(CustodyError, match="has not signed"):
        migration.erase_source(it.custody.store, at(it, target), "0" * 64)
    assert dict(it.custody.store.everything()) == before
    key = it.footage()[0]
    target.objects[key] = bytes(len(target.objects[key]))
    it.custody.store.held.clear()
    it.custody.store.protected_until.clear()
    gone, kept = migration.erase_source(it.custody.store, at(it, target), done.root)
    assert kept == [f"{key}: it has other bytes"]
    assert gone == done.objects - 1
    left = {k for k, _ in it.custody.store.everything() if not k.startswith(store_keys.CLAIMS)}
    assert left == {key}


def test_what_the_source_lost_before_is_named(it: Day) -> None:
    key = it.footage()[0]
    del it.custody.store.objects[key]
    done = move(it, target := MemoryStore())
    assert done.lost == ["/".join(key.split("/")[1:3])]
    (line,) = lines(at(it, target), "moved")
    assert line["lost"] == 1


def test_a_target_that_holds_something_else_is_refused(it: Day) -> None:
    target = MemoryStore()
    target.objects[it.footage()[0]] = b"something else"
    with pytest.raises(CustodyError, match="other bytes"):
        move(it, target)


def test_a_source_that_grows_meanwhile_is_copied_once_more(it: Day) -> None:
    target, name = MemoryStore(), it.names()[0]

    def grows() -> CustodySession:
        it.custodian.hold(name, "another reason")
        return at(it, target)

    with pytest.raises(CustodyError, match="has grown"):
        migration.move(at(it, it.custody.store), target, grows)
    assert move(it, target).root


def test_a_role_that_may_not_moves_nothing(it: Day) -> None:
    target = MemoryStore()
    with pytest.raises(CustodyError, match="this needs intake"):
        migration.move(
            at(it, it.custody.store, "custodian"), target, lambda: at(it, target, "custodian")
        )
    assert target.objects == {}


def test_one_place_under_two_names_is_not_moved_into_itself(it: Day, tmp_path: Path) -> None:
    done = move(it, DirectoryStore(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    other = DirectoryStore(tmp_path / "elsewhere" / "..")
    before = sorted(stored.key for stored in other.entries(""))
    with pytest.raises(CustodyError, match="the same place"):
        migration.erase_source(other, at(it, DirectoryStore(tmp_path)), done.root)
    desk = at(it, DirectoryStore(tmp_path))
    with pytest.raises(CustodyError, match="the same place"):
        migration.move(desk, other, lambda: at(it, other))
    assert sorted(stored.key for stored in other.entries("")) == before
