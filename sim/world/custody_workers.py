"""Custody workers beside a simulated camera: they look at the store from time to time."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from bwv_device.custody.intake.intake import Intake
from bwv_device.custody.intake.results import Done, ReplicaStore
from bwv_device.custody.ledger.store_identity import draw_identity, make_identity
from bwv_device.custody.retention_dates import Retention
from bwv_device.custody.session import CustodySession
from bwv_device.errors import EvidenceStoreError
from bwv_device.keys import role_files
from hal.keystore import SoftwareIdentity
from hal.ports import SECOND_NS, Clock, EvidenceStore, UtcReading
from hal.simulated.power_dock_and_place import SeededEntropy
from hal.simulated.store import MemoryStore
from sim.world.test_keys import FOUNDED, BenchAgency
from sim.world.virtual_loop import VirtualLoop
from sim.world.world import EPOCH_UTC_NS, World

LONDON = ZoneInfo("Europe/London")


class BenchClock:
    """The right time, as a server has it."""

    def __init__(self, loop: VirtualLoop, ahead_ns: int = 0) -> None:
        self._loop, self.ahead_ns = loop, ahead_ns

    def monotonic_ns(self) -> int:
        return self._loop.now_ns()

    def utc(self) -> UtcReading:
        return UtcReading(EPOCH_UTC_NS + self._loop.now_ns() + self.ahead_ns, 0, "ntp")


def role(agency: BenchAgency, name: str, role_name: str) -> SoftwareIdentity:
    """A person or a service of the bench's agency; the same for the same name."""
    entropy = SeededEntropy(f"role {name} {role_name}")
    (pem,) = role_files(agency.files, name, role_name, entropy, FOUNDED).values()
    return SoftwareIdentity(pem, pem)


def session(
    agency: BenchAgency, store: EvidenceStore, clock: Clock, name: str, role_name: str
) -> CustodySession:
    """A session of the bench's custody."""
    retention = Retention(LONDON, categories={"evidence": 365})
    signer, entropy = role(agency, name, role_name), SeededEntropy(f"salt {name} {role_name}")
    return CustodySession(store, clock, signer, [agency.root], retention, entropy)


S = TypeVar("S", bound=EvidenceStore)


def founded(store: S) -> S:
    """The store, with an identity if it has none."""
    with contextlib.suppress(EvidenceStoreError):
        make_identity(store, draw_identity(SeededEntropy("store")))
    return store


class BenchCustody:
    """Intake workers in a world. They look every `every_ns`, one after another."""

    def __init__(
        self,
        world: World,
        agency: BenchAgency,
        workers: int = 1,
        every_ns: int = SECOND_NS,
        replicas: Sequence[ReplicaStore] = (),
        heads: Path | None = None,
    ) -> None:
        self.world, self.agency, self._every_ns = world, agency, every_ns
        self.store: MemoryStore = world.uplink.store
        founded(self.store)
        self.clock = BenchClock(world.loop)
        self.store.now_utc_s = lambda: self.clock.utc().utc_ns // SECOND_NS
        self.workers = [
            Intake(
                session(agency, self.store, self.clock, f"intake {n}", "intake"),
                [agency.root],
                f"worker-{n}",
                replicas,
                heads=heads,
            )
            for n in range(workers)
        ]
        self.done: list[Done] = []
        self.working = True

    def start(self) -> None:
        self.world.loop.call_at(self.world.loop.now_ns() + self._every_ns, self._look)

    def look(self) -> None:
        """All workers, once."""
        for worker in self.workers:
            done = worker.once()
            if done.something or done.refused or done.strange:
                self.done.append(done)

    def _look(self) -> None:
        if self.working:
            self.look()
        self.world.loop.call_at(self.world.loop.now_ns() + self._every_ns, self._look)

    def session(self, name: str, role_name: str) -> CustodySession:
        return session(self.agency, self.store, self.clock, name, role_name)
