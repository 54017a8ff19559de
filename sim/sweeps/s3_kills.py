"""Dockings over a real S3 server that is killed at random moments, and workers with it. In the end
nothing is lost, and nothing was done twice.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from bwv_device.custody import s3_policies
from bwv_device.custody.intake.intake import Intake
from bwv_device.custody.session import CustodySession
from bwv_device.settings import Dock, Recording, Settings
from hal.ports import Body, EvidenceStore, StoreError
from hal.stores.s3 import S3Store
from sim.random_streams import Draws
from sim.servers.seaweedfs import SeaweedFS
from sim.world.custody_workers import BenchClock, founded, session
from sim.world.test_keys import BenchAgency
from sim.world.virtual_loop import VirtualLoop
from sim.world.world import World, stub_media

BUCKET = "evidence"
# So many requests may go by between two kills, at most.
CALM = 100
PATIENCE_S = 900
PAUSE_S = 0.05
WORKERS = 2


Result = TypeVar("Result")


def patiently(work: Callable[[], Result]) -> Result:
    """A server that has just begun may not have its users and volumes yet, and says so in many
    ways; what it still says after twenty seconds, it means."""
    for _ in range(400):
        try:
            return work()
        except StoreError:
            time.sleep(PAUSE_S)
    return work()


class WorkerKilled(BaseException):
    """The worker is gone at this instant."""


@dataclass
class KillOutcome:
    """What the dockings came to."""

    dockings: int = 0
    server_kills: int = 0
    worker_kills: int = 0
    files: int = 0
    failures: list[str] = field(default_factory=list)


class Reaper:
    """Kills the server, or a worker, before or after a request; the server comes back at once. It
    is left alone until it takes something again: one that is killed each time before its volumes
    can be written would take nothing for ever."""

    def __init__(self, weed: SeaweedFS, draws: Draws) -> None:
        self._weed, self._draws = weed, draws
        self.server_kills = self.worker_kills = 0
        self.resting = self._coming_back = False
        self._left = draws.between(1, CALM)

    def before(self, *, worker: bool) -> None:
        if self.resting or self._coming_back:
            return
        self._left -= 1
        if self._left > 0:
            return
        self._left = self._draws.between(1, CALM)
        if worker and self._draws.chance(500):
            self.worker_kills += 1
            raise WorkerKilled
        self.server_kills += 1
        self._coming_back = True
        self._weed.kill()
        self._weed.start()

    def took(self) -> None:
        """The server has stored something."""
        self._coming_back = False


class _Exposed(S3Store):
    """A store whose user, or whose server, may be killed around each request that changes it."""

    reaper: Reaper
    worker = False

    def create(self, key: str, body: Body) -> None:
        self.reaper.before(worker=self.worker)
        super().create(key, body)
        self.reaper.took()
        self.reaper.before(worker=self.worker)

    def read(self, key: str, limit: int) -> bytes:
        self.reaper.before(worker=self.worker)
        return super().read(key, limit)

    def erase(self, key: str) -> None:
        self.reaper.before(worker=self.worker)
        super().erase(key)


class Kills:
    """A server in `folder`; each docking is a camera of its own with three files."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._agency = BenchAgency()
        self._weed = SeaweedFS(folder / f"weed-{seed}")
        self._draws = Draws(seed, "kills")
        self._reaper = Reaper(self._weed, self._draws.stream("reaper"))
        self._clock = BenchClock(VirtualLoop())
        self._sent: dict[str, bytes] = {}
        self._seed = seed

    def run(self, dockings: int) -> KillOutcome:
        names = [f"cam-{self._seed}-{number}" for number in range(dockings)]
        self._weed.policies = {name: s3_policies.camera(BUCKET, name) for name in names}
        self._weed.policies |= {name: s3_policies.role(BUCKET, name) for name in s3_policies.ROLES}
        self._weed.start()
        try:
            self._weed.make_bucket(BUCKET)
            patiently(lambda: founded(self._weed.store(BUCKET)))
            outcome = KillOutcome()
            for name in names:
                outcome.dockings += 1
                outcome.failures += self._docking(name)
            self._reaper.resting = True
            outcome.failures += patiently(self._judge)
        finally:
            self._weed.kill()
        outcome.server_kills = self._reaper.server_kills
        outcome.worker_kills = self._reaper.worker_kills
        outcome.files = len(self._sent)
        return outcome

    def _docking(self, name: str) -> list[str]:
        camera = BenchAgency(device=name)
        # One agency; only the device differs.
        assert camera.files["agency-root.pem"] == self._agency.files["agency-root.pem"]
        dock = Dock(store="bench", poll_ms=500, greeting_wait_s=5, resend_s=20)
        settings = Settings(recording=Recording(pre_event_s=0, segment_s=10), dock=dock)
        world = World(
            settings, camera.device, camera.recipients, media=stub_media(200_000, 10),
            seed=name, roots=[self._agency.root], line=self._store(name, worker=False),
        )  # fmt: skip
        ahead_ns = time.time_ns() - world.clock.utc().utc_ns
        world.clock.set(ahead_ns, 1_000_000, "ntp")
        self._clock = BenchClock(world.loop, ahead_ns)
        world.boot()
        world.run(seconds=1)
        for _ in range(3):
            world.press_record_twice()
            world.run(seconds=2)
            world.hold_record()
            world.run(seconds=1)
        for path in world.disk.names("footage"):
            data = world.disk.read(f"footage/{path}")
            digest = hashlib.sha256(data).hexdigest()
            self._sent[f"footage/{name}/{path}/{digest}"] = data
        world.put_in_dock(True)
        workers = [patiently(partial(self._worker, n)) for n in range(WORKERS)]
        until_ns = world.loop.now_ns() + PATIENCE_S * 10**9
        while world.loop.now_ns() < until_ns:
            world.run(seconds=1)
            for number in range(WORKERS):
                try:
                    workers[number].once()
                except StoreError:
                    time.sleep(PAUSE_S)  # the server was away, in real time: it looks again
                except WorkerKilled:
                    workers[number] = patiently(partial(self._worker, number))
            if world.agent and world.agent.parts.delivery.outcome == "complete":
                return []
        return [f"{name}: not delivered: {world.disk.names('footage')}"]

    def _judge(self) -> list[str]:
        """Everything is there as the camera had it, recorded once, receipted."""
        session = self._session("auditor", self._weed.store(BUCKET), "auditor")
        session.index.catch_up()
        found = [f"custody: {row}" for row in session.index.rows("SELECT * FROM problems")]
        taken = Counter(
            file["key"] for line in session.index.lines("kind = 'intake'") for file in line["files"]
        )
        found += [f"{key} was recorded {n} times" for key, n in taken.items() if n != 1]
        found += [f"{key} was never recorded" for key in self._sent if key not in taken]
        root = self._weed.store(BUCKET)
        for key, data in self._sent.items():
            for stored in root.versions(key)[:1]:
                if b"".join(root.blocks(stored)) != data:
                    found.append(f"{key} is not what the camera had")
            if len(root.versions(key)) != 1:
                found.append(f"{key} has {len(root.versions(key))} versions")
        return found

    # --- parts --------------------------------------------------------------------------------

    def _store(self, who: str, *, worker: bool) -> EvidenceStore:
        store = _Exposed(self._weed.place(BUCKET, who), timeout_s=10)
        store.reaper, store.worker = self._reaper, worker
        return store

    def _worker(self, number: int) -> Intake:
        session = self._session(f"intake {number}", self._store("intake", worker=True), "intake")
        return Intake(session, [self._agency.root], f"worker-{number}-{self._reaper.worker_kills}")

    def _session(self, name: str, store: EvidenceStore, role: str) -> CustodySession:
        return session(self._agency, store, self._clock, name, role)
