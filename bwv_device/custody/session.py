"""A custody session: one store, its ledger and index, and the key that signs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509

from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.ledger import CustodyLedger, CustodyLine
from bwv_device.custody.retention_dates import NANOSECOND, Due, Retention
from bwv_device.formats import statement
from bwv_device.formats.statement import Signer
from hal.ports import Clock, EvidenceStore, Stored, StoreError, StoreTrouble

Decide = Callable[[], tuple[str, Mapping[str, Any]] | None]


class CustodySession:
    """What every custody action needs. `signer` is the person's or the service's role."""

    def __init__(
        self,
        store: EvidenceStore,
        clock: Clock,
        signer: Signer,
        roots: Sequence[x509.Certificate],
        retention: Retention,
        index_path: Path | None = None,
    ) -> None:
        self.store, self.signer, self.retention = store, signer, retention
        self.clock = clock
        self._ledger = CustodyLedger(store, clock)
        own = x509.load_pem_x509_certificates(signer.certificate_pem)
        self.name, self.role = statement.role_of(own)
        self.index = Index(self._ledger, roots, index_path)

    def now_ns(self) -> int:
        return self.clock.utc().utc_ns

    def append(self, decide: Decide) -> CustodyLine | None:
        """One line, decided on everything that was written before it."""
        line = self._ledger.append(self.signer, self.index.catch_up, self.index.knows, decide)
        self.index.catch_up()
        return line

    def due(self, recording: Mapping[str, Any]) -> Due:
        """When a recording, a row of the index, goes."""
        return self.retention.due(
            recording["latest_ns"], recording["received_ns"], recording["category"]
        )

    def hold(self, recording: str, reason: str, *, case: str = "", request: str = "") -> bool:
        """A reason not to delete; the store locks the files too, as far as these credentials may.
        False where the same is there already."""

        def decide() -> tuple[str, Mapping[str, Any]] | None:
            same = self.index.row(
                "SELECT 1 FROM holds WHERE recording = ? AND reason = ? AND case_ = ? "
                "AND request = ? AND (released IS NULL OR request != '')",
                recording, reason, case, request,
            )  # fmt: skip
            gone = self.index.row(
                "SELECT 1 FROM recordings WHERE id = ? AND erasing IS NOT NULL", recording
            )
            if same is not None or gone is not None:
                return None
            return "hold", {
                "recording": recording,
                "reason": reason,
                "case": case,
                "request": request,
            }

        placed = self.append(decide) is not None
        self.lock(recording)
        return placed

    def held(self, recording: str) -> Sequence[Mapping[str, Any]]:
        """Its holds in force, as rows of the index."""
        self.index.catch_up()
        return self.index.rows(
            "SELECT * FROM holds WHERE recording = ? AND released IS NULL ORDER BY n", recording
        )

    def received(self, recording: str) -> list[Stored]:
        """Where its files are, as intake took them in."""
        files = "SELECT * FROM files WHERE recording = ? AND status = 'received' ORDER BY segment"
        rows = self.index.rows(files, recording)
        return [Stored(row["key"], row["length"], row["version"]) for row in rows]

    def lock(self, recording: str) -> bool:
        """The store's own legal hold on every file that is here, for as long as any hold is in
        force. False where the store has none, or these credentials may not."""
        on = bool(self.held(recording))
        locked = [self._lock(file, on=on) for file in self.received(recording)]
        return all(locked)

    def _lock(self, file: Stored, *, on: bool) -> bool:
        """A file that is gone is no reason to leave the others open."""
        try:
            return self.store.hold(file, on)
        except StoreError as error:
            if error.trouble not in (StoreTrouble.DENIED, StoreTrouble.MISSING):
                raise
            return error.trouble is StoreTrouble.MISSING

    def protect(self, stored: Stored, device: str, segment: str) -> bool:
        """The store's own lock until the day when the file goes. False where it has none."""
        row = self.index.row(
            "SELECT recordings.* FROM recordings JOIN files ON files.recording = recordings.id "
            "WHERE files.device = ? AND segment = ?", device, segment
        )  # fmt: skip
        if row is None:
            return False
        until_utc_s = self.retention.start_utc_s(self.due(row).erased)
        if until_utc_s * NANOSECOND <= self.now_ns():
            return False
        return self.store.retain(stored, until_utc_s)
