"""Intake: verifies delivered files with public keys alone, reads them again, and issues receipts.

The custody ledger decides. A worker that dies leaves nothing half done: its lines stand, the next
worker does the rest, and receipts follow from the lines.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509

from bwv_device.custody.intake.camera_ledger_check import Judged, Pieces, judge
from bwv_device.custody.public_requests import matching
from bwv_device.custody.session import CustodySession
from bwv_device.formats import statement, store_keys
from bwv_device.formats.certificates import chain_leads_to
from bwv_device.formats.purposes import DOCKING, GREETING, RECEIPT, REFUSAL
from bwv_device.formats.statement import Statement, StatementError
from bwv_device.formats.upload_body import BytesBody
from hal.ports import SECOND_NS, EvidenceStore, Stored, StoreError, StoreTrouble

# How long a worker that claimed a docking may be silent before another takes it over.
CLAIM_NS = 300 * SECOND_NS
REVIEW_NS = 14 * 86_400 * SECOND_NS
# Files in one `intake` line.
BATCH = 256
# Files come in the order announced: behind so many that are not there, none is looked for.
AHEAD = 8
FLAGGED = "flagged as evidence on the camera"


class ReplicaStore(NamedTuple):
    """A second store, under another administrator."""

    name: str
    store: EvidenceStore


@dataclass(slots=True)
class Done:
    """The results of one pass."""

    dockings: int = 0
    greeted: int = 0
    received: int = 0
    receipts: int = 0
    quarantined: int = 0
    refused: list[str] = field(default_factory=list)
    arrived: Counter[str] = field(default_factory=Counter)  # files, by recording

    @property
    def something(self) -> bool:
        return bool(self.greeted or self.received or self.receipts or self.quarantined)


class Intake:
    """One worker. `once` looks at every docking that is not finished."""

    def __init__(
        self,
        session: CustodySession,
        roots: Sequence[x509.Certificate],
        worker: str,
        replicas: Sequence[ReplicaStore] = (),
        clock_error_ns: int = SECOND_NS,
        heads: Path | None = None,
    ) -> None:
        """`heads`: what a watch over MQTT keeps (`bwv_device.fleet.kept_heads`)."""
        self.session, self._roots, self._worker = session, list(roots), worker
        self._replicas, self._clock_error_ns = list(replicas), clock_error_ns
        self._store, self._heads = session.store, heads
        self._claims: dict[str, int] = {}
        self._answered: dict[str, set[str]] = {}

    def once(self) -> Done:
        """Raises `StoreError` where the store does not answer; nothing is half done then."""
        done = Done()
        for stored in self._store.entries(store_keys.DOCKINGS):
            key = store_keys.parse_docking(stored.key)
            if key is None or not self._claim(key.device, key.nonce):
                continue
            done.dockings += 1
            try:
                self._work(key.device, key.nonce, stored.key, done)
            except StatementError as error:
                self._refuse(key.device, key.nonce, f"the docking {error}", done)
            except StoreError as error:
                # Another worker finished it meanwhile; the others are worked on all the same.
                if error.trouble is not StoreTrouble.MISSING:
                    raise
        return done

    # --- one docking ----------------------------------------------------------------------------

    def _work(self, device: str, nonce: str, key: str, done: Done) -> None:
        said = statement.parse(self._store.read(key, statement.SIZE_LIMIT))
        docking = well_formed(said, device, nonce)
        self.session.index.catch_up()
        if reason := self._unwelcome(said, device):
            self._refuse(device, nonce, reason, done)
            return
        self._greet(device, nonce, done)
        accepted = self._accepted(docking, done)
        if accepted is None:
            return
        waiting = self._receive(docking, done)
        newest = self.session.index.row("SELECT number FROM cameras WHERE device = ?", device)
        superseded = newest is not None and newest["number"] > docking["anchor"]["number"]
        if not waiting or superseded:
            self._store.erase(key)
            self._answered.pop(nonce, None)

    def _unwelcome(self, said: Statement, device: str) -> str:
        """Why a camera's docking is not worked on."""
        if len(said.chain) != 2 or not any(chain_leads_to(said.chain, r) for r in self._roots):
            return "the camera's certificate does not lead to the agency"
        try:
            statement.role_of(said.chain, self._roots)
            return "the certificate is a person's, not a camera's"
        except StatementError:
            pass
        camera = self.session.index.row("SELECT * FROM cameras WHERE device = ?", device)
        if camera is not None and camera["revoked"]:
            return f"the camera is revoked: {camera['revoked']}"
        return ""

    def _greet(self, device: str, nonce: str, done: Done) -> None:
        camera = self.session.index.row("SELECT * FROM cameras WHERE device = ?", device)
        fields = {
            "device": device,
            "nonce": nonce,
            "utc_ns": self.session.now_ns(),
            "error_ns": self._clock_error_ns,
            "ledger": {
                "boot": camera["boot"] if camera else 0,
                "length": camera["length"] if camera else 0,
            },
            "assignment": camera["version"] if camera else 0,
        }
        if self._say(store_keys.greeting(device, nonce), GREETING, fields):
            done.greeted += 1

    def _accepted(self, docking: dict[str, Any], done: Done) -> int | None:
        """The number of the `docking` line, once the ledger that came with it was judged. None
        while it is not all there, or where it was refused."""
        device, nonce = docking["device"], docking["nonce"]
        known = self.session.index.row("SELECT * FROM dockings WHERE nonce = ?", nonce)
        if known is None:
            pieces = Pieces(self.session.index, self._store, device, nonce)
            if pieces.number > docking["anchor"]["number"] and not pieces.new:
                # Taken off the dock before it said anything, and docked again since.
                self._store.erase(store_keys.docking(device, nonce))
                return None
            if not pieces.complete(docking["ledgers"]):
                return None
            judged = judge(docking, pieces, self.session, self._roots, self._heads)
            if judged.problems:
                self._refuse(device, nonce, "; ".join(judged.problems[:3]), done)
                return None
            self._append_docking(docking, judged)
            self._hold_flagged(device, judged.fields.get("flagged", []))
            known = self.session.index.row("SELECT * FROM dockings WHERE nonce = ?", nonce)
        if known is None or known["refused"]:
            return None
        return int(known["n"])

    def _append_docking(self, docking: dict[str, Any], judged: Judged) -> None:
        device, nonce = docking["device"], docking["nonce"]

        def decide() -> tuple[str, Mapping[str, Any]] | None:
            index = self.session.index
            if index.row("SELECT 1 FROM dockings WHERE nonce = ?", nonce):
                return None
            camera = index.row("SELECT number FROM cameras WHERE device = ?", device)
            if camera is not None and camera["number"] != judged.judged_from:
                return None  # another docking of this camera came in between: judged anew
            return "docking", {**judged.fields, "device": device, "nonce": nonce}

        self.session.append(decide)

    def _hold_flagged(self, device: str, names: Sequence[str]) -> None:
        """Flagged after it was brought in: by a command, or late."""
        for name in names:
            row = self.session.index.row(
                "SELECT 1 FROM recordings WHERE id = ? AND erasing IS NULL", f"{device}/{name}"
            )
            if row is not None:
                self.session.hold(f"{device}/{name}", FLAGGED, request="flag")

    # --- files ----------------------------------------------------------------------------------

    def _receive(self, docking: dict[str, Any], done: Done) -> bool:
        """Re-reads, records and receipts what is there. Whether something is still to come."""
        device, nonce = docking["device"], docking["nonce"]
        answered = self._answered.setdefault(nonce, set())
        waiting = False
        missing = 0
        for batch in _batches([f for f in docking["files"] if f["segment"] not in answered]):
            good: dict[str, dict[str, Any]] = {}
            for file in batch:
                outcome = None if missing > AHEAD else self._re_read(docking, file, done)
                if outcome is None:
                    waiting = True
                    missing += 1
                elif isinstance(outcome, str):
                    self._refuse_file(device, nonce, file["segment"], outcome)
                    answered.add(file["segment"])
                else:
                    good[file["segment"]] = outcome
            if good:
                self._record(device, good, done)
                self._hold_what_is_asked_for(device, good)
                for file in batch:
                    if file["segment"] in good:
                        self._receipt(docking, file, good[file["segment"]], done)
                        answered.add(file["segment"])
        return waiting

    def _re_read(
        self, docking: dict[str, Any], file: dict[str, Any], done: Done
    ) -> dict[str, Any] | str | None:
        """Where a file is and in which replicas; None while it is not there; a reason where it
        never will be accepted."""
        device, segment = docking["device"], file["segment"]
        known = self.session.index.row(
            "SELECT * FROM files WHERE device = ? AND segment = ?", device, segment
        )
        if known is None or (known["length"], known["sha256"]) != (file["length"], file["sha256"]):
            return self._in_branch(device, segment) or "its ledger does not speak of this file"
        if self._is_erased(known["recording"]):
            return "it was received and, when its time was over, erased: look at it by hand"
        key = store_keys.footage(device, segment, file["sha256"])
        stored = self._good_version(key, known, file, done)
        if stored is None:
            return None
        replicas = [r.name for r in self._replicas if self._copy(r.store, stored, file["sha256"])]
        if len(replicas) < len(self._replicas):
            return None
        return {"segment": segment, "sha256": file["sha256"], "key": key, "replicas": replicas,
                "version": stored.version, "late": False, "known": known["status"]}  # fmt: skip

    def _in_branch(self, device: str, segment: str) -> str:
        camera = self.session.index.row("SELECT * FROM cameras WHERE device = ?", device)
        if camera is None or not camera["forked_from"] <= int(segment[:8]) < camera["whole_since"]:
            return ""
        return (
            f"the camera's ledger had forked (boots {camera['forked_from']} to "
            f"{camera['whole_since'] - 1}): look at its card by hand, with bwv verify"
        )

    def _is_erased(self, recording: str) -> bool:
        row = self.session.index.row("SELECT erasing FROM recordings WHERE id = ?", recording)
        return row is not None and bool(row["erasing"])

    def _good_version(
        self, key: str, known: Any, file: dict[str, Any], done: Done
    ) -> Stored | None:
        """The object with the right bytes. Whoever has a camera's credentials may lay something
        over it, and takes nothing away by that."""
        if known["status"] == "received":
            pinned = Stored(key, file["length"], known["version"])
            return pinned if _digest(self._store, pinned) == file["sha256"] else None
        found = self._store.versions(key)
        for stored in found:
            if stored.length == file["length"] and _digest(self._store, stored) == file["sha256"]:
                return stored
        if found:
            self._set_aside(key, file, done)
        return None

    def _set_aside(self, key: str, file: dict[str, Any], done: Done) -> None:
        """Bytes that are not what their name says are kept apart; the camera sends again."""
        device, segment = key.split("/")[1:3]
        for stored in self._store.versions(key):
            data = b"".join(self._store.blocks(stored))
            body = BytesBody(data)
            kept = store_keys.quarantine(device, segment, body.sha256)
            _create(self._store, kept, data)
            self._quarantine(device, segment, "its bytes do not have the digest announced", kept)
            done.quarantined += 1
        self._store.erase(key)

    def _quarantine(self, device: str, segment: str, reason: str, key: str) -> None:
        def decide() -> tuple[str, Mapping[str, Any]] | None:
            known = "SELECT 1 FROM quarantine WHERE key = ? AND reason = ?"
            if self.session.index.row(known, key, reason):
                return None
            review_ns = self.session.now_ns() + REVIEW_NS
            return "quarantine", {"device": device, "segment": segment, "reason": reason,
                                  "key": key, "review_ns": review_ns}  # fmt: skip

        self.session.append(decide)

    def _copy(self, replica: EvidenceStore, stored: Stored, sha256: str) -> bool:
        """Into a second store, and read again there."""
        body = _Copy(self._store, stored, sha256)
        try:
            replica.create(stored.key, body)
        except StoreError as error:
            if error.trouble is not StoreTrouble.EXISTS:
                return False
        try:
            return _digest(replica, replica.stat(stored.key)) == sha256
        except StoreError:
            return False

    def _record(self, device: str, good: dict[str, dict[str, Any]], done: Done) -> None:
        """One `intake` line for the files that are not in the ledger yet."""
        recorded: list[str] = []

        def decide() -> tuple[str, Mapping[str, Any]] | None:
            index = self.session.index
            rows = index.rows(
                "SELECT segment, latest_ns FROM files JOIN recordings ON recordings.id = "
                "files.recording WHERE files.device = ? AND status = 'expected'", device
            )  # fmt: skip
            latest = {row["segment"]: row["latest_ns"] for row in rows if row["segment"] in good}
            recorded[:] = list(latest)
            files = [
                {
                    "segment": name,
                    "sha256": good[name]["sha256"],
                    "key": good[name]["key"],
                    "version": good[name]["version"],
                    "replicas": good[name]["replicas"],
                    "late": self.session.retention.is_late(ended_ns, self.session.now_ns()),
                }
                for name, ended_ns in latest.items()
            ]
            return ("intake", {"device": device, "files": files}) if files else None

        self.session.append(decide)
        done.received += len(recorded)
        for name in recorded:
            row = self.session.index.row(
                "SELECT recording FROM files WHERE device = ? AND segment = ?", device, name
            )
            done.arrived[row["recording"] if row else device] += 1
        for name in good:
            self.session.protect(Stored(good[name]["key"], 0, good[name]["version"]), device, name)

    def _hold_what_is_asked_for(self, device: str, good: dict[str, dict[str, Any]]) -> None:
        """Requests from the public reach footage that was still on a camera; and what its officer
        flagged waits for a person's review."""
        names = {
            row["recording"]
            for row in self.session.index.rows("SELECT * FROM files WHERE device = ?", device)
            if row["segment"] in good
        }
        for name in sorted(names):
            for request in matching(self.session.index, name):
                self.session.hold(name, f"request {request}", request=request)
            row = self.session.index.row("SELECT flagged FROM recordings WHERE id = ?", name)
            if row is not None and row["flagged"]:
                self.session.hold(name, FLAGGED, request="flag")

    def _receipt(
        self, docking: dict[str, Any], file: dict[str, Any], good: dict[str, Any], done: Done
    ) -> None:
        device, nonce = docking["device"], docking["nonce"]
        row = self.session.index.row(
            "SELECT files.recording FROM files JOIN holds ON holds.recording = files.recording "
            "WHERE device = ? AND segment = ? AND released IS NULL", device, file["segment"]
        )  # fmt: skip
        fields = {
            "device": device,
            "boot": docking["boot"],
            "nonce": nonce,
            "anchor": docking["anchor"],
            "segment": file["segment"],
            "length": file["length"],
            "sha256": file["sha256"],
            "utc_ns": self.session.now_ns(),
            "replicas": good["replicas"],
            "hold": row is not None,
        }
        if self._say(store_keys.receipt(device, nonce, file["segment"]), RECEIPT, fields):
            done.receipts += 1

    # --- refusing -------------------------------------------------------------------------------

    def _refuse(self, device: str, nonce: str, reason: str, done: Done) -> None:
        """The whole docking: nothing of it is receipted, all of it is kept, and the camera hears
        why."""

        def decide() -> tuple[str, Mapping[str, Any]] | None:
            if self.session.index.row("SELECT 1 FROM dockings WHERE nonce = ?", nonce):
                return None
            return "docking", {"device": device, "nonce": nonce, "refused": reason}

        if self.session.append(decide) is not None:
            done.refused.append(f"{device}: {reason}")
            done.quarantined += 1
            self._quarantine(device, "", reason, store_keys.docking(device, nonce))
        self._refuse_file(device, nonce, "", reason)
        self._store.hide(store_keys.docking(device, nonce))

    def _refuse_file(self, device: str, nonce: str, segment: str, reason: str) -> None:
        fields = {"device": device, "nonce": nonce, "segment": segment, "reason": reason}
        self._say(store_keys.refusal(device, nonce, segment), REFUSAL, fields)

    # --- saying ---------------------------------------------------------------------------------

    def _say(self, key: str, purpose: str, fields: dict[str, Any]) -> bool:
        """False where it was said before."""
        return _create(self._store, key, statement.make(self.session.signer, purpose, fields))

    def _claim(self, device: str, nonce: str) -> bool:
        """Whether this worker may work on a docking: claims keep workers from doing the same work
        at once. That nothing is recorded twice does not rest on them."""
        now_ns, generation = self.session.now_ns(), self._claims.get(nonce, 0)
        while True:
            key = store_keys.claim(device, nonce, generation)
            try:
                held = self._store.read(key, 256).decode().split(" ")
            except StoreError as error:
                if error.trouble is not StoreTrouble.MISSING:
                    raise
                mine = _create(self._store, key, f"{now_ns} {self._worker}".encode())
                self._claims[nonce] = generation
                if mine:
                    return True
                continue
            self._claims[nonce] = generation
            if held[1] == self._worker and now_ns - int(held[0]) < CLAIM_NS // 2:
                return True
            if held[1] != self._worker and now_ns - int(held[0]) < CLAIM_NS:
                return False
            generation += 1


