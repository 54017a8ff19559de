"""What any ledger or receipt speaks of is here, on a camera, erased, or named as lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.custody_day import Day, lines

from bwv_device.custody.holdings import completeness
from bwv_device.custody.holdings.completeness import Completeness, examine
from bwv_device.custody.requests import public_requests, search_certificate
from bwv_device.custody.retention import holds
from bwv_device.custody.retention.deletion import Expiry
from bwv_device.formats import store_keys
from hal.ports import EvidenceStore
from hal.simulated.store import MemoryStore
from sim.sweeps.wanting_store import WantingStore, wanting_store
from sim.world.test_keys import BenchAgency


@pytest.fixture
def day(agency: BenchAgency) -> Callable[..., Day]:
    return lambda *a, **k: Day(agency, *a, **k)


def footage(found: Completeness) -> dict[str, str]:
    return {lost.segment: lost.why for lost in found.lost if lost.segment}


def test_what_is_whole_is_found_whole(day: Callable[..., Day]) -> None:
    it = day(3)
    found = examine(it.custodian)
    assert (found.lost, found.counts, found.remarks) == ([], {}, [])
    objects = it.custody.store.objects
    kept = [k for k in objects if k.startswith(("footage/", "ledgers/"))]
    assert found.here == len(kept)
    assert found.read_bytes == sum(len(objects[k]) for k in kept)
    completeness.write_down(it.custodian, found)
    (line,) = lines(it.custodian, "completeness")
    assert (line["here"], line["lost"], line["named"]) == (len(kept), 0, [])


def test_each_loss_is_named_with_the_cases_and_requests_it_touches(day: Callable[..., Day]) -> None:
    it = day(4)
    gone, cut, swapped, _ = it.names()
    holds.place(it.custodian, gone, "evidence", "case 12/26")
    row = holds.existing(it.custodian, cut)
    at_ns = row["start_ns"]
    opened = public_requests.open_request(
        it.custodian,
        public_requests.RequestDetails(
            "subject-access", b"Dear all", "letter.txt",
            it.custodian.retention.day(it.custodian.now_ns()), at_ns, at_ns, at_ns + 1, "Mare St",
            "spoken to",
        ),
    )  # fmt: skip
    objects = it.custody.store.objects
    key_of = {f"{k.split('/')[1]}/{k.split('/')[2][:13]}": k for k in it.footage()}
    del objects[key_of[gone]]
    objects[key_of[cut]] = objects[key_of[cut]][:-1]
    objects[key_of[swapped]] = bytes(len(objects[key_of[swapped]]))
    (letter,) = [k for k in objects if k.startswith("custody/letters/")]
    del objects[letter]
    found = examine(it.custodian, at_once=4)
    by_recording = {lost.recording: lost for lost in found.lost if lost.recording}
    assert by_recording.keys() == {gone, cut, swapped}
    assert by_recording[gone].why == "it is gone (the store)"
    assert "bytes of" in by_recording[cut].why
    assert by_recording[swapped].why == "it has other bytes (the store)"
    assert by_recording[gone].cases == ("case 12/26",)
    assert opened.request in by_recording[cut].requests
    assert {lost.what for lost in found.lost} == {"footage", "a letter from the public"}
    ada = it.custodian
    completeness.write_down(ada, found)
    assert "4 objects are lost or not whole" in str(ada.index.rows("SELECT problem FROM problems"))
    coverage = search_certificate.search(ada, opened.request)
    assert cut in coverage.not_delivered


def test_what_a_replica_has_is_told(day: Callable[..., Day], agency: BenchAgency) -> None:
    it = day(1, dock=False)
    replica = MemoryStore()
    it.custody.workers[0]._files._replicas.append(_replica("second", replica))
    it.deliver()
    (key,) = it.footage()
    del it.custody.store.objects[key]
    (lost,) = examine(it.custodian, {"second": replica}).lost
    assert (lost.why, lost.whole_in) == ("it is gone (the store)", ("second",))
    replica.objects[key] = b""
    (lost,) = examine(it.custodian, {"second": replica}).lost
    assert lost.whole_in == ()
    assert "second" in lost.why
    assert "not configured here" in examine(it.custodian).remarks[0]


def _replica(name: str, store: EvidenceStore) -> completeness.Any:
    from bwv_device.custody.intake.results import ReplicaStore

    return ReplicaStore(name, store)


def test_what_never_came_what_is_on_a_camera_and_what_was_erased(day: Callable[..., Day]) -> None:
    it = day(2)
    it.days(31)
    Expiry(it.retention).run()
    found = examine(it.custodian)
    assert (found.erased, found.lost) == (2, [])
    (line,) = lines(it.custodian, "erased")
    del it.custody.store.objects[store_keys.certificates(line["certificates"])]
    assert "the deletion certificates of line" in examine(it.custodian).lost[0].what
    it = day(1, dock=False)
    it.camera.put_in_dock(True)
    it.custody.working = False
    it.camera.run(seconds=1)
    assert examine(it.custodian).lost == []
    it = day(2, dock=False)
    stolen = it.camera.disk.names("footage")[0]
    it.camera.disk.remove(f"footage/{stolen}")
    it.deliver()
    (lost,) = examine(it.custodian).lost
    assert (lost.segment, lost.why) == (stolen, f"{completeness.NEVER_CAME} (no store)")


def test_a_receipt_for_what_the_ledger_does_not_know(day: Callable[..., Day]) -> None:
    """Custody's ledger was set back, and the camera's outbox was not."""
    it = day(1)
    receipt = next(k for k in it.custody.store.objects if "/receipts/" in k)
    other = receipt.replace("00000001-0001-0001", "00000007-0001-0001")
    it.custody.store.put(other, it.custody.store.objects[receipt])
    (lost,) = examine(it.custodian).lost
    assert (lost.segment[:8], "signed a receipt" in lost.why) == ("00000007", True)


# --- a large store with drawn losses -------------------------------------------------------------


@pytest.fixture(scope="module")
def wanting() -> WantingStore:
    return wanting_store(BenchAgency(), 1, cameras=40, each=250)


def test_exactly_the_drawn_losses_are_named(wanting: WantingStore) -> None:
    found = examine(wanting.desk)
    assert {(lost.device, lost.segment): lost.why.partition(" (")[0] for lost in found.lost} == (
        wanting.lost
    )
    assert set(wanting.lost.values()) >= {"it is gone", "it has other bytes"}
    assert found.here == 40 * 250 - len(wanting.lost)
    assert found.counts["left_out"] == len(wanting.left_out)
    assert found.counts["strangers"] == 1
    assert set(found.left_out) <= wanting.left_out
