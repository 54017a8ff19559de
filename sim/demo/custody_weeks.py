"""The 32 days after the demo's shift: holds, a request, deletion, a disclosure."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509

from bwv_device.custody.disclosure.package import disclose
from bwv_device.custody.disclosure.package_films import Package
from bwv_device.custody.disclosure.request import DisclosureRequest
from bwv_device.custody.intake.intake import Intake
from bwv_device.custody.key_desk.looking import AgencyKeys
from bwv_device.custody.key_desk.open_recording import open_recording
from bwv_device.custody.recording_history import audit
from bwv_device.custody.requests import law, public_requests, search_certificate
from bwv_device.custody.retention import deletion_certificate, holds
from bwv_device.custody.retention.deletion import Expiry
from bwv_device.custody.retention.deletion_certificate import DeletionCertificate
from bwv_device.custody.retention_dates import Retention
from bwv_device.custody.session import CustodySession
from bwv_device.formats import age
from bwv_device.formats.statement import Signer
from bwv_device.verification.export import Exported
from hal.ports import SECOND_NS, EvidenceStore
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.world.custody_workers import LONDON, BenchClock, founded
from sim.world.world import World

DAY_NS = 86_400 * SECOND_NS
LETTER = b"""Dear Sir or Madam,

this morning, a little after eight, an officer spoke to me at the bus stop in Mare Street.
I should like to see the footage of that.

A member of the public
"""


class Stores(NamedTuple):
    """The evidence store as each role's key shows it: one and the same for a directory."""

    camera: EvidenceStore
    intake: EvidenceStore
    custodian: EvidenceStore
    hold: EvidenceStore
    retention: EvidenceStore


class Day(NamedTuple):
    """A day of the story, and what was said on it."""

    day: int
    what: str
    detail: str


class Afterwards:
    """The custody beside the demo's camera, and the weeks after the shift."""

    def __init__(
        self,
        world: World,
        stores: Stores,
        roots: Sequence[x509.Certificate],
        signers: Callable[[str, str], Signer],
        *,
        ahead_ns: int = 0,
    ) -> None:
        self._world, self._stores, self._roots = world, stores, list(roots)
        self._signers, self._began_ns = signers, ahead_ns
        self.clock = BenchClock(world.loop, ahead_ns)
        founded(stores.intake)
        intake = self._session("intake service", "intake", stores.intake)
        self._intake = Intake(intake, self._roots, "demo-worker")
        self.story: list[Day] = []

    def start(self) -> None:
        """Intake looks once a second while the shift goes on."""
        self._intake.once()
        self._world.loop.call_at(self._world.loop.now_ns() + SECOND_NS, self.start)

    # --- weeks --------------------------------------------------------------------------------

    def play(
        self, folder: Path, root_pem: bytes, identities: Sequence[age.Identity]
    ) -> tuple[dict[str, Any], Package]:
        """From the evening of the shift to its 32nd day. What came of it goes into the page."""
        custodian = self._session("Ada Okafor", "custodian", self._stores.custodian)
        custodian.index.catch_up()
        names = [r["id"] for r in custodian.index.rows("SELECT id FROM recordings ORDER BY id")]
        evidence, asked_for, ordinary = names[:3]
        self._tell(f"{len(names)} recordings delivered and receipted", "the camera forgot them")
        holder = self._session("Ada Okafor", "custodian", self._stores.hold)
        holds.place(holder, evidence, "evidence", "case 12/26")
        self._tell(f"{evidence} is held", "evidence, case 12/26")
        opened = self._request(custodian, asked_for)
        self._pass_days(24)
        retention = self._session("retention service", "retention", self._stores.retention)
        for name in Expiry(retention).run().hidden:
            self._tell(f"{name} is hidden", "nobody held it or asked for it")
        self._pass_days(8)
        done = Expiry(retention).run()
        for name in done.erased:
            self._tell(f"{name} is erased", "with a signed certificate")
        for sentence in done.denied:
            self._tell("the store refuses to erase", sentence)
        officer = self._session("Dora Lee", "disclosure", self._stores.custodian)
        wish = DisclosureRequest(evidence, "Crown Prosecution Service", "case 12/26")
        keys = AgencyKeys(officer, identities)
        package = disclose(officer, self._roots, root_pem, keys, wish, folder / "disclosure")
        self._tell(f"{evidence} is disclosed", "to the Crown Prosecution Service")
        life = audit(officer, self._roots, ordinary)
        certificates = [deletion_certificate.find(officer, name) for name in done.erased]
        return {
            "story": [day._asdict() for day in self.story],
            "certificate": _plain(certificates[0]) if certificates else None,
            "request": {"number": opened.request, "due": opened.due.isoformat(),
                        "held": opened.held},
            "problems": life.problems,
            "life": [
                {"ledger": s.ledger, "number": s.number, "what": s.what, "who": s.who}
                for s in life.steps
            ],
            "custody_lines": officer.index.head.number,
            "erased": done.erased,
            "denied": done.denied,
        }, package  # fmt: skip

    def films(self, folder: Path, identities: Sequence[age.Identity]) -> list[Exported]:
        """Every recording, fetched from the store and opened, before anything is erased."""
        session = self._session("Dora Lee", "disclosure", self._stores.custodian)
        session.index.catch_up()
        done, keys = list[Exported](), AgencyKeys(session, identities)
        for row in session.index.rows("SELECT id, recording FROM recordings ORDER BY id"):
            work = folder / row["recording"]
            opened = open_recording(session, self._roots, keys, row["id"], work, "the page")
            done += opened.films
        return done

    def _request(self, session: CustodySession, recording: str) -> public_requests.Opened:
        row = session.index.row("SELECT * FROM recordings WHERE id = ?", recording)
        assert row is not None
        incident_ns = row["start_ns"] + 5 * SECOND_NS
        opened = public_requests.open_request(
            session,
            public_requests.RequestDetails(
                law.SUBJECT_ACCESS,
                LETTER,
                "letter.txt",
                session.retention.day(session.now_ns()),
                incident_ns,
                incident_ns - SECOND_NS,
                incident_ns + SECOND_NS,
                "Mare Street",
                "spoken to at the bus stop",
            ),
        )
        coverage = search_certificate.search(session, opened.request)
        self._tell(
            f"request {opened.request} from a member of the public",
            f"due on {opened.due}; held at once: {', '.join(opened.held)}; "
            f"searched: {', '.join(coverage.searched)}",
        )
        return opened

    # --- inside -------------------------------------------------------------------------------

    def _session(self, name: str, role: str, store: EvidenceStore) -> CustodySession:
        signer, retention = self._signers(name, role), Retention(LONDON)
        entropy = SeededEntropy(f"salt {name} {role}")
        return CustodySession(store, self.clock, signer, self._roots, retention, entropy)

    def _pass_days(self, count: int) -> None:
        self.clock.ahead_ns += count * DAY_NS

    def _tell(self, what: str, detail: str) -> None:
        day = (self.clock.ahead_ns - self._began_ns) // DAY_NS
        self.story.append(Day(day, what, detail))


def _plain(certificate: DeletionCertificate) -> dict[str, Any]:
    """A certificate's words, for the page."""
    said = certificate.said | certificate.line
    when = datetime.datetime.fromtimestamp(said["utc_ns"] // SECOND_NS, datetime.UTC)
    kept = ("n", "recording", "rule", "ended", "age_days", "holds", "files", "name", "role")
    return {**{key: said[key] for key in kept}, "when": f"{when:%Y-%m-%d %H:%M:%S} UTC"}
