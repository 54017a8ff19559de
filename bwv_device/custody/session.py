"""A custody session: one store, its ledger and index, and the key that signs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509

from bwv_device.custody.history import published, standing
from bwv_device.custody.ledger import rules
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.ledger import RACES, CustodyLedger, CustodyLine, Decided, Place
from bwv_device.custody.ledger.signers import why_not_valid
from bwv_device.custody.permissions import MAY_WRITE
from bwv_device.custody.retention_dates import NANOSECOND, Due, Retention
from bwv_device.errors import CustodyError
from bwv_device.formats import statement
from bwv_device.formats.statement import Signer, StatementError
from bwv_device.verification.trust_list import Trust
from hal.ports import (
    SECOND_NS,
    Clock,
    Entropy,
    EvidenceStore,
    Stored,
    StoreError,
    StoreTrouble,
)

Decide = Callable[[], Decided | None]
# So long a listing is good enough to write on: whoever was faster took the number.
LISTED_NS = SECOND_NS
# How often is looked for new checkpoints of the store's log.
LEARN_NS = 60 * SECOND_NS


class CustodySession:
    """What every custody action needs. `signer` is the person's or the service's role."""

    def __init__(
        self,
        store: EvidenceStore,
        clock: Clock,
        signer: Signer,
        roots: Sequence[x509.Certificate],
        retention: Retention,
        entropy: Entropy,
        index_path: Path | None = None,
        trust_list: str = "",
        index: Index | None = None,
    ) -> None:
        """`trust_list`: one that was given as a file; a newer one in the ledger counts.
        `retention` counts until two persons put rules in force. `index`: one that others read with
        as well, instead of `index_path`."""
        self.store, self.signer, self.configured = store, signer, retention
        self.clock, self.roots = clock, list(roots)
        self.entropy = entropy
        self._ledger = CustodyLedger(store, clock, entropy)
        self._own = x509.load_pem_x509_certificates(signer.certificate_pem)
        self.name, self.role = statement.role_of(self._own)
        self.person = statement.person_of(self._own[0])
        self.index = index or Index(self._ledger, roots, index_path)
        self._trust_list = trust_list
        self._listed_ns: int | None = None
        self._learned_ns: int | None = None

    def now_ns(self) -> int:
        return self.clock.utc().utc_ns

    @property
    def retention(self) -> Retention:
        """The rules in force."""
        return self.index.rules or self.configured

    def trust(self) -> Trust | None:
        """The trust list in force."""
        return standing.trust_in_force(self.index, self.roots, self._trust_list)

    def check(self) -> None:
        """Reads what was written since. Raises `CustodyError` where nothing may be decided on this
        store: it is behind, or beside, what somebody has seen (docs/format.md, 8.5)."""
        self._learn()
        self.index.catch_up()
        standing.refuse_to_decide(self.index, self.trust(), self.now_ns())

    def append(self, decide: Decide) -> CustodyLine | None:
        """One line, decided on everything that was written before it. Raises `CustodyError` where
        it would not count."""

        def allowed() -> Decided | None:
            return self._allowed(decide())

        line = self._on_what_is_known(allowed) if self._is_listed() else None
        if line is None:
            line = self._ledger.append(self.signer, self._caught_up, self.index.knows, allowed)
        if line is None:
            return None
        self.index.take(line)
        if self.index.head.number < line.number:
            self.index.catch_up()
        self._listed_ns = self.clock.monotonic_ns()
        row = self.index.row("SELECT refused FROM lines WHERE n = ?", line.number)
        if row is None or row["refused"]:
            why = row["refused"] if row else "it is not in the ledger"
            raise CustodyError(f"What was written does not count: {why}.", "Nothing has changed.")
        return line

    def _caught_up(self) -> Place:
        now_ns = self.clock.monotonic_ns()
        if self._learned_ns is None or now_ns - self._learned_ns >= LEARN_NS:
            self._learn()
        found = self.index.catch_up()
        standing.refuse_contradictions(self.index)
        return found

    def _learn(self) -> None:
        """Checkpoints that lie in the store. The lines that they cover were there before them, so
        they are read first and the lines afterwards: else a checkpoint of what has just been
        written would look like a cut end."""
        if self.index.trust is None:
            self.index.catch_up()
        published.learn(self.index, self.store, self.trust())
        self._learned_ns = self.clock.monotonic_ns()

    def _on_what_is_known(self, decide: Decide) -> CustodyLine | None:
        """Without listing again: where the number is free, nothing was written since; where it is
        not, the line that stands there is read and the next number tried. None where that is no
        line that continues, or where nothing would be written: that takes a second look."""
        for _ in range(RACES):
            place = Place(self.index.head, 0, self.index.newest_ns)
            try:
                attempt = self._ledger.append_once(self.signer, place, self.index.knows, decide)
                if not attempt.taken:
                    return attempt.line
                faster = self._ledger.at(place.head.number + 1)
            except CustodyError:
                return None
            if faster is not None:
                self.index.take(faster)
            if self.index.head == place.head:
                return None
        return None

    def _is_listed(self) -> bool:
        now_ns = self.clock.monotonic_ns()
        return self._listed_ns is not None and now_ns - self._listed_ns < LISTED_NS

    def _allowed(self, decided: Decided | None) -> Decided | None:
        """Powers come before writing."""
        if decided is not None:
            self.require(decided[0])
        return decided

    def require(self, kind: str) -> None:
        """Raises `CustodyError` where a line of this kind by this key would not count."""
        allowed = MAY_WRITE[kind]
        if self.role not in allowed:
            raise CustodyError(
                f"{self.name} acts as {self.role}; this needs {' or '.join(allowed)}.",
                "Use another key with --as.",
            )
        try:
            statement.role_of(self._own, self.roots)
        except StatementError as error:
            raise CustodyError(
                f"What {self.name} signs does not count here: it {error}.",
                "Use a key that 'bwv custody enrol' made for this agency.",
            ) from None
        if why := why_not_valid(self._own, self.trust(), self.now_ns()):
            raise CustodyError(f"The key of {self.name} {why}.", "Enrol a new one.")

    def due(self, recording: Mapping[str, Any]) -> Due:
        """When a recording, a row of the index, goes: by what is configured, and never before what
        every reader of the ledger allows."""
        known = recording["latest_ns"], recording["received_ns"], recording["category"]
        due, least = self.retention.due(*known), rules.in_force(self.index.db).due(*known)
        later = due if due.erased >= least.erased else least
        return later._replace(hidden=max(due.hidden, least.hidden))

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
