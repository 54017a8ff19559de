"""A small store of evidence with a log that a witness has seen: for tests and drawn attacks."""

from __future__ import annotations

from collections.abc import Sequence

from bwv_device.custody.history.log import CustodyLog, LogRun
from bwv_device.custody.history.standing import trust_in_force
from bwv_device.custody.history.witnesses import WitnessLine
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.ledger import CustodyLedger
from bwv_device.custody.ledger.store_identity import read_identity
from bwv_device.custody.retention_dates import Retention
from bwv_device.custody.session import CustodySession
from bwv_device.formats.grammar.statements import TrustedWitness, TrustList
from bwv_device.keys import ROOT, ROOT_KEY
from bwv_device.verification.trust_list import Trust, make_trust_list, origin
from hal.keystore import SoftwareIdentity
from hal.ports import Clock, EvidenceStore
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.custody.dates import LONDON
from sim.custody.witness import WorldWitness, WorldWitnesses, seeded_key
from sim.world.custody_workers import founded, role
from sim.world.test_keys import BenchAgency

NOBODY = WorldWitnesses()


class WitnessedStore:
    """Custody of a bench's agency over `store`, with its log's key and `witnesses`."""

    def __init__(
        self,
        agency: BenchAgency,
        store: EvidenceStore,
        clock: Clock,
        witnesses: Sequence[WorldWitness],
        quorum: int | None = None,
        outage_s: int = 172_800,
        foreign: tuple[Sequence[TrustedWitness], WitnessLine] = ((), NOBODY),
    ) -> None:
        """`foreign`: witnesses that are no part of the world, and the way to them."""
        self.agency, self.store, self.clock = agency, founded(store), clock
        self.id = read_identity(store)
        self.key = seeded_key(origin(self.id))
        self.witnesses = list(witnesses)
        self._foreign, line = foreign
        self.line: WitnessLine = line if self._foreign else WorldWitnesses(*witnesses)
        self.root = SoftwareIdentity(agency.files[ROOT_KEY], agency.files[ROOT])
        for witness in witnesses:
            witness.knows(self.key.verifier)
        self.quorum = len(witnesses) + len(self._foreign) if quorum is None else quorum
        self.outage_s = outage_s
        self.trust_list = self.list_of(1)
        founder = self.session("Ada", "custodian")
        founder.append(lambda: ("trust", {"list": self.trust_list}))
        self.log = self.new_log()
        self.ada: CustodySession | None = None  # a process that goes on

    def list_of(self, version: int, witnesses: Sequence[WorldWitness] | None = None) -> str:
        """A trust list, signed by the root."""
        named = self.witnesses if witnesses is None else list(witnesses)
        keys = tuple(TrustedWitness(str(w.key.verifier), f"https://{w.key.name}") for w in named)
        keys += tuple(self._foreign)
        quorum = min(self.quorum, len(keys))
        said = TrustList(
            version, self.id, self.clock.utc().utc_ns, str(self.key.verifier), keys, quorum,
            self.outage_s, (), (),
        )  # fmt: skip
        return make_trust_list(self.root, said)

    def session(self, name: str, role_name: str, given: str = "") -> CustodySession:
        """A process that has just begun."""
        signer, entropy = role(self.agency, name, role_name), SeededEntropy(f"{name} {role_name}")
        return CustodySession(
            self.store, self.clock, signer, [self.agency.root], Retention(LONDON), entropy, None,
            given,
        )  # fmt: skip

    def new_log(self) -> CustodyLog:
        ledger = CustodyLedger(self.store, self.clock, SeededEntropy("log"))
        index = Index(ledger, [self.agency.root])

        def trust() -> Trust | None:
            return trust_in_force(index, [self.agency.root])

        return CustodyLog(index, self.store, self.clock, self.key, trust, self.line)

    def publish(self) -> LogRun:
        return self.log.publish()