class _Copy:
    """An object of one store as the body for another, read in order."""

    def __init__(self, store: EvidenceStore, stored: Stored, sha256: str) -> None:
        self._store, self._stored = store, stored
        self.length, self.sha256 = stored.length, sha256
        self._blocks: Iterator[bytes] = iter(())
        self._rest, self._at = b"", -1

    def read(self, offset: int, length: int) -> bytes:
        if offset != self._at:
            self._blocks, self._rest, self._at = self._store.blocks(self._stored), b"", 0
            while self._at < offset:
                self._take(min(1 << 20, offset - self._at))
        return self._take(length)

    def _take(self, length: int) -> bytes:
        while len(self._rest) < length and (block := next(self._blocks, b"")):
            self._rest += block
        data, self._rest = self._rest[:length], self._rest[length:]
        self._at += len(data)
        return data


def _digest(store: EvidenceStore, stored: Stored) -> str:
    digest = hashlib.sha256()
    for block in store.blocks(stored):
        digest.update(block)
    return digest.hexdigest()


def _create(store: EvidenceStore, key: str, data: bytes) -> bool:
    """False where the key is taken. A lost answer counts as an error, and is asked again."""
    try:
        store.create(key, BytesBody(data))
    except StoreError as error:
        if error.trouble is StoreTrouble.EXISTS:
            return False
        raise
    return True


