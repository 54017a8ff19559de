"""A custody as people use it on the command line, over a directory."""

from __future__ import annotations

import datetime
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from bwv_device import keys
from bwv_device.custody.intake.intake import Intake
from bwv_device.custody.retention_dates import Retention
from bwv_device.custody.session import CustodySession
from hal.host import HostEntropy
from hal.keystore import SoftwareIdentity
from hal.stores.directory import DirectoryStore
from sim.world.custody_workers import LONDON, BenchClock, founded
from sim.world.test_keys import BenchAgency
from support.camera_bench import make_camera
from support.warm_bwv import bwv

ROLES = ("intake", "custodian", "reviewer", "retention", "configuration", "disclosure")


class CustodySite:
    """A folder with keys, a store, a configuration; and a delivery of two recordings, today or
    some days ago."""

    def __init__(self, folder: Path, days_ago: int = 0) -> None:
        self.folder, self._days_ago = folder, days_ago
        # An agency as old as its footage: a certificate does not count before it begins.
        began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days_ago)
        entropy, made = HostEntropy(), folder / "agency"
        keys.make_agency(made, "agency", "X25519", entropy, began)
        for role in ROLES:
            keys.make_role(made, folder / "roles", f"the {role}", role, entropy, began)
        bwv("provision", "cam-7", "--agency", "agency", cwd=folder)
        (folder / "evidence").mkdir()
        (folder / "custody.toml").write_text('[agency]\nindex = "index.sqlite"\n')
        self._deliver()

    def _deliver(self) -> None:
        folder = self.folder
        agency = BenchAgency.__new__(BenchAgency)
        agency.root = keys.load_certificates(folder / "agency" / keys.ROOT)[0]
        agency.recipients = keys.load_recipients(folder / "agency" / keys.RECIPIENTS)
        agency.identities = keys.load_identities(folder / "agency" / keys.IDENTITY)
        agency.device = SoftwareIdentity.load(
            folder / "keys" / keys.DEVICE_KEY, folder / "keys" / keys.DEVICE
        )
        it = make_camera(
            agency, boot=False, dock={"store": "x", "poll_ms": 500}, video={"bitrate_kbps": 200},
            recording={"segment_s": 10, "pre_event_s": 0},
        )  # fmt: skip
        ahead_ns = time.time_ns() - it.clock.utc().utc_ns - self._days_ago * 86_400 * 10**9
        it.clock.set(ahead_ns, 1_000_000, "ntp")
        store = DirectoryStore(folder / "evidence")
        it.line = store
        it.boot()
        it.run(seconds=2)
        for _ in range(2):
            it.press_record_twice()
            it.run(seconds=4)
            it.hold_record()
            it.run(seconds=2)
        role = folder / "roles" / "the-intake.intake-key.pem"
        clock, signer = BenchClock(it.loop, ahead_ns), SoftwareIdentity.load(role, role)
        founded(store)
        session = CustodySession(
            store, clock, signer, [agency.root], Retention(LONDON), HostEntropy()
        )
        worker = Intake(session, [agency.root], "w")
        it.put_in_dock(True)
        for _ in range(40):
            it.run(seconds=1)
            worker.once()
        assert it.disk.names("footage") == []

    def custody(self, role: str, *words: str) -> subprocess.CompletedProcess[str]:
        key = f"roles/the-{role}.{role}-key.pem"
        return bwv("custody", "--as", key, *words, cwd=self.folder)

    def ask(self, role: str, *words: str) -> Any:
        done = self.custody(role, *words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def does(self, role: str, *words: str) -> str:
        done = self.custody(role, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout
