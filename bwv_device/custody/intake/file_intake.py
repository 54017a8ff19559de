"""Files of a docking: read again in the store, recorded in the custody ledger, receipted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bwv_device.custody.intake.copied_body import CopiedBody
from bwv_device.custody.intake.results import Done, ReplicaStore
from bwv_device.custody.intake.voice import Voice, create_once
from bwv_device.custody.ledger.request_matching import asking
from bwv_device.custody.session import CustodySession
from bwv_device.formats import store_keys
from bwv_device.formats.grammar.purposes import RECEIPT
from bwv_device.formats.grammar.statements import Announced, Docking
from hal.ports import EvidenceStore, Stored, StoreError, StoreTrouble

# Files in one `intake` line.
BATCH = 256
# Files come in the order announced: the next so many are looked for first, and behind them no
# more than so many that are not there.
AHEAD = 8
FLAGGED = "flagged as evidence on the camera"


class FileIntake:
    """What is there of the files that dockings announce."""

    def __init__(
        self, session: CustodySession, voice: Voice, replicas: Sequence[ReplicaStore]
    ) -> None:
        self.session, self._voice, self._replicas = session, voice, list(replicas)
        self._store = session.store
        self._answered: dict[tuple[str, str], set[str]] = {}
        self._turns: dict[tuple[str, str], int] = {}

    def forget(self, device: str, nonce: str) -> None:
        """A docking is over."""
        self._answered.pop((device, nonce), None)
        self._turns.pop((device, nonce), None)

    def _in_turn(self, docking: Docking, files: Sequence[Announced]) -> list[Announced]:
        """The next that should come first; then the others from another place in each pass: some
        may never come, and must not stand before those that did."""
        key = (docking.device, docking.nonce)
        first, rest = list(files[:AHEAD]), files[AHEAD:]
        at = self._turns.get(key, 0) % max(1, len(rest))
        self._turns[key] = at + AHEAD
        return [*first, *rest[at:], *rest[:at]]

    def receive(self, docking: Docking, done: Done) -> bool:
        """Re-reads, records and receipts what is there. Whether something is still to come."""
        device, nonce = docking.device, docking.nonce
        answered = self._answered.setdefault((device, nonce), set())
        files = [file for file in docking.files if file.segment not in answered]
        waiting, missing = False, 0
        for batch in batches(self._in_turn(docking, files)):
            good: dict[str, dict[str, Any]] = {}
            gone: dict[str, dict[str, Any]] = {}
            for file in batch:
                outcome = None if missing > 2 * AHEAD else self._re_read(docking, file, done)
                if outcome is None:
                    waiting = True
                    missing += 1
                elif isinstance(outcome, str):
                    self._voice.refuse_file(device, nonce, file.segment, outcome)
                    answered.add(file.segment)
                else:
                    (gone if outcome.get("erased") else good)[file.segment] = outcome
            if good:
                self._record(device, good, done)
                self._hold_what_is_asked_for(device, good)
            for file in batch:
                if outcome := good.get(file.segment) or gone.get(file.segment):
                    self._receipt(docking, file, outcome, done)
                    answered.add(file.segment)
        return waiting

    def _re_read(
        self, docking: Docking, file: Announced, done: Done
    ) -> dict[str, Any] | str | None:
        """Where a file is and in which replicas, or that it was `erased`; None while it is not
        there; a reason where it never will be accepted."""
        device, segment = docking.device, file.segment
        known = self.session.index.row(
            "SELECT * FROM files WHERE device = ? AND segment = ?", device, segment
        )
        if known is None or (known["length"], known["sha256"]) != (file.length, file.sha256):
            return self._in_branch(device, segment) or "its ledger does not speak of this file"
        key = store_keys.footage(device, segment, file.sha256)
        if known["status"] == "erased":
            return self._was_erased(key, known)
        if self._is_being_erased(known["recording"]):
            return None  # the run of deletion ends first
        stored = self._good_version(key, known, file, done)
        if stored is None:
            return None
        if known["status"] == "received" and self._is_hidden(known["recording"]):
            # Out of sight in the replicas too, where it was read again when it came.
            replicas = [name for name in known["replicas"].split(",") if name]
        else:
            replicas = [r.name for r in self._replicas if self._copy(r.store, stored, file.sha256)]
        if len(replicas) < len(self._replicas):
            return None
        return {"segment": segment, "sha256": file.sha256, "key": key, "replicas": replicas,
                "version": stored.version, "late": False, "known": known["status"]}  # fmt: skip

    def _in_branch(self, device: str, segment: str) -> str:
        camera = self.session.index.row("SELECT * FROM cameras WHERE device = ?", device)
        if camera is None or not camera["forked_from"] <= int(segment[:8]) < camera["whole_since"]:
            return ""
        return (
            f"the camera's ledger had forked (boots {camera['forked_from']} to "
            f"{camera['whole_since'] - 1}): look at its card by hand, with bwv verify"
        )

    def _was_erased(self, key: str, known: Mapping[str, Any]) -> dict[str, Any]:
        """It had come, and its time was over; the camera never heard of it, and may forget it. What
        it sent again goes (`deletion.Expiry`), and is out of sight until then."""
        if self._store.versions(key):
            self._store.free(key)
        replicas = [name for name in known["replicas"].split(",") if name]
        return {"segment": known["segment"], "erased": True, "replicas": replicas}

    def _is_hidden(self, recording: str) -> bool:
        row = self.session.index.row("SELECT hidden_ns FROM recordings WHERE id = ?", recording)
        return row is not None and row["hidden_ns"] is not None

    def _is_being_erased(self, recording: str) -> bool:
        row = self.session.index.row(
            "SELECT 1 FROM recordings WHERE id = ? AND erasing AND erased_ns IS NULL", recording
        )
        return row is not None

    def _good_version(self, key: str, known: Any, file: Announced, done: Done) -> Stored | None:
        """The object with the right bytes. Whoever has a camera's credentials may lay something
        over it, and takes nothing away by that."""
        if known["status"] == "received":
            pinned = Stored(key, file.length, known["version"])
            try:
                return pinned if _digest(self._store, pinned) == file.sha256 else None
            except StoreError as error:
                if error.trouble is not StoreTrouble.MISSING:
                    raise
                done.troubles.append(f"{key} was received, and is gone")
                return None
        found = self._store.versions(key)
        for stored in found:
            if stored.length == file.length and _digest(self._store, stored) == file.sha256:
                return stored
        if found:
            self._set_aside(key, file, done)
        return None

    def _set_aside(self, key: str, file: Announced, done: Done) -> None:
        """Bytes that are not what their name says are kept apart; the camera sends again."""
        device, segment = key.split("/")[1:3]
        try:
            current = self._store.stat(key)
        except StoreError as error:
            if error.trouble is StoreTrouble.MISSING:
                return  # set aside before: only its past is left
            raise
        found = _digest(self._store, current)
        kept = store_keys.quarantine(device, segment, found)
        create_once(self._store, kept, CopiedBody(self._store, current, found))
        self._voice.quarantine(device, segment, "its bytes do not have the digest announced", kept)
        done.quarantined += 1
        self._store.free(key)

    def _copy(self, replica: EvidenceStore, stored: Stored, sha256: str) -> bool:
        """Into a second store, and read again there."""
        body = CopiedBody(self._store, stored, sha256)
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
                "files.recording WHERE files.device = ? AND status IN ('expected', 'missing') AND "
                "(erasing IS NULL OR erased_ns IS NOT NULL)",
                device,
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
            row = self.session.index.row("SELECT * FROM recordings WHERE id = ?", name)
            for request in asking(self.session.index.db, row) if row else ():
                self.session.hold(name, f"request {request}", request=request)
            if row is not None and row["flagged"]:
                self.session.hold(name, FLAGGED, request="flag")
            if self.session.held(name):  # also by a person, when an earlier file had come
                self.session.lock(name)

    def _receipt(self, docking: Docking, file: Announced, good: dict[str, Any], done: Done) -> None:
        device, nonce = docking.device, docking.nonce
        row = self.session.index.row(
            "SELECT files.recording FROM files JOIN holds ON holds.recording = files.recording "
            "WHERE device = ? AND segment = ? AND released IS NULL", device, file.segment
        )  # fmt: skip
        fields = {
            "device": device,
            "boot": docking.boot,
            "nonce": nonce,
            "anchor": {"number": docking.anchor.number, "digest": docking.anchor.digest},
            "segment": file.segment,
            "length": file.length,
            "sha256": file.sha256,
            "utc_ns": self.session.now_ns(),
            "replicas": good["replicas"],
            "hold": row is not None,
        }
        if self._voice.say(store_keys.receipt(device, nonce, file.segment), RECEIPT, fields):
            done.receipts += 1


def _digest(store: EvidenceStore, stored: Stored) -> str:
    digest = hashlib.sha256()
    for block in store.blocks(stored):
        digest.update(block)
    return digest.hexdigest()


def batches(files: Sequence[Announced]) -> Iterator[Sequence[Announced]]:
    """Of at most so many as one line names."""
    for at in range(0, len(files), BATCH):
        yield files[at : at + BATCH]
