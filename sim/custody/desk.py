"""Custody's desk as the world speaks to it: acts of people and services, and what custody says.

This file alone knows how custody is written. Whoever plays or judges the months speaks in these
words, which mean the same whatever form the ledger has.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from bwv_device.custody import camera_register, search
from bwv_device.custody.holdings import completeness
from bwv_device.custody.intake.intake import Intake
from bwv_device.custody.intake.results import ReplicaStore
from bwv_device.custody.recording_history import audit
from bwv_device.custody.requests import public_requests, search_certificate
from bwv_device.custody.requests.public_requests import RequestDetails
from bwv_device.custody.retention import holds
from bwv_device.custody.retention.deletion import Expiry
from bwv_device.custody.retention.deletion_certificate import read_certificates
from bwv_device.custody.retention_dates import Retention
from bwv_device.custody.session import CustodySession
from bwv_device.errors import BwvError, CustodyError
from bwv_device.formats import canonical_json
from hal.ports import Clock, EvidenceStore
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.custody.dates import LONDON
from sim.custody.witness import WorldWitness
from sim.custody.witnessed_store import WitnessedStore
from sim.world.custody_workers import founded, role
from sim.world.test_keys import BenchAgency

WITNESS_OUTAGE_S = 30 * 3600
CATEGORIES = {"evidence": 60, "complaint": 45}


class Seen(NamedTuple):
    """A recording as custody lists it. `files`: all that it ever received. `erased` from the
    decision on, until a late rest comes."""

    id: str
    officer: str
    files: dict[str, str]  # received: digests by name
    hidden: bool
    erased: bool
    category: str
    late: bool


class SeenHold(NamedTuple):
    """A hold in force, or released. `why` is its case, its request, or "flag"."""

    number: int
    recording: str
    why: str
    released: bool


class Certificate(NamedTuple):
    """Of an erasure: digests by name of what was erased, and what never came."""

    recording: str
    files: dict[str, str]
    missing: tuple[str, ...]


class Opened(NamedTuple):
    number: str
    due: datetime.date
    held: list[str]


class Searched(NamedTuple):
    """A certificate of a search: recordings found, cameras searched, cameras that could not be."""

    found: list[str]
    searched: list[str]
    not_docked: list[str]


class Refused(Exception):
    """Custody says no, in a sentence."""


class Desk:
    """Custody of one agency. Each person and service has a session of its own, as in a process
    that goes on; `forget` ends them all."""

    def __init__(
        self,
        agency: BenchAgency,
        store: EvidenceStore,
        replicas: Sequence[ReplicaStore],
        clock: Clock,
        witness: WorldWitness | None = None,
    ) -> None:
        """With a `witness` the ledger has a log that it must have seen within 30 hours."""
        self._agency, self._store, self._clock = agency, store, clock
        founded(store)
        self._witnessed = witness and WitnessedStore(
            agency, store, clock, [witness], outage_s=WITNESS_OUTAGE_S
        )
        self._replicas = list(replicas)
        self._sessions: dict[tuple[str, str], CustodySession] = {}
        self._workers: dict[int, Intake] = {}
        self._alarms: dict[str, None] = {}

    def forget(self) -> None:
        """All processes of custody end; what they knew is in the store."""
        self._sessions.clear()
        self._workers.clear()
        if self._witnessed:
            self._witnessed.log = self._witnessed.new_log()

    # --- services -----------------------------------------------------------------------------

    def intake(self, worker: int) -> None:
        """One look at all dockings."""
        if worker not in self._workers:
            session = self._session(f"intake {worker}", "intake")
            name = f"worker-{worker}"
            self._workers[worker] = Intake(session, [self._agency.root], name, self._replicas)
        done = self._workers[worker].once()
        for said in (*done.refused, *done.troubles):
            self._alarms[said] = None

    def publish(self) -> None:
        """The log's service: new lines are shown to the witness."""
        if self._witnessed:
            for said in self._witnessed.publish().troubles:
                self._alarms[said] = None

    def expire(self) -> None:
        stores = [replica.store for replica in self._replicas]
        try:
            done = Expiry(self._session("retention service", "retention"), stores).run()
        except CustodyError as error:  # as the service does: it says so, and tries again
            self._alarms[str(error)] = None
            return
        for said in (*done.denied, *done.waiting):
            self._alarms[said] = None

    def completeness(self) -> set[tuple[str, str]]:
        """Cameras and names of files that custody says are lost."""
        session = self._session("retention service", "retention")
        named = {f"replica-{n}": r.store for n, r in enumerate(self._replicas)}
        found = completeness.examine(session, named)
        completeness.write_down(session, found)
        return {
            (lost.device, lost.segment)
            for lost in found.lost
            if any(place == completeness.HERE for place, _ in lost.places)
        }

    # --- people -------------------------------------------------------------------------------

    def hold(self, person: str, recording: str, case: str) -> bool:
        with _sentences():
            return holds.place(self._session(person, "custodian"), recording, "evidence", case)

    def propose_release(self, person: str, hold: int) -> None:
        with _sentences():
            holds.propose_release(self._session(person, "custodian"), hold, "no longer needed")

    def approve_release(self, person: str, hold: int) -> None:
        with _sentences():
            holds.approve_release(self._session(person, "custodian"), hold)

    def categorize(self, person: str, recording: str, category: str) -> None:
        with _sentences():
            search.categorize(self._session(person, "custodian"), recording, category)

    def open_request(self, person: str, details: RequestDetails) -> Opened:
        with _sentences():
            session = self._session(person, "disclosure")
            opened = public_requests.open_request(session, details)
            return Opened(opened.request, opened.due, list(opened.held))

    def search(self, person: str, request: str) -> Searched:
        with _sentences():
            found = search_certificate.search(self._session(person, "disclosure"), request)
            return Searched(found.found, found.searched, found.not_docked)

    def close_request(self, person: str, request: str) -> None:
        with _sentences():
            session = self._session(person, "disclosure")
            public_requests.close_request(session, request, "disclosed", "answered")

    def issue(self, person: str, camera: str, officer: str) -> None:
        with _sentences():
            custodian = self._session(person, "custodian")
            configuration = role(self._agency, "register", "configuration")
            camera_register.issue(custodian, configuration, camera, officer, new=True)

    def take_back(self, person: str, camera: str) -> None:
        with _sentences():
            custodian = self._session(person, "custodian")
            configuration = role(self._agency, "register", "configuration")
            camera_register.take_back(custodian, configuration, camera)

    # --- what custody says --------------------------------------------------------------------

    def recordings(self, *, fresh: bool = False) -> list[Seen]:
        """All that it ever received something of; `fresh`: by a process that has just begun."""
        session = self._new("auditor", "auditor") if fresh else self._session("auditor", "auditor")
        session.index.catch_up()
        files: dict[str, dict[str, str]] = {}
        for row in session.index.rows("SELECT * FROM files WHERE status IN ('received', 'erased')"):
            files.setdefault(row["recording"], {})[row["segment"]] = row["sha256"]
        return [
            Seen(
                row["id"],
                row["officer"] or "",
                files.get(row["id"], {}),
                row["hidden_ns"] is not None,
                row["erasing"] is not None,
                row["category"],
                bool(row["late"]),
            )
            for row in session.index.rows("SELECT * FROM recordings ORDER BY id")
        ]

    def holds(self) -> list[SeenHold]:
        session = self._session("auditor", "auditor")
        session.index.catch_up()
        rows = session.index.rows("SELECT * FROM holds ORDER BY n")
        return [
            SeenHold(
                row["n"],
                row["recording"],
                row["case_"] or row["request"],
                row["released"] is not None,
            )
            for row in rows
        ]

    def certificates(self) -> list[Certificate]:
        session = self._session("auditor", "auditor")
        session.index.catch_up()
        return [
            Certificate(
                said["recording"],
                {file["segment"]: file["sha256"] for file in said["files"]},
                tuple(said["missing"]),
            )
            for line in session.index.lines("kind = 'erased'")
            for said in map(
                canonical_json.decode,
                read_certificates(self._store, line["certificates"]) or (),
            )
        ]

    def audit(self, recording: str) -> list[str]:
        """What breaks the chain of a recording; nothing where it is whole."""
        with _sentences():
            session = self._session("auditor", "auditor")
            return list(audit(session, [self._agency.root], recording).problems)

    def alarms(self) -> list[str]:
        """Everything that custody complained of so far."""
        session = self._session("auditor", "auditor")
        session.index.catch_up()
        problems = [row["problem"] for row in session.index.rows("SELECT * FROM problems")]
        return [*self._alarms, *problems]

    # --- inside -------------------------------------------------------------------------------

    def _session(self, name: str, role_name: str) -> CustodySession:
        if (name, role_name) not in self._sessions:
            self._sessions[name, role_name] = self._new(name, role_name)
        return self._sessions[name, role_name]

    def _new(self, name: str, role_name: str) -> CustodySession:
        retention = Retention(LONDON, categories=CATEGORIES)
        signer = role(self._agency, name, role_name)
        entropy = SeededEntropy(f"salt {name} {role_name}")
        return CustodySession(
            self._store, self._clock, signer, [self._agency.root], retention, entropy
        )


@contextmanager
def _sentences() -> Iterator[None]:
    """Custody's refusals in the world's word for them."""
    try:
        yield
    except BwvError as error:
        raise Refused(str(error)) from error
