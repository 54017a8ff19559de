"""Fixtures for everybody: an agency with keys, a camera in a world, the tools that judge us."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.camera_bench import Camera, make_camera
from support.made_vault import MadeVault, make_vault
from support.mqtt_clients import Desk
from xdist.scheduler import LoadScopeScheduling

from sim.servers.seaweedfs import SeaweedFS
from sim.sweeps.disclosed_packages import DisclosedPackages
from sim.world.test_keys import BenchAgency

# Files whose tests share something that takes long to make: one worker runs them all, first.
TOGETHER = {
    "test_demo.py", "test_custody_cli.py", "test_field_test.py", "test_disclosure.py",
    "test_fleet_cli.py", "test_removals.py", "test_media.py", "test_live_panel.py",
    "test_package_verdicts.py", "test_verify_page.py", "test_evidence_desk.py",
}  # fmt: skip


class OneWorkerAFile(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out tests one by one, and the files of `TOGETHER` whole, these first. (xdist's own
    groups do not work with pytest 9.2: it takes no other node ids.)"""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file.rpartition("/")[2] in TOGETHER else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return OneWorkerAFile(config, log)


@pytest.fixture(scope="session")
def agency() -> BenchAgency:
    return BenchAgency()


@pytest.fixture
def camera(agency: BenchAgency) -> Callable[..., Camera]:
    """Makes a camera that is switched on; keywords as `bench.make_camera`."""

    def make(**keywords: object) -> Camera:
        return make_camera(agency, **keywords)

    return make


@pytest.fixture(scope="session")
def disclosed_packages(tmp_path_factory: pytest.TempPathFactory) -> DisclosedPackages:
    """What an agency disclosed. It takes ten seconds: one worker makes it, others read it."""
    base = tmp_path_factory.getbasetemp()
    kept = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "disclosed.pickle"
    with kept.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if data := file.read():
            packages, lines = pickle.loads(data)
            return DisclosedPackages(packages=packages, strange_lines=lines)
        made = DisclosedPackages()
        file.write(pickle.dumps((made.packages, made.strange_lines)))
        return made


@pytest.fixture(scope="session")
def made_vault(agency: BenchAgency, tmp_path_factory: pytest.TempPathFactory) -> MadeVault:
    """A vault of two boots, closed in order; copy it before changing it."""
    return make_vault(agency, tmp_path_factory.mktemp("made") / "vault")


@pytest.fixture(scope="session")
def tools() -> Path:
    """Go age and the npm packages, as scripts/install-tools leaves them. Missing ones fail."""
    folder = Path(os.environ.get("BWV_TOOLS", ".cache/tools")).resolve()
    if not (folder / "bin" / "age").exists() or not (folder / "node_modules").exists():
        pytest.fail("run 'sh scripts/install-tools' first: independent tools judge our output")
    os.environ["BWV_TOOLS"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A real S3 server on loopback, one for all tests of a worker."""
    server = SeaweedFS(tmp_path_factory.mktemp("weed") / "data")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A real mosquitto on loopback with keys for everybody, one for all tests of a worker."""
    made = Desk(tmp_path_factory.mktemp("desk"))
    made.broker.start()
    yield made
    made.close()