def _batches(files: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for at in range(0, len(files), BATCH):
        yield files[at : at + BATCH]


def well_formed(said: Statement, device: str, nonce: str) -> dict[str, Any]:
    """The fields of a docking of this camera. Raises `StatementError`."""
    fields = said.fields
    if said.purpose != DOCKING or (fields.get("device"), fields.get("nonce")) != (device, nonce):
        raise StatementError("is not this camera's, or not for this docking")
    if said.chain[0].subject.rfc4514_string() != f"CN={device}":
        raise StatementError("is signed by another camera")
    if any(type(fields.get(name)) is not kind for name, kind in TYPES.items()):
        raise StatementError("lacks a field")
    for file in fields["files"]:
        if not isinstance(file, dict) or [type(file.get(n)) for n in FILE] != list(FILE.values()):
            raise StatementError("names a file badly")
    for entry in fields["ledgers"]:
        if not isinstance(entry, list) or [type(part) for part in entry] != [int, int]:
            raise StatementError("names a ledger badly")
    numbers = {"anchor": ("number",), "time": ("utc_ns", "error_ns")}
    for name, parts in numbers.items():
        if any(type(fields[name].get(part)) is not int for part in parts):
            raise StatementError("lacks a number")
    return fields


FILE = {"segment": str, "length": int, "sha256": str}
TYPES: dict[str, type] = dict.fromkeys(("boot", "t", "battery"), int)
TYPES |= {"anchor": dict, "time": dict, "files": list, "ledgers": list}
