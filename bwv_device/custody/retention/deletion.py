"""Deletion by day 31. A recording is first hidden, then erased when due; each step is a signed
line. What is held is never erased.

Each decision (`hiding`, `erasing`) is written before the first object is touched, and its end
(`hidden`; `erased`, the certificate) after the last. What is interrupted is finished by the next
run.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from bwv_device.custody.ledger.request_matching import asking, open_requests
from bwv_device.custody.retention_dates import NANOSECOND
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from hal.ports import EvidenceStore, Stored, StoreError, StoreTrouble

HIDE, ERASE, KEEP, WAIT = "hide", "erase", "keep", "wait"
# A run may erase so many at least, and so many times what is usual, before it asks.
BULK_LEAST, BULK_FACTOR, USUAL_DAYS = 200, 3, 28
# So many recordings are named in one line.
LINE_NAMES = 100


class Decision(NamedTuple):
    recording: str
    action: str
    why: str


@dataclass(slots=True)
class DeletionRun:
    """What a run did. `denied` are recordings that a store protects against us; `waiting` is what
    is due and has not come whole."""

    hidden: list[str] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


def plan(session: CustodySession) -> Iterator[Decision]:
    """What would go now, and why everything else stays."""
    index = session.index
    index.catch_up()
    today = session.retention.day(session.now_ns())
    held: dict[str, list[str]] = {}
    for row in index.rows("SELECT * FROM holds WHERE released IS NULL ORDER BY n"):
        said = row["reason"] + (f" ({row['case_']})" if row["case_"] else "")
        held.setdefault(row["recording"], []).append(said)
    on_camera, requests = _still_on_camera(session), open_requests(index.db)
    for row in index.rows("SELECT * FROM recordings WHERE erased_ns IS NULL ORDER BY latest_ns"):
        reasons = held.get(row["id"], []) or [
            f"request {request}" for request in asking(index.db, row, requests)
        ]
        yield _decide(session, row, reasons, on_camera.get(row["id"], 0), today)


def _still_on_camera(session: CustodySession) -> dict[str, int]:
    """How many files of a recording have not come, that its camera had when it last docked."""
    rows = session.index.rows(
        "SELECT recording, count(*) AS files FROM files WHERE status = 'expected' AND announced = "
        "(SELECT max(n) FROM dockings WHERE device = files.device AND refused = '') "
        "GROUP BY recording"
    )
    return {row["recording"]: row["files"] for row in rows}


def _decide(
    session: CustodySession,
    row: Mapping[str, Any],
    held: Sequence[str],
    on_camera: int,
    today: datetime.date,
) -> Decision:
    name, due = str(row["id"]), session.due(row)
    if row["erasing"]:
        return Decision(name, ERASE, f"decided before: {due.rule}")
    if held:
        return Decision(name, KEEP, f"held: {'; '.join(held)}")
    if row["received_ns"] is None:
        return Decision(name, KEEP, "it is still on the camera")
    waits_until = due.erased + datetime.timedelta(session.retention.late_days)
    if on_camera and due.erased <= today < waits_until:
        why = f"{on_camera} files are still on the camera; erased on {waits_until} without them"
        return Decision(name, WAIT, why)
    if today >= due.erased:
        return Decision(name, ERASE, due.rule)
    if today >= due.hidden and row["hidden_ns"] is None:
        return Decision(name, HIDE, f"erased on {due.erased}: {due.rule}")
    if row["hidden_ns"] is not None:
        return Decision(name, KEEP, f"hidden until {due.erased}: {due.rule}")
    return Decision(name, KEEP, f"hidden on {due.hidden}, erased on {due.erased}: {due.rule}")


class Expiry:
    """Carries a plan out, in the evidence store and in its replicas."""

    def __init__(self, session: CustodySession, replicas: Sequence[EvidenceStore] = ()) -> None:
        self._office = session
        self._stores = [session.store, *replicas]
        self._trouble: StoreError | None = None

    def run(self, confirmed: int = 0) -> DeletionRun:
        """Raises `CustodyError` where nothing may be decided on the store, or where far more than
        usual would go and `confirmed` is not that number; `StoreError` where the store does not
        answer, at once, or a replica, once everything was tried."""
        self._office.check()
        done, self._trouble = DeletionRun(), None
        self._lock_held()
        self._restore(done)
        decisions = list(plan(self._office))
        erasing = [d for d in decisions if d.action == ERASE]
        done.waiting = [f"{d.recording}: {d.why}" for d in decisions if d.action == WAIT]
        self._guard(len(erasing), confirmed)
        hiding = [d for d in decisions if d.action == HIDE]
        for at in range(0, len(hiding), LINE_NAMES):
            self._decide_hiding(hiding[at : at + LINE_NAMES])
        self._hide(done)
        for decision in erasing:
            self._erase(decision, done)
        self._erase_again(done)
        if self._trouble is not None:
            raise self._trouble
        return done

    def _lock_held(self) -> None:
        """What is held and not locked: whoever placed the hold died before, or may not. Where this
        key may not either, once is enough."""
        self._office.index.catch_up()
        held = "SELECT DISTINCT recording FROM holds WHERE released IS NULL ORDER BY recording"
        for row in self._office.index.rows(held):
            if not self._office.lock(row["recording"]):
                return

    def _guard(self, count: int, confirmed: int) -> None:
        since_ns = self._office.now_ns() - USUAL_DAYS * 86_400 * NANOSECOND
        row = self._office.index.row(
            "SELECT count(*) AS n FROM recordings WHERE erased_ns >= ?", since_ns
        )
        usual = (row["n"] if row else 0) // USUAL_DAYS
        limit = max(BULK_LEAST, BULK_FACTOR * usual)
        if count > limit and confirmed != count:
            raise CustodyError(
                f"This run would erase {count} recordings; about {usual} a day are usual.",
                f"Look at 'bwv custody expire --dry-run'; if it is right, run it with "
                f"--confirm {count}.",
            )

    # --- hiding -------------------------------------------------------------------------------

    def _decide_hiding(self, decisions: list[Decision]) -> None:
        def decide() -> tuple[str, Mapping[str, Any]] | None:
            now = {d.recording for d in plan(self._office) if d.action == HIDE}
            rules = {d.recording: d.why for d in decisions if d.recording in now}
            return ("hiding", {"recordings": list(rules), "rules": rules}) if rules else None

        self._office.append(decide)

    def _hide(self, done: DeletionRun) -> None:
        """Also what an earlier run had decided, and could not end."""
        names = [row["id"] for row in self._being_hidden()]
        hidden = [name for name in names if self._each_object(name, "hide", done)]
        for at in range(0, len(hidden), LINE_NAMES):
            self._say_hidden(set(hidden[at : at + LINE_NAMES]), done)

    def _say_hidden(self, hidden: set[str], done: DeletionRun) -> None:
        still: list[str] = []

        def decide() -> tuple[str, Mapping[str, Any]] | None:
            still[:] = [row["id"] for row in self._being_hidden() if row["id"] in hidden]
            return ("hidden", {"recordings": still}) if still else None

        self._office.append(decide)
        done.hidden += still

    def _being_hidden(self) -> list[dict[str, Any]]:
        return self._office.index.rows(
            "SELECT id FROM recordings WHERE hiding AND hidden_ns IS NOT NULL AND erasing IS NULL"
        )

    def _restore(self, done: DeletionRun) -> None:
        """What was held while it was hidden is seen again, and what has more time by now: it was
        given a category."""
        index = self._office.index
        index.catch_up()
        today = self._office.retention.day(self._office.now_ns())
        hidden = index.rows(
            "SELECT * FROM recordings WHERE erasing IS NULL AND (hidden_ns IS NOT NULL OR unhide)"
        )
        for row in hidden:
            if not row["unhide"] and today >= self._office.due(row).hidden:
                continue
            if not self._each_object(row["id"], "unhide", done):
                continue
            said = {"recording": row["id"]}
            self._office.append(partial(_say, "restored", said))
            done.restored.append(row["id"])

    # --- erasing ------------------------------------------------------------------------------

    def _erase(self, decision: Decision, done: DeletionRun) -> None:
        name = decision.recording
        if not self._decided(decision):
            return  # held meanwhile
        files = self._files(name)
        if not self._each_object(name, "erase", done):
            return
        row = self._office.index.row("SELECT * FROM recordings WHERE id = ?", name)
        assert row is not None
        retention = self._office.retention
        ended = retention.day(row["latest_ns"])
        certificate = {
            "recording": name,
            "rule": decision.why,
            "ended": ended.isoformat(),
            "age_days": (retention.day(self._office.now_ns()) - ended).days,
            "holds": [],
            "hidden_ns": row["hidden_ns"] or 0,
            "files": files,
            "missing": self._missing(name),
            "stores": len(self._stores),
        }
        self._office.append(lambda: ("erased", certificate))
        done.erased.append(name)

    def _decided(self, decision: Decision) -> bool:
        """Writes the decision down, if it still is one."""

        def decide() -> tuple[str, Mapping[str, Any]] | None:
            name = decision.recording
            row = self._office.index.row("SELECT * FROM recordings WHERE id = ?", name)
            held = self._office.index.row(
                "SELECT 1 FROM holds WHERE recording = ? AND released IS NULL", name
            )
            if row is None or row["erasing"] or held or asking(self._office.index.db, row):
                return None
            if self._office.retention.day(self._office.now_ns()) < self._office.due(row).erased:
                return None  # it was given a category meanwhile
            return "erasing", {"recording": name, "rule": decision.why}

        self._office.append(decide)
        row = self._office.index.row(
            "SELECT erasing FROM recordings WHERE id = ?", decision.recording
        )
        return row is not None and bool(row["erasing"])

    def _files(self, name: str) -> list[dict[str, Any]]:
        return self._office.index.rows(
            "SELECT segment, length, sha256, key FROM files WHERE recording = ? AND status = "
            "'received' ORDER BY segment", name
        )  # fmt: skip

    def _missing(self, name: str) -> list[str]:
        rows = self._office.index.rows(
            "SELECT segment FROM files WHERE recording = ? AND status IN ('expected', 'absent')",
            name,
        )
        return sorted(row["segment"] for row in rows)

    def _erase_again(self, done: DeletionRun) -> None:
        """What lies there again after it was erased: a camera that lost its receipt sends it once
        more, and may be gone before it says so."""
        for store in self._stores:
            try:
                again = [s.key for s in store.entries("footage/") if self._is_gone(s)]
            except StoreError as error:
                self._is_in_trouble(store, error, "footage is not listed", done)
                continue
            for key in again:
                try:
                    store.erase(key)
                except StoreError as error:
                    self._is_in_trouble(store, error, f"{key} was erased, and came again", done)

    def _is_gone(self, stored: Stored) -> bool:
        _, device, segment, *_ = (*stored.key.split("/"), "", "")
        row = self._office.index.row(
            "SELECT 1 FROM files WHERE device = ? AND segment = ? AND key = ? AND "
            "status = 'erased'", device, segment, stored.key
        )  # fmt: skip
        return row is not None

    def _each_object(self, name: str, verb: str, done: DeletionRun) -> bool:
        """In every store that answers. False, and told, where one protects an object or is away:
        the next run tries again."""
        whole = True
        for file in self._files(name):
            for store in self._stores:
                try:
                    getattr(store, verb)(file["key"])
                except StoreError as error:
                    self._is_in_trouble(store, error, name if whole else "", done)
                    whole = False
        return whole

    def _is_in_trouble(
        self, store: EvidenceStore, error: StoreError, about: str, done: DeletionRun
    ) -> None:
        """One replica that is away holds nothing up, and is told in the end; the store itself ends
        the run. What a store protects is told by what it is `about`."""
        if error.trouble in (StoreTrouble.TRANSIENT, StoreTrouble.FULL):
            if store is self._office.store:
                raise error
            self._trouble = self._trouble or error
        elif about:
            done.denied.append(f"{about}: {error}")


def _say(kind: str, fields: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    return kind, fields
