"""Another release on an emulated machine: fetched in the dock from a store, written by RAUC, tried
by the firmware that the test plays, kept; left where it takes no pictures; and cut off by power at
drawn moments. `make image-test`.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import machine
import pytest
from machine import Machine, Pins, boot_choice, card_of, ext4_disk, fill_data, partition
from test_image import CONFIG, MARKER, RECORD, WITH_CAMERA, ledger, ready_made

from bwv_device import keys
from bwv_device.custody import software
from bwv_device.custody.intake.intake import Intake
from bwv_device.formats import canonical_json
from hal.host import HostClock, HostEntropy
from hal.stores.directory import DirectoryStore
from sim.custody.witness import WorldWitness
from sim.custody.witnessed_store import WitnessedStore
from sim.world.test_keys import BenchAgency

pytestmark = pytest.mark.image

TREE = Path(__file__).parents[2]
IMAGE = Path(os.environ.get("BWV_IMAGE", TREE / ".cache" / "image" / "camera.img"))
NEXT = IMAGE.with_name("next.slot.img")
CAMERA = 990
OLD, NEW = "0.1.0", "0.2.0"
DOCK = 3
DATA = "/var/lib/bwv-device"
SETTINGS = (
    CONFIG.replace("[pins]", f"[pins]\ndock = {DOCK}").replace(
        "[panel]", '[panel]\ndock = "contact"'
    )
    + f"""
[dock]
store = "{DATA}/store"
root = "{DATA}/keys/agency-root.pem"
poll_ms = 1000
"""
)
# QEMU's own button for powering off has the line that is the dock's here.
WORDS = (
    f"{WITH_CAMERA} module_blacklist=gpio_keys "
    f"systemd.mount-extra=share:{DATA}/store:9p:trans=virtio,version=9p2000.L"
)
WITHOUT_CAMERA = WORDS.replace("/mnt/python", "/mnt/blind")


@contextlib.contextmanager
def as_the_camera() -> Iterator[None]:
    """As the user whose store it is."""
    os.setegid(CAMERA)
    os.seteuid(CAMERA)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


class Bench:
    """An agency with a store and a witness, and a camera's card."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.agency = BenchAgency(recipient_type="mlkem768x25519")
        files = folder / "agency"
        files.mkdir()
        for name, data in self.agency.files.items():
            (files / name).write_bytes(data)
            (files / name).chmod(0o600)
        # One owner on both sides: the camera's user.
        self.share = Path(tempfile.mkdtemp(prefix="bwv-store-"))
        os.chown(self.share, CAMERA, CAMERA)
        clock = HostClock()
        with as_the_camera():
            witness = WorldWitness("ombudsman.example/w1", clock)
            self.custody = WitnessedStore(self.agency, DirectoryStore(self.share), clock, [witness])
            session = self.custody.session("intake 1", "intake")
            self.intake = Intake(session, [self.agency.root], "worker")
        self.sha256 = self._publish()
        self._disk_of_the_camera()
        self.card = folder / "card.img"
        self._card()

    def _publish(self) -> str:
        roles = self.folder / "roles"
        key = keys.make_role(
            self.folder / "agency", roles, "release-desk", "software",
            HostEntropy(), datetime.datetime.now(datetime.UTC),
        )  # fmt: skip
        bundle = self.share / "bundle"
        conf = self.folder / "custody.toml"
        conf.write_text(f'[agency]\nroot = "{self.folder}/agency/{keys.ROOT}"\n')
        done = subprocess.run(
            [sys.executable, "-m", "bwv_device", "custody", "--config", conf, "--as", key,
             "software", "bundle", NEXT, "--out", bundle],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        os.chown(bundle, CAMERA, CAMERA)
        with as_the_camera():
            ada = self.custody.session("Ada", "custodian")
            ada.index.catch_up()
            named = software.publish(ada, bundle, NEW)
            self.custody.publish()
            ada = self.custody.session("Ada", "custodian")
            ada.check()
            software.offer(ada, NEW)
            bundle.unlink()
        return named.sha256

    def _disk_of_the_camera(self) -> None:
        content = self.folder / "content"
        shutil.copytree(TREE / "tests" / "image" / "python", content / "python")
        shutil.copytree(TREE / "tests" / "image" / "python", content / "blind")
        stub = content / "blind" / "picamera2" / "__init__.py"
        stub.write_text(stub.read_text().replace("        while True:\n", "        while False:\n"))
        ready_made(content / "units")
        ext4_disk(self.folder / "test.img", "bwv-test", content)

    def _card(self) -> None:
        card_of(IMAGE, self.card, 2048)
        data = self.folder / "data-content"
        for name in ("keys", "vault/update", "notices", "store"):
            (data / name).mkdir(parents=True)
        (data / "config.toml").write_text(SETTINGS)
        for name in (keys.DEVICE_KEY, keys.DEVICE, keys.ROOT, keys.RECIPIENTS):
            (data / "keys" / name).write_bytes(self.agency.files[name])
            (data / "keys" / name).chmod(0o600)
        wish = {"release": NEW, "sha256": self.sha256, "started": False}
        (data / "vault" / "update" / "wanted").write_bytes(canonical_json.encode(wish))
        fill_data(self.card, data)

    def start(self, *, tried: bool = False, words: str = WORDS, log: Path | None = None) -> Machine:
        return Machine(
            self.folder, self.card, more_disks=(self.folder / "test.img",), words=words,
            tried=tried, share=self.share, log_writes=log,
        )  # fmt: skip

    def dock(self, it: Machine) -> None:
        pins = Pins(it)
        for line in (RECORD, MARKER, DOCK):
            pins.drive(line, True)
        pins.drive(DOCK, False)

    def wait(self, it: Machine, words: str, patience_s: float = 300) -> str:
        """With custody at work meanwhile."""

        def there() -> bool:
            with as_the_camera():
                self.intake.once()
            if "Failed to start bwv-device" in it.said:
                raise machine.MachineError(it.said[-3000:])
            return words in it.said

        it.until(there, words, patience_s)
        return it.said

    def lines(self, kind: str) -> list[dict[str, object]]:
        kept = machine.files_of(
            partition(self.card, 4, self.folder / "data.img"), self.folder / "data"
        )
        return [line for line in ledger(kept) if line["kind"] == kind]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    assert IMAGE.exists(), "make image"
    assert NEXT.exists(), "make image-next"
    assert os.geteuid() == 0, "the camera's store is shared with it: run this as root"
    made = Bench(tmp_path_factory.mktemp("update"))
    yield made
    shutil.rmtree(made.share)


def test_a_release_is_fetched_installed_tried_and_kept(bench: Bench) -> None:
    with bench.start() as it:
        bench.dock(it)
        bench.wait(it, "Restarting system with command '0 tryboot'", 600)
        it.wait_for_end()
    assert boot_choice(bench.card) == (2, 3), "nothing is chosen before it has shown what it can"
    with bench.start(tried=True) as it:
        bench.dock(it)
        bench.wait(it, "update: kept")
        machine.time.sleep(5)
    assert boot_choice(bench.card) == (3, 2)
    steps = [line["step"] for line in bench.lines("update")]
    assert steps == ["fetched", "installed", "started", "kept"]
    assert [line["software"] for line in bench.lines("boot")] == [OLD, NEW]
