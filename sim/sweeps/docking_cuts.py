"""Cuts the power, or kills the custody's worker, at every step of a docking, over lines and stores
that lose, delay, corrupt and lie. Nothing may be removed that the store does not hold, and in the
end everything is delivered.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from bwv_device.settings import Dock, Recording, Settings
from bwv_device.verification.second_verifier import Judge
from bwv_device.verification.vault_report import verify
from hal.ports import SECOND_NS, Body, StoreTrouble
from hal.simulated.disk import TEARS, Operation, PowerCut, SimulatedDisk, Tear
from hal.simulated.store import Fate, MemoryStore, SimulatedUplink, StoreRequest
from sim.random_streams import Draws
from sim.world.custody_workers import BenchCustody
from sim.world.test_keys import BenchAgency
from sim.world.world import World, stub_media

FPS = 10
BITRATE_BPS = 100_000
# How long a docking may be under way before the cut, and after the last boot.
DOCKED_S, QUIET_S = 60, 600
ILL_FATES = (Fate.LOST, Fate.UNANSWERED, Fate.PRETENDED, Fate.CORRUPTED, Fate.OUT_OF_DATE)
REFUSALS = (
    StoreTrouble.TRANSIENT,
    StoreTrouble.FULL,
    StoreTrouble.REFUSED,
    StoreTrouble.DENIED,
    StoreTrouble.EXISTS,
)


class DockingPoint(NamedTuple):
    """Where it is cut: at the n-th disk operation or request in the dock, or at the n-th operation
    of the custody on its store (then only its worker dies). `faults` 0: an honest line."""

    kind: str  # "disk", "within", "asked", "answered" or "worker"
    number: int
    tear: Tear
    faults: int = 0


class DockingWorkerKilled(BaseException):
    """The custody's worker is gone at this instant."""


@dataclass
class DockingCutOutcome:
    """What a sweep came to."""

    points: int = 0
    removals: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class CutUplink(SimulatedUplink):
    """Loses power at a request, before or after it is done."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.cut_asked = self.cut_answered = -1

    def create(self, key: str, body: Body) -> None:
        self._cut(self.cut_asked)
        super().create(key, body)
        self._cut(self.cut_answered, 1)

    def read(self, key: str, limit: int) -> bytes:
        self._cut(self.cut_asked)
        data = super().read(key, limit)
        self._cut(self.cut_answered, 1)
        return data

    def _cut(self, at: int, done: int = 0) -> None:
        if len(self.requests) - done == at:
            self.cut_asked = self.cut_answered = -1
            raise PowerCut


class MortalStore(MemoryStore):
    """Counts what the custody does to it, and kills the worker at one of these operations."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.kill_at = -1

    def put(self, key: str, data: bytes) -> None:
        if not key.startswith(("dockings/", "ledgers/", "footage/")):
            self._strike()
        super().put(key, data)
        if key.startswith(("custody/", "outbox/")):
            self._strike()

    def erase(self, key: str) -> None:
        self._strike()
        super().erase(key)

    def _strike(self) -> None:
        self.operations += 1
        if self.operations == self.kill_at:
            raise DockingWorkerKilled


def settings() -> Settings:
    dock = Dock(store="bench", greeting_wait_s=5, poll_ms=500, resend_s=20)
    return replace(Settings(), recording=Recording(pre_event_s=0, segment_s=10), dock=dock)


class DockingSweep:
    """One prologue: two recordings, one of them flagged, the second cut off by a power cut. Each
    point docks the same camera again."""

    def __init__(self, stores: Callable[[], MortalStore] = MortalStore) -> None:
        self._agency, self._stores = BenchAgency(), stores
        self._files = self._prologue()
        whole = self._world()
        self.first_operation = whole.world.disk.count
        whole.run()
        self.operations = whole.world.disk.operations[self.first_operation :]
        self.requests = len(whole.uplink.requests)
        self.worker_operations = whole.store.operations
        assert not whole.failures, whole.failures

    def _prologue(self) -> list[tuple[str, bytes]]:
        agency = self._agency
        world = World(
            settings(), agency.device, agency.recipients,
            media=stub_media(BITRATE_BPS, FPS), seed="prologue",
        )  # fmt: skip
        world.boot()
        world.run(seconds=2)
        for flagged in (False, True):
            world.press_record_twice()
            world.run(seconds=2)
            if flagged:
                world.press("marker", held_ms=world.settings.buttons.flag_hold_ms + 100)
            world.hold_record()
            world.run(seconds=2)
        world.press_record_twice()
        world.run(seconds=3)
        world.power_cut(TEARS[0])
        return list(world.disk.files())

    # --- points -------------------------------------------------------------------------------

    def points(self, faults: Iterable[int] = (0,)) -> Iterator[DockingPoint]:
        """Every distinct point of the honest docking, and the same numbers under drawn faults."""
        for seed in faults:
            for operation in self.operations:
                for tear in TEARS:
                    yield DockingPoint("disk", operation.number, tear, seed)
                    if operation.verb == "append":
                        yield DockingPoint("within", operation.number, tear, seed)
            for number in range(self.requests):
                for tear in TEARS:
                    yield DockingPoint("asked", number, tear, seed)
                    yield DockingPoint("answered", number, tear, seed)
            for number in range(1, self.worker_operations + 1):
                yield DockingPoint("worker", number, TEARS[0], seed)

    def run(self, points: Iterable[DockingPoint]) -> DockingCutOutcome:
        outcome = DockingCutOutcome()
        for point in points:
            outcome.points += 1
            outcome.by_kind[point.kind] += 1
            played = self._world(point)
            played.run()
            outcome.removals += played.removals
            outcome.failures += [f"{point}: {failure}" for failure in played.failures]
        return outcome

    def _world(self, point: DockingPoint | None = None) -> _Docking:
        return _Docking(self._agency, self._stores(), self._files, point)


