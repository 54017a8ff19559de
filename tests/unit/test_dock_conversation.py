"""The camera's side of a docking, request by request: what it asks, tells, removes and keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bwv_device.camera.docking import protocol
from bwv_device.camera.docking.protocol import Docking, Limits, Plan
from bwv_device.camera.vault.undelivered import Deliverable, Inventory
from bwv_device.formats import statement, store_keys
from bwv_device.formats.grammar.purposes import ASSIGNMENT, GREETING, RECEIPT, REFUSAL
from hal.ports import SECOND_NS, Anchor, StoreError, StoreTrouble
from sim.world.custody_workers import role
from sim.world.test_keys import BenchAgency

DEVICE, NONCE, OTHER = "bench-camera-1", "ab" * 16, "cd" * 16
ANCHOR = Anchor(DEVICE, 2, 40, "a" * 64)
FILES = [Deliverable(f"00000002-0001-000{n}.mp4.age", 1000 + n, f"{n}" * 64, False) for n in (1, 2)]
LEDGERS = {1: 500, 2: 300}
MISSING = StoreError(StoreTrouble.MISSING, "not there")


class Dock:
    """Plays the store: objects to be read, answers to uploads, time that passes while it waits."""

    def __init__(
        self,
        agency: BenchAgency,
        files: list[Deliverable] = FILES,
        *,
        unsettled: int = 0,
        assignment: int = 3,
        **limits: int,
    ) -> None:
        self.agency, self.now_ns = agency, 0
        self.objects: dict[str, bytes] = {}
        self.uploads: Callable[[str], StoreError | None] = lambda key: None
        self.wipes: Callable[[str], Exception | None] = lambda segment: None
        self.heard: list[Any] = []
        inventory = Inventory(list(files), unsettled, dict(LEDGERS), [])
        plan = Plan(DEVICE, 2, NONCE, ANCHOR, inventory, b"docking", 17, assignment)
        self.docking = Docking(
            plan, Limits(**limits), [agency.root], lambda: self.now_ns, lambda most: 0
        )

    def says(self, key: str, purpose: str, fields: dict[str, Any], by: str = "intake") -> None:
        self.objects[key] = statement.make(role(self.agency, by, by), purpose, fields)

    def greets(self, **fields: Any) -> None:
        said = {"device": DEVICE, "nonce": NONCE, "utc_ns": 10**18, "error_ns": 5,
                "ledger": {"boot": 0, "length": 0}, "assignment": 3, "checkpoint": "",
                **fields}  # fmt: skip
        self.says(store_keys.greeting(DEVICE, NONCE), GREETING, said)

    def receipts(self, file: Deliverable, **fields: Any) -> None:
        said = {"device": DEVICE, "boot": 2, "segment": file.segment, "length": file.length,
                "sha256": file.sha256, "nonce": NONCE, "utc_ns": 10**18, "replicas": [],
                "anchor": {"number": 40, "digest": "a" * 64}, "hold": False, **fields}  # fmt: skip
        self.says(store_keys.receipt(DEVICE, NONCE, file.segment), RECEIPT, said)

    def refuses(self, segment: str, **fields: Any) -> None:
        said = {"device": DEVICE, "nonce": NONCE, "segment": segment, "reason": "no", **fields}
        self.says(store_keys.refusal(DEVICE, NONCE, segment), REFUSAL, said)

    def run(self, *, until_s: int = 2 * 3600) -> bool | None:
        """What the conversation returns; None where it goes on after so long."""
        talk = self.docking.run()
        request = next(talk)
        try:
            while self.now_ns < until_s * SECOND_NS:
                self.heard.append(request)
                request = talk.send(self._answer(request))
        except StopIteration as end:
            return bool(end.value)
        return None

    def _answer(self, request: Any) -> Any:
        if isinstance(request, protocol.Ask):
            return self.objects.get(request.key, MISSING)
        if isinstance(request, protocol.Say | protocol.Upload):
            return self.uploads(request.key)
        if isinstance(request, protocol.Wipe):
            return self.wipes(request.receipt.segment)
        if isinstance(request, protocol.Digest):
            return "f" * 64
        if isinstance(request, protocol.Wait):
            self.now_ns += request.duration_ns
        return None

    def of(self, kind: type) -> list[Any]:
        return [request for request in self.heard if isinstance(request, kind)]

    @property
    def told(self) -> list[tuple[str, dict[str, Any]]]:
        return [(tell.kind, tell.fields) for tell in self.of(protocol.Tell)]

    @property
    def outcomes(self) -> list[str]:
        return [settled.outcome for settled in self.of(protocol.Settled)]

    @property
    def wiped(self) -> list[str]:
        return [wipe.receipt.segment for wipe in self.of(protocol.Wipe)]


def faults(dock: Dock, part: str) -> list[dict[str, Any]]:
    return [fields for kind, fields in dock.told if kind == "fault" and fields["part"] == part]


# --- what is delivered ----------------------------------------------------------------------------


def test_files_go_when_their_receipts_hold_and_the_custodian_is_written_once(
    agency: BenchAgency,
) -> None:
    dock = Dock(agency)
    dock.greets(ledger={"boot": 1, "length": 200})
    for file in FILES:
        dock.receipts(file)
    assert dock.run() is True
    assert dock.wiped == [file.segment for file in FILES]
    assert (dock.docking.delivered, dock.docking.kept) == (2, 0)
    assert dock.outcomes == ["complete"]
    assert [kind for kind, _ in dock.told] == ["greeting", "custodian"]
    assert dock.of(protocol.Clock) == [protocol.Clock(10**18, 5, 17)]


def test_of_the_ledger_goes_what_the_store_has_not(agency: BenchAgency) -> None:
    for known, pieces in (
        ({"boot": 0, "length": 0}, [(1, 0, 500), (2, 0, 300)]),
        ({"boot": 1, "length": 200}, [(1, 200, 300), (2, 0, 300)]),
        ({"boot": 1, "length": 500}, [(2, 0, 300)]),
        ({"boot": 2, "length": 299}, [(2, 299, 1)]),
    ):
        dock = Dock(agency, [])
        dock.greets(ledger=known)
        dock.run()
        sent = [u for u in dock.of(protocol.Upload) if not u.segment]
        assert [(int(u.key.rpartition("/")[2][:8]), u.offset, u.length) for u in sent] == pieces


def test_what_can_not_go_yet_is_not_complete(agency: BenchAgency) -> None:
    dock = Dock(agency, [], unsettled=1)
    dock.greets()
    dock.run()
    assert dock.outcomes == ["kept"]


def test_a_slow_line_is_asked_for_by_its_limit(agency: BenchAgency) -> None:
    dock = Dock(agency, FILES[:1], bandwidth_kbps=1)
    dock.greets()
    dock.receipts(FILES[0])
    dock.run()
    assert protocol.Wait(1001 * 8 * SECOND_NS // 1000) in dock.heard


def test_what_has_no_answer_is_sent_again(agency: BenchAgency) -> None:
    dock = Dock(agency, FILES[:1], resend_ns=100 * SECOND_NS, poll_ns=2 * SECOND_NS)
    dock.greets()
    dock.run(until_s=350)
    times = [u for u in dock.of(protocol.Upload) if u.segment]
    assert len(times) == 4
    assert dock.docking.waiting
    assert dock.outcomes == []


def test_a_store_that_says_nothing_is_told_of_the_docking_again(agency: BenchAgency) -> None:
    dock = Dock(agency, [], resend_ns=100 * SECOND_NS, greeting_wait_ns=10 * SECOND_NS)
    dock.run(until_s=500)
    said = [say for say in dock.of(protocol.Say) if say.data == b"docking"]
    assert 4 <= len(said) <= 6


# --- answers that do not hold ---------------------------------------------------------------------

WRONG = {
    "another device": {"device": "bench-camera-2"},
    "another docking": {"nonce": OTHER},
    "another file": {"segment": FILES[1].segment},
    "another length": {"length": 5},
    "other bytes": {"sha256": "e" * 64},
    "another head": {"anchor": {"number": 40, "digest": "b" * 64}},
    "an older head": {"anchor": {"number": 39, "digest": "a" * 64}},
}


@pytest.mark.parametrize("how", WRONG)
def test_a_receipt_for_something_else_removes_nothing(agency: BenchAgency, how: str) -> None:
    dock = Dock(agency, FILES[:1])
    dock.greets()
    dock.receipts(FILES[0], **WRONG[how])
    dock.run()
    assert dock.wiped == []
    assert dock.outcomes == ["kept"]
    (fault,) = faults(dock, "receipt")
    assert FILES[0].segment in fault["reason"]
    receipt = store_keys.receipt(DEVICE, NONCE, FILES[0].segment)
    assert len([a for a in dock.of(protocol.Ask) if a.key == receipt]) == 3


def test_a_receipt_of_another_role_or_purpose_removes_nothing(agency: BenchAgency) -> None:
    for purpose, by in ((RECEIPT, "custodian"), (GREETING, "intake")):
        dock = Dock(agency, FILES[:1])
        dock.greets()
        dock.receipts(FILES[0])
        key = store_keys.receipt(DEVICE, NONCE, FILES[0].segment)
        fields = {"device": DEVICE, "boot": 2, "segment": FILES[0].segment, "length": 1001,
                  "sha256": "1" * 64, "nonce": NONCE, "utc_ns": 10**18, "replicas": [],
                  "anchor": {"number": 40, "digest": "a" * 64}, "hold": False}  # fmt: skip
        dock.says(key, purpose, fields, by)
        dock.run()
        assert dock.wiped == []


@pytest.mark.parametrize(("replicas", "goes"), [([], False), (["a"], False), (["a", "b"], True)])
def test_so_many_replicas_as_asked_for(
    agency: BenchAgency, replicas: list[str], *, goes: bool
) -> None:
    dock = Dock(agency, FILES[:1], replicas_min=2)
    dock.greets()
    dock.receipts(FILES[0], replicas=replicas)
    dock.run()
    assert (dock.wiped == [FILES[0].segment]) == goes


@pytest.mark.parametrize("fields", [{"nonce": OTHER}, {"device": "bench-camera-2"}])
def test_a_greeting_for_somebody_else_greets_nobody(
    agency: BenchAgency, fields: dict[str, str]
) -> None:
    dock = Dock(agency, [])
    dock.greets(**fields)
    dock.run(until_s=300)
    assert dock.told == []
    assert dock.of(protocol.Clock) == []


# --- a store that says no -------------------------------------------------------------------------


def test_a_refused_docking_ends(agency: BenchAgency) -> None:
    dock = Dock(agency)
    dock.refuses("")
    dock.run()
    assert dock.outcomes == ["refused"]
    assert [(kind, fields["segment"]) for kind, fields in dock.told] == [("refusal", "")]


def test_a_refused_file_stays_and_the_other_goes(agency: BenchAgency) -> None:
    dock = Dock(agency)
    dock.greets()
    dock.refuses(FILES[0].segment)
    dock.receipts(FILES[1])
    dock.run()
    assert dock.wiped == [FILES[1].segment]
    assert dock.outcomes == ["kept"]
    refusals = [fields["segment"] for kind, fields in dock.told if kind == "refusal"]
    assert refusals == [FILES[0].segment]


def test_a_refusal_of_another_file_is_none(agency: BenchAgency) -> None:
    dock = Dock(agency, FILES[:1])
    dock.greets()
    dock.refuses(FILES[1].segment)
    dock.objects[store_keys.refusal(DEVICE, NONCE, FILES[0].segment)] = dock.objects.pop(
        store_keys.refusal(DEVICE, NONCE, FILES[1].segment)
    )
    dock.run()
    assert [kind for kind, _ in dock.told if kind == "refusal"] == []
    assert len(faults(dock, "receipt")) == 1


def test_a_store_that_denies_everything_ends_the_docking_with_its_reason(
    agency: BenchAgency,
) -> None:
    dock = Dock(agency)
    dock.uploads = lambda key: StoreError(StoreTrouble.DENIED, "the key is revoked")
    assert dock.run() is False
    assert dock.outcomes == ["denied"]
    (fault,) = faults(dock, "dock")
    assert "the key is revoked" in fault["reason"]


def test_a_full_store_is_told_once_and_waited_for(agency: BenchAgency) -> None:
    dock = Dock(agency, FILES[:1])
    dock.greets()
    dock.receipts(FILES[0])
    full = StoreError(StoreTrouble.FULL, "507")
    dock.uploads = lambda key: full if dock.now_ns < 200 * SECOND_NS else None
    dock.run()
    (fault,) = faults(dock, "dock")
    assert fault["reason"] == "the store is full: 507"
    assert dock.of(protocol.Wait)[:4] == [protocol.Wait(60 * SECOND_NS)] * 4
    assert dock.outcomes == ["complete"]


def test_a_file_that_the_store_refuses_is_kept_and_named(agency: BenchAgency) -> None:
    dock = Dock(agency)
    dock.greets()
    dock.receipts(FILES[1])
    refused = StoreError(StoreTrouble.REFUSED, "too large")
    dock.uploads = lambda key: refused if FILES[0].segment in key else None
    dock.run()
    assert faults(dock, "delivery") == [
        {"part": "delivery", "segment": FILES[0].segment, "reason": "too large"}
    ]
    assert dock.wiped == [FILES[1].segment]
    assert (dock.docking.delivered, dock.docking.kept) == (1, 1)


def test_a_store_that_does_not_answer_is_asked_ever_more_seldom(agency: BenchAgency) -> None:
    dock = Dock(agency, [])
    dock.greets()
    away = StoreError(StoreTrouble.TRANSIENT, "no answer")
    dock.uploads = lambda key: away if dock.now_ns < 300 * SECOND_NS else None
    dock.run()
    waits = [wait.duration_ns // SECOND_NS for wait in dock.of(protocol.Wait)]
    assert waits[:9] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_file_that_can_not_be_removed_is_kept_and_named(agency: BenchAgency) -> None:
    dock = Dock(agency, FILES[:1])
    dock.greets()
    dock.receipts(FILES[0])
    dock.wipes = lambda segment: OSError("read-only")
    dock.run()
    assert faults(dock, "delivery") == [
        {"part": "delivery", "segment": FILES[0].segment, "reason": "read-only"}
    ]
    assert (dock.docking.delivered, dock.docking.kept) == (0, 1)
    assert dock.outcomes == ["kept"]


# --- assignments ----------------------------------------------------------------------------------


def assigned(dock: Dock, version: int, by: str = "configuration", **fields: Any) -> None:
    said = {"device": DEVICE, "version": version, "officer": "PC 1", "settings": {},
            "utc_ns": 10**18, **fields}  # fmt: skip
    dock.says(store_keys.assignment(DEVICE, version), ASSIGNMENT, said, by)


def test_a_newer_assignment_is_taken_and_looked_for_again(agency: BenchAgency) -> None:
    dock = Dock(agency, [], assignment=3)
    dock.greets(assignment=4)
    assigned(dock, 4)
    assigned(dock, 5)
    dock.run()
    taken = [assign.statement.value.version for assign in dock.of(protocol.Assign)]
    assert taken == [4, 5]
    # It rests in the dock, and looks once a minute, for an hour.
    assert dock.of(protocol.Wait) == [protocol.Wait(60 * SECOND_NS)] * 60


@pytest.mark.parametrize("version", [2, 3])
def test_no_older_assignment_is_asked_for(agency: BenchAgency, version: int) -> None:
    dock = Dock(agency, [], assignment=3)
    dock.greets(assignment=version)
    assigned(dock, version)
    dock.run()
    assert dock.of(protocol.Assign) == []


@pytest.mark.parametrize("how", ["another version", "another camera", "another role"])
def test_an_assignment_that_does_not_hold_is_told_and_not_taken(
    agency: BenchAgency, how: str
) -> None:
    dock = Dock(agency, [], assignment=3)
    dock.greets(assignment=4)
    assigned(
        dock, 4,
        by="intake" if how == "another role" else "configuration",
        device="bench-camera-2" if how == "another camera" else DEVICE,
    )  # fmt: skip
    if how == "another version":
        assigned(dock, 6)
        dock.objects[store_keys.assignment(DEVICE, 4)] = dock.objects.pop(
            store_keys.assignment(DEVICE, 6)
        )
    dock.run(until_s=100)
    assert dock.of(protocol.Assign) == []
    assert faults(dock, "assignment")
