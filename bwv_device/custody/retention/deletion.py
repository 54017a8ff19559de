"""Deletion by day 31. A recording is first hidden, then erased when due; each step is a signed
line. What is held is never erased.

Each decision (`hiding`, `erasing`) is written before the first object is touched, and its end
(`hidden`; `erased`, with the certificates) after the last. What is interrupted is finished by the
next run. A run looks only at what may be due: the index knows the day of each recording.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from bwv_device.custody.ledger.index_updates import BATCH_LIMIT
from bwv_device.custody.ledger.request_matching import asking
from bwv_device.custody.retention.deletion_certificate import store_certificates
from bwv_device.custody.retention_dates import NANOSECOND
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from hal.ports import EvidenceStore, Stored, StoreError, StoreTrouble

HIDE, ERASE, KEEP, WAIT = "hide", "erase", "keep", "wait"
# A run may erase so many at least, and so many times what is usual, before it asks.
BULK_LEAST, BULK_FACTOR, USUAL_DAYS = 200, 3, 28
# Files that the certificates of one line name, so that they stay of a size to be read.
FILES_LIMIT = 20_000

# Answers of a store that are about everything, not about one object.
ENDING = (StoreTrouble.TRANSIENT, StoreTrouble.FULL)

Row = Mapping[str, Any]


Troubles = list[tuple[EvidenceStore, StoreError]]


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
    session.index.catch_up()
    on_camera = _still_on_camera(session)
    every = "SELECT * FROM recordings WHERE erased_ns IS NULL ORDER BY latest_ns"
    for row in session.index.rows(every):
        yield _decide(session, row, on_camera)


def due(session: CustodySession) -> Iterator[Decision]:
    """What would go now, or waits for its rest; by the days that the index knows."""
    session.index.catch_up()
    on_camera = _still_on_camera(session)
    today = session.retention.day(session.now_ns()).toordinal()
    hidden_by = today + session.retention.hidden_days
    rows = session.index.rows(
        "SELECT recordings.* FROM recordings JOIN ("
        "SELECT id FROM recordings WHERE erased_ns IS NULL AND erasing IS NOT NULL UNION "
        "SELECT id FROM recordings WHERE erased_ns IS NULL AND due_day <= ?1 UNION "
        "SELECT id FROM recordings WHERE erased_ns IS NULL AND hidden_ns IS NULL AND due_day <= ?2 "
        "EXCEPT SELECT recording FROM holds WHERE released IS NULL) USING (id) ORDER BY latest_ns",
        today, hidden_by,
    )  # fmt: skip
    for row in rows:
        decision = _decide(session, row, on_camera)
        if decision.action != KEEP:
            yield decision


def _still_on_camera(session: CustodySession) -> dict[str, int]:
    """How many files of a recording have not come, that its camera had when it last docked."""
    rows = session.index.rows(
        "SELECT recording, count(*) AS files FROM files WHERE status = 'expected' AND announced = "
        "(SELECT max(n) FROM dockings WHERE device = files.device AND refused = '') "
        "GROUP BY recording"
    )
    return {row["recording"]: row["files"] for row in rows}


def _decide(session: CustodySession, row: Row, on_camera: Mapping[str, int]) -> Decision:
    name, goes = str(row["id"]), session.due(row)
    today = session.retention.day(session.now_ns())
    if row["erasing"]:
        return Decision(name, ERASE, f"decided before: {goes.rule}")
    if reasons := _reasons_to_keep(session, row):
        return Decision(name, KEEP, f"held: {'; '.join(reasons)}")
    if row["received_ns"] is None:
        return Decision(name, KEEP, "it is still on the camera")
    missing = on_camera.get(name, 0)
    waits_until = goes.erased + datetime.timedelta(session.retention.late_days)
    if missing and goes.erased <= today < waits_until:
        why = f"{missing} files are still on the camera; erased on {waits_until} without them"
        return Decision(name, WAIT, why)
    if today >= goes.erased:
        return Decision(name, ERASE, goes.rule)
    if today >= goes.hidden and row["hidden_ns"] is None:
        return Decision(name, HIDE, f"erased on {goes.erased}: {goes.rule}")
    if row["hidden_ns"] is not None:
        return Decision(name, KEEP, f"hidden until {goes.erased}: {goes.rule}")
    return Decision(name, KEEP, f"hidden on {goes.hidden}, erased on {goes.erased}: {goes.rule}")


def _reasons_to_keep(session: CustodySession, row: Row) -> list[str]:
    holds = "SELECT * FROM holds WHERE recording = ? AND released IS NULL ORDER BY n"
    held = [
        hold["reason"] + (f" ({hold['case_']})" if hold["case_"] else "")
        for hold in session.index.rows(holds, row["id"])
    ]
    return held or [f"request {request}" for request in asking(session.index.db, row)]


class Expiry:
    """Carries a plan out, in the evidence store and in its replicas."""

    def __init__(
        self,
        session: CustodySession,
        replicas: Sequence[EvidenceStore] = (),
        at_once: int = 1,
    ) -> None:
        """`at_once`: of how many recordings the objects are worked on side by side."""
        self._office, self._at_once = session, at_once
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
        decisions = list(due(self._office))
        erasing = [d.recording for d in decisions if d.action == ERASE]
        done.waiting = [f"{d.recording}: {d.why}" for d in decisions if d.action == WAIT]
        self._guard(len(erasing), confirmed)
        hiding = [d.recording for d in decisions if d.action == HIDE]
        for batch in _batches(hiding):
            self._office.append(partial(self._still, "hiding", HIDE, batch))
        self._hide(done)
        for batch in _batches(erasing):
            self._office.append(partial(self._still, "erasing", ERASE, batch))
            self._erase(batch, done)
        self._erase_again(done)
        if self._trouble is not None:
            raise self._trouble
        return done

    def _still(
        self, kind: str, action: str, names: Sequence[str]
    ) -> tuple[str, Mapping[str, Any]] | None:
        """A line about those of `names` of which the decision is still the same: they may have
        been held, or given a category, meanwhile."""
        rules = {}
        for name in names:
            row = self._office.index.row("SELECT * FROM recordings WHERE id = ?", name)
            if row is not None and not row["erasing"]:
                decision = _decide(self._office, row, {})
                if decision.action == action:
                    rules[name] = decision.why
        return (kind, {"recordings": list(rules), "rules": rules}) if rules else None

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

    def _hide(self, done: DeletionRun) -> None:
        """Also what an earlier run had decided, and could not end."""
        for batch in _batches([row["id"] for row in self._being_hidden()]):
            hidden = set(self._each_object(batch, "hide", done))
            self._say_hidden(hidden, done)

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
            "SELECT * FROM recordings WHERE unhide AND erasing IS NULL UNION "
            "SELECT * FROM recordings WHERE erased_ns IS NULL AND hidden_ns IS NOT NULL AND "
            "erasing IS NULL AND (due_day > ? OR category != 'unreviewed')",
            today.toordinal() + self._office.retention.hidden_days,
        )
        for row in hidden:
            if not row["unhide"] and today >= self._office.due(row).hidden:
                continue
            if not self._each_object([row["id"]], "unhide", done):
                continue
            said = {"recording": row["id"]}
            self._office.append(partial(_say, "restored", said))
            done.restored.append(row["id"])

    # --- erasing ------------------------------------------------------------------------------

    def _erase(self, names: Sequence[str], done: DeletionRun) -> None:
        """Those of which it was decided, now or by a run before."""
        decided = [name for name in names if self._is_decided(name)]
        files = {name: self._files(name) for name in decided}
        gone = self._each_object(decided, "erase", done)
        for some in _of_files(gone, files):
            certificates = [self._certificate(name, files[name]) for name in some]
            self._office.append(partial(self._erased, certificates))
            done.erased += some

    def _erased(self, certificates: Sequence[dict[str, Any]]) -> tuple[str, Mapping[str, Any]]:
        names = [said["recording"] for said in certificates]
        root = store_certificates(self._office.store, self._office.entropy, certificates)
        return "erased", {"recordings": names, "certificates": root}

    def _is_decided(self, name: str) -> bool:
        decided = "SELECT 1 FROM recordings WHERE id = ? AND erasing IS NOT NULL"
        return self._office.index.row(decided, name) is not None

    def _certificate(self, name: str, files: list[dict[str, Any]]) -> dict[str, Any]:
        row = self._office.index.row("SELECT * FROM recordings WHERE id = ?", name)
        assert row is not None
        retention = self._office.retention
        ended = retention.day(row["latest_ns"])
        return {
            "recording": name,
            "rule": self._office.due(row).rule,
            "ended": ended.isoformat(),
            "age_days": (retention.day(self._office.now_ns()) - ended).days,
            "holds": [],
            "hidden_ns": row["hidden_ns"] or 0,
            "files": files,
            "missing": self._missing(name),
            "stores": len(self._stores),
        }

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

    def _each_object(self, names: Sequence[str], verb: str, done: DeletionRun) -> list[str]:
        """In every store that answers. Returns the recordings of which all objects are done; of
        the others is told where a store protects one or is away: the next run tries again."""
        work = [(name, [file["key"] for file in self._files(name)]) for name in names]
        whole = []
        with self._side_by_side() as over:
            tried = over(partial(self._objects, verb), work)
            for name, troubles in zip(names, tried, strict=True):
                for number, (store, error) in enumerate(troubles):
                    self._is_in_trouble(store, error, "" if number else name, done)
                if not troubles:
                    whole.append(name)
        return whole

    @contextmanager
    def _side_by_side(self) -> Iterator[Callable[..., Iterable[Troubles]]]:
        """A `map`: what is left undone when the run ends early is not begun any more."""
        if self._at_once == 1:
            yield map
            return
        pool = ThreadPoolExecutor(self._at_once)
        try:
            yield pool.map
        finally:
            pool.shutdown(cancel_futures=True)

    def _objects(self, verb: str, of: tuple[str, Sequence[str]]) -> Troubles:
        """What went wrong with one recording's."""
        troubles = []
        for key in of[1]:
            for store in self._stores:
                try:
                    getattr(store, verb)(key)
                except StoreError as error:
                    troubles.append((store, error))
                    if store is self._office.store and error.trouble in ENDING:
                        return troubles
        return troubles

    def _is_in_trouble(
        self, store: EvidenceStore, error: StoreError, about: str, done: DeletionRun
    ) -> None:
        """One replica that is away holds nothing up, and is told in the end; the store itself ends
        the run. What a store protects is told by what it is `about`."""
        if error.trouble in ENDING:
            if store is self._office.store:
                raise error
            self._trouble = self._trouble or error
        elif about:
            done.denied.append(f"{about}: {error}")


def _say(kind: str, fields: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    return kind, fields


def _batches(names: Sequence[str]) -> Iterator[list[str]]:
    left = iter(names)
    while batch := list(islice(left, BATCH_LIMIT)):
        yield batch


def _of_files(names: Sequence[str], files: Mapping[str, Sequence[Any]]) -> Iterator[list[str]]:
    """In groups of so many files that their certificates can be read."""
    group, count = list[str](), 0
    for name in names:
        if group and count + len(files[name]) > FILES_LIMIT:
            yield group
            group, count = [], 0
        group.append(name)
        count += len(files[name])
    if group:
        yield group
