"""`bwv custody software`: RAUC's own tool makes a bundle of a slot, and judges it; the ledger names
it, and it is offered once a witness has seen the line.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bwv_device import keys
from bwv_device.backends.rauc import read_bundle
from bwv_device.errors import CustodyError
from bwv_device.formats import store_keys
from bwv_device.verification import software_offer
from hal.host import HostClock
from hal.simulated.power_dock_and_place import SeededEntropy
from hal.stores.directory import DirectoryStore
from sim.custody.witness import WorldWitness
from sim.custody.witnessed_store import WitnessedStore
from sim.world.test_keys import FOUNDED, BenchAgency

BWV = Path(sys.executable).with_name("bwv")
MKFS = shutil.which("mkfs.vfat", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class Site:
    """An agency with a witnessed store, a software desk and a custodian."""

    def __init__(self, folder: Path) -> None:
        if not all(map(shutil.which, ("rauc", "mtype"))) or MKFS is None:
            pytest.fail("rauc, mtools, dosfstools: run 'sh scripts/install-tools' first")
        self.folder, self.agency = folder, BenchAgency("site")
        (folder / "root.pem").write_bytes(self.agency.files[keys.ROOT])
        (folder / "evidence").mkdir(mode=0o700)
        (folder / "custody.toml").write_text('[agency]\nroot = "root.pem"\n')
        witness = WorldWitness("ombudsman.example/w1", HostClock())
        self.store = DirectoryStore(folder / "evidence")
        self.custody = WitnessedStore(self.agency, self.store, HostClock(), [witness])
        for name in ("software", "custodian"):
            made = keys.role_files(
                self.agency.files, f"the {name}", name, SeededEntropy(name), FOUNDED
            )
            (folder / f"{name}.pem").write_bytes(next(iter(made.values())))
            (folder / f"{name}.pem").chmod(0o600)

    def slot(self, release: str) -> Path:
        """As `make image` makes one, with little in it."""
        file = self.folder / "slot.img"
        file.unlink(missing_ok=True)
        with file.open("wb") as image:
            image.truncate(8 << 20)
        subprocess.run([str(MKFS), file], check=True, capture_output=True)
        (self.folder / "release").write_text(f"{release}\n")
        (self.folder / "system").write_bytes(SeededEntropy(release).token(100_000))
        for name in ("release", "system"):
            words = ["mcopy", "-i", file, self.folder / name, f"::{name}"]
            subprocess.run(words, check=True)
        return file

    def software(self, who: str, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BWV, "custody", "--as", f"{who}.pem", "software", *map(str, words)],
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_release_is_signed_named_and_offered(site: Site) -> None:
    done = site.software("software", "bundle", site.slot("1.1.0"), "--out", "new.bundle")
    assert done.returncode == 0, done.stderr
    assert "new.bundle is release 1.1.0" in done.stdout
    named = site.software("custodian", "publish", "new.bundle")
    assert named.returncode == 0, named.stderr
    early = site.software("custodian", "offer", "1.1.0")
    assert early.returncode == 13
    assert "bwv custody log" in early.stderr
    site.custody.publish()
    offered = site.software("custodian", "offer", "1.1.0")
    assert offered.returncode == 0, offered.stderr
    (listed,) = json.loads(site.software("custodian", "list", "--json").stdout)
    assert f"bwv fleet update 1.1.0 {listed['sha256']}" in offered.stdout
    data = site.store.read(store_keys.offer(listed["sha256"]), 1 << 16)
    judged = software_offer.judge(data, listed["sha256"], [site.agency.root])
    assert judged.release == "1.1.0"
    pieces = b"".join(
        site.store.read(stored.key, 1 << 23)
        for stored in site.store.entries(store_keys.software(listed["sha256"]))
        if not stored.key.endswith("offer")
    )
    assert pieces == (site.folder / "new.bundle").read_bytes()


def test_who_may_not_sign_software_makes_no_bundle(site: Site) -> None:
    done = site.software("custodian", "bundle", site.slot("1.1.0"), "--out", "new.bundle")
    assert done.returncode == 5
    assert "is a key of the role 'custodian'" in done.stderr
    assert not (site.folder / "new.bundle").exists()
    assert site.software("software", "publish", "release").returncode == 13


def test_rauc_refuses_another_agencys_bundle_and_a_changed_one(site: Site, tmp_path: Path) -> None:
    site.software("software", "bundle", site.slot("1.1.0"), "--out", "new.bundle")
    bundle = site.folder / "new.bundle"
    assert read_bundle(bundle, site.folder / "root.pem") == "1.1.0"
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(BenchAgency("stranger").files[keys.ROOT])
    with pytest.raises(CustodyError, match="signature verification failed"):
        read_bundle(bundle, stranger)
    data = bytearray(bundle.read_bytes())
    data[-200] ^= 1
    bundle.write_bytes(data)
    with pytest.raises(CustodyError, match="rauc"):
        read_bundle(bundle, site.folder / "root.pem")
    assert site.software("custodian", "publish", "new.bundle").returncode == 13
    assert json.loads(site.software("custodian", "list", "--json").stdout) == []


@pytest.mark.parametrize("release", ["1.1", "one.two.three", "1.01.0", ""])
def test_a_slot_without_a_release_is_none(site: Site, release: str) -> None:
    done = site.software("software", "bundle", site.slot(release), "--out", "new.bundle")
    assert done.returncode == 13
    assert "no release" in done.stderr


def test_a_bad_output_place_is_named_and_nothing_is_left(site: Site) -> None:
    slot = site.slot("1.1.0")
    done = site.software("software", "bundle", slot, "--out", "release/new.bundle")
    assert done.returncode == 20
    assert done.stderr.startswith("bwv: release can't be written")
    taken = site.software("software", "bundle", slot, "--out", "release")
    assert "release is there already" in taken.stderr
    assert not list(site.folder.glob(".bundle-*"))


def test_an_older_release_is_not_named_behind_a_newer(site: Site) -> None:
    for release, code in (("1.1.0", 0), ("1.0.9", 13), ("1.1.0", 13), ("1.2.0", 0)):
        name = f"{release}-{code}.bundle"
        done = site.software("software", "bundle", site.slot(release), "--out", name)
        assert done.returncode == 0, done.stderr
        assert site.software("custodian", "publish", name).returncode == code