class _Docking:
    """One camera docked, until all is delivered."""

    def __init__(
        self,
        agency: BenchAgency,
        store: MortalStore,
        files: list[tuple[str, bytes]],
        point: DockingPoint | None,
    ) -> None:
        self._agency, self._point, self.store = agency, point, store
        disk = SimulatedDisk()
        for path, data in files:
            disk.create(path)
            disk.append(path, data)
            disk.sync(path)
        for folder in ("footage", "ledger", ""):
            disk.sync(folder)
        self.world = world = World(
            settings(), agency.device, agency.recipients, media=stub_media(BITRATE_BPS, FPS),
            seed=f"docking {point}", docked=True, disk=disk, roots=[agency.root],
        )  # fmt: skip
        self.uplink = CutUplink(store)
        world.uplink = self.uplink
        self.custody = BenchCustody(world, agency, workers=2)
        self.failures: list[str] = []
        self.removals = 0
        disk.observe = self._removed

    def run(self) -> None:
        world = self.world
        self._plant()
        world.boot()
        self._go_on(DOCKED_S)
        self._calm()
        # A docking that was refused or denied is over: the camera is taken out and put in again.
        for _ in range(3):
            if world.agent is None:
                world.boot()
            self._go_on(QUIET_S)
            if not world.disk.names("footage"):
                break
            world.put_in_dock(False)
            self._go_on(5)
            world.put_in_dock(True)
        world.shut_down()
        self._judge()

    def _plant(self) -> None:
        point = self._point
        if point is None:
            return
        if point.kind == "disk":
            self.world.disk.cut_before = point.number
        elif point.kind == "within":
            self.world.disk.cut_during = point.number
        elif point.kind == "asked":
            self.uplink.cut_asked = point.number
        elif point.kind == "answered":
            self.uplink.cut_answered = point.number
        else:
            self.store.kill_at = point.number
        if point.faults:
            self._misfortune(Draws(point.faults, "docking"))

    def _misfortune(self, draws: Draws) -> None:
        ill = draws.between(50, 400)

        def fate(request: StoreRequest) -> Fate:
            return draws.pick(ILL_FATES) if draws.chance(ill) else Fate.DONE

        def refuse(request: StoreRequest) -> StoreTrouble | None:
            return draws.pick(REFUSALS) if draws.chance(ill // 8) else None

        self.uplink.fate, self.uplink.refuse = fate, refuse
        self.uplink.latency_ns = lambda request: draws.between(0, 3 * SECOND_NS)

    def _calm(self) -> None:
        """No more trouble: but what the store holds stays as it is."""
        self.uplink.fate = lambda request: Fate.DONE
        self.uplink.refuse = lambda request: None
        self.uplink.cut_asked = self.uplink.cut_answered = self.store.kill_at = -1
        self.world.disk.cut_before = self.world.disk.cut_during = None

    def _go_on(self, seconds: int) -> None:
        """Custody looks once a second; the power may go, and comes back."""
        world = self.world
        until_ns = world.loop.now_ns() + seconds * SECOND_NS
        while world.loop.now_ns() < until_ns:
            try:
                world.loop.run_until(min(until_ns, world.loop.now_ns() + SECOND_NS))
                self.custody.look()
            except PowerCut:
                assert self._point
                world.power_cut(self._point.tear)
                world.boot()
            except DockingWorkerKilled:
                self.custody = BenchCustody(world, self._agency, workers=2)
                self.custody.clock.ahead_ns = 0
            agent = world.agent
            if agent and agent.parts.delivery.outcome == "complete":
                return

    # --- judging ------------------------------------------------------------------------------

    def _removed(self, operation: Operation, data: bytes) -> None:
        """At this moment the store must hold the same bytes, and have said so in public."""
        if operation.verb != "remove":
            return
        self.removals += 1
        content = self.world.disk.read(operation.path)
        name = operation.path.rpartition("/")[2].removesuffix(".part")
        device = self._agency.device.device
        key = f"footage/{device}/{name}/{hashlib.sha256(content).hexdigest()}"
        if self.store.objects.get(key) != content:
            self.failures.append(f"{name} is removed, and the store does not hold it")
        receipts = f"outbox/{device}/receipts/"
        if not any(k.startswith(receipts) and k.endswith(name) for k in self.store.objects):
            self.failures.append(f"{name} is removed without a receipt")

    def _judge(self) -> None:
        left = self.world.disk.names("footage")
        if left:
            self.failures.append(f"not delivered: {left}")
        device = self._agency.device.device
        with tempfile.TemporaryDirectory() as folder:
            self.world.disk.dump(Path(folder))
            report = verify(Path(folder), [self._agency.root])
            word = Judge(Path(folder), [self._agency.root]).judge()
        if not report.complete or word != "whole":
            self.failures.append(f"the vault: {word} {report.problems} {report.remarks}")
        index = self.custody.workers[0].session.index
        index.catch_up()
        received = index.rows("SELECT segment, sha256 FROM files WHERE status = 'received'")
        settled = {v.name for v in report.segments if v.length or v.status.value == "delivered"}
        names = [row["segment"] for row in received]
        if sorted(names) != sorted(settled):
            self.failures.append(f"received {sorted(names)} of {sorted(settled)}")
        for row in received:
            content = self.store.objects.get(f"footage/{device}/{row['segment']}/{row['sha256']}")
            if content is None or hashlib.sha256(content).hexdigest() != row["sha256"]:
                self.failures.append(f"{row['segment']} was received, and is not there")
        self.failures += [f"custody line: {r}" for r in index.rows("SELECT * FROM problems")]
