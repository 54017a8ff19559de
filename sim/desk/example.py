"""Fills the example and starts its services."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from bwv_device.errors import VaultError
from hal.host import HostClock
from hal.ports import SECOND_NS, Clock
from sim.desk import shifts, weeks
from sim.desk.agency import ExampleAgency
from sim.desk.services import Services
from sim.desk.shifts import DAY_NS, ExampleCamera
from sim.world.custody_workers import BenchClock
from sim.world.virtual_loop import VirtualLoop
from sim.world.world import EPOCH_UTC_NS

MARK = "bwv-desk-example"
OFFICERS = {"cam-101": "PC 101 Singh", "cam-202": "PC 202 Moore", "cam-303": "PC 303 Diaz"}
Advance = Callable[[str, float], None]


class EvidenceDeskExample:
    """An agency with three cameras' footage, and everything that people need to work with it.
    `folder` is made anew. Raises `VaultError` where something else lies there."""

    def __init__(self, folder: Path, advance: Advance = lambda what, share: None) -> None:
        self.folder, self._advance = folder, advance
        prepare(folder)
        self.agency = ExampleAgency(folder, HostClock())
        self.services = Services(folder)
        self.recordings: list[str] = []

    def found(self) -> BenchClock:
        """The store with its log and a witness, forty days ago; the clock of that time."""
        agency = self.agency
        long_ago = BenchClock(VirtualLoop(), time.time_ns() - 40 * DAY_NS - EPOCH_UTC_NS)
        self._advance("a witness", 0.0)
        agency.make_log()
        witness_url = self.services.start(
            "witness",
            ["witness", "serve", "--key", "witness-key.txt", "--log", str(agency.log.verifier),
             "--listen", "127.0.0.1:0"],
            r"on (http://\S+)",
        )  # fmt: skip
        agency.found(witness_url, long_ago)
        return long_ago

    def film(self, device: str, size: tuple[int, int, int, int], minutes: int) -> None:
        """One long recording, of an hour ago."""
        began_ns = time.time_ns() - 3600 * SECOND_NS
        with contextlib.closing(
            ExampleCamera(self.agency, device, began_ns, size, segment_s=60)
        ) as camera:
            camera.leave()
            camera.record((60.0 * minutes - 10, shifts.nothing))
            camera.dock()

    def fill(self) -> None:
        advance, agency = self._advance, self.agency
        long_ago, now_ns = self.found(), time.time_ns()
        month = self._camera("cam-303", now_ns - 29 * DAY_NS, long_ago)
        advance("a camera of a month ago", 0.1)
        with contextlib.closing(month):
            month.leave()
            month.record((8, shifts.marker), (6, shifts.nothing))
            month.dock()
        yesterday_ns = now_ns - DAY_NS - 3600 * SECOND_NS
        yesterday = BenchClock(VirtualLoop(), yesterday_ns - EPOCH_UTC_NS)
        front = self._camera("cam-101", yesterday_ns, yesterday)
        advance("two cameras of yesterday", 0.3)
        with contextlib.closing(front):
            front.leave()
            front.record((7, shifts.marker), (9, shifts.still), (8, shifts.nothing),
                         (3, shifts.mute), (4, shifts.mute), (6, shifts.nothing))  # fmt: skip
            front.record((8, shifts.nothing))
            front.line.change = "0002-0001.mp4"
            front.dock(40)
        side = self._camera("cam-202", yesterday_ns + 4 * SECOND_NS, yesterday)
        advance("two cameras of yesterday", 0.55)
        with contextlib.closing(side):
            side.leave()
            side.record((12, shifts.marker), (9, shifts.marker), (5, shifts.nothing))
            side.record((10, shifts.nothing))
            lost = [name for name in side.world.disk.names("footage") if "-0002-" in name]
            side.world.disk.remove(f"footage/{lost[0]}")
            side.dock()
        advance("what people decided", 0.75)
        custodian = agency.session("Ruth Bell", "custodian")
        custodian.index.catch_up()
        rows = custodian.index.rows("SELECT id FROM recordings ORDER BY id")
        self.recordings = [row["id"] for row in rows]
        first = {device: next(r for r in self.recordings if r.startswith(device))
                 for device in OFFICERS}  # fmt: skip
        weeks.decide(agency, first["cam-101"], first["cam-202"], first["cam-303"])

    def _camera(self, device: str, began_ns: int, clock: Clock) -> ExampleCamera:
        weeks.issue_camera(self.agency, device, OFFICERS[device], clock)
        return ExampleCamera(self.agency, device, began_ns)

    def serve(self, listen: str = "127.0.0.1:0") -> str:
        """Starts what is not running. Returns the desk's address."""
        self._advance("the services", 0.85)
        self.agency.configure("", "")
        key_desk = self.services.start(
            "key-desk",
            ["keydesk", "--as", "roles/keydesk-service.keydesk-key.pem", "serve", "--identity",
             "identity.age", "--unlocked", "--listen", "127.0.0.1:0"],
            r"answers on (http://\S+?)/?\s",
        )  # fmt: skip
        self.agency.configure("", key_desk)
        self.services.start(
            "custody",
            ["custody", "--as", "roles/intake-service.intake-key.pem", "serve", "--retention-as",
             "roles/retention-service.retention-key.pem"],
            r"(Custody serves)",
        )  # fmt: skip
        address = self.services.start(
            "desk", ["desk", "serve", "--listen", listen], r"answers on (http://\S+)"
        )
        self.services.start(
            "worker",
            ["desk", "--as", "roles/renderer-service.renderer-key.pem", "worker", "--url", address,
             "--viewing-key", "roles/renderer-service.viewing-key.txt"],
            r"(waits for orders)",
        )  # fmt: skip
        self._advance("ready", 1.0)
        return address

    def end(self) -> None:
        self.services.end_all()


def prepare(folder: Path) -> None:
    """Raises `VaultError` for a folder that is not an earlier example."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise VaultError(
                f"{folder} holds something else than an example.", "Name another with --out."
            )
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / MARK).touch()
