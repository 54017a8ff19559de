"""Another release on an emulated machine: fetched in the dock from a store, written by RAUC, tried
by the firmware that the test plays, kept; left where it takes no pictures; and cut off by power at
drawn moments. `make image-test`.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import machine
import pytest
from block_log import Card, replay, writes
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
OLD_SLOT, NEXT = IMAGE.with_suffix(".slot.img"), IMAGE.with_name("next.slot.img")
# Cards that a power cut could leave: judged, and started.
IMAGES, BOOTS = 10_000, int(os.environ.get("BWV_BOOTS", "3"))
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
        self.card, self.before, self.installed = (
            folder / f"{name}.img" for name in ("card", "before", "installed")
        )
        self.logs = [folder / f"writes-{number}" for number in (1, 2)]
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

    def start(
        self,
        *,
        card: Path | None = None,
        tried: bool = False,
        words: str = WORDS,
        log: Path | None = None,
    ) -> Machine:
        return Machine(
            self.folder, card or self.card, more_disks=(self.folder / "test.img",), words=words,
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

    def lines(self, card: Path, kind: str) -> list[dict[str, object]]:
        kept = machine.files_of(partition(card, 4, self.folder / "data.img"), self.folder / "data")
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
    """Every write to the card is logged, for the tests behind this one."""
    copy(bench.card, bench.before)
    with bench.start(log=bench.logs[0]) as it:
        bench.dock(it)
        bench.wait(it, "Restarting system with command '0 tryboot'", 600)
        it.wait_for_end()
    assert boot_choice(bench.card) == (2, 3), "nothing is chosen before it has shown what it can"
    copy(bench.card, bench.installed)
    with bench.start(tried=True, log=bench.logs[1]) as it:
        bench.dock(it)
        bench.wait(it, "update: kept")
        machine.time.sleep(5)
        it.ask("quit")
        it.wait_for_end()
    assert boot_choice(bench.card) == (3, 2)
    steps = [line["step"] for line in bench.lines(bench.card, "update")]
    assert steps == ["fetched", "installed", "started", "kept"]
    assert [line["software"] for line in bench.lines(bench.card, "boot")] == [OLD, NEW]


def test_whatever_write_the_power_cuts_off_one_of_the_two_starts_whole(bench: Bench) -> None:
    starts = [start for start, _ in machine.partitions(bench.before)]
    card = Card(bench.before, starts, OLD_SLOT, NEXT)
    seen: Counter[str] = Counter()
    for seed, (log, images) in enumerate(zip(bench.logs, (IMAGES * 3 // 4, IMAGES), strict=True)):
        for number, verdict in replay(card, log, random.Random(seed), images):
            assert verdict in ("A", "B"), f"behind write {number} of {log.name}: {verdict}"
            seen[verdict] += 1
    print(f"{seen.total()} cards: {dict(seen)}")
    assert seen.total() >= IMAGES
    assert set(seen) == {"A", "B"}
    assert card.verdict() == "B"


def test_the_judge_notices_a_choice_that_comes_too_early(bench: Bench) -> None:
    """The control: the second start's writes on a card whose new slot was never written; and one
    of its blocks that is missing."""
    starts = [start for start, _ in machine.partitions(bench.before)]
    card = Card(bench.before, starts, OLD_SLOT, NEXT)
    verdicts = {said for _, said in replay(card, bench.logs[1], random.Random(0), 100)}
    assert any(said.startswith("slot 3 starts, and") for said in verdicts)
    card = Card(bench.before, starts, OLD_SLOT, NEXT)
    list(replay(card, bench.logs[0], random.Random(0), 1))
    assert not card.slots[1].wrong.any(), "byte for byte what the bundle brought"
    card.slots[1].wrong[7] = True
    assert any(
        said == "slot 3 starts, and 1 of its blocks are wrong"
        for _, said in replay(card, bench.logs[1], random.Random(0), 100)
    )


@pytest.mark.parametrize("seed", range(BOOTS))
def test_a_card_that_a_power_cut_left_starts(bench: Bench, seed: int) -> None:
    """The same cards as above, few of them, started for real."""
    draws = random.Random(f"boot {seed}")
    card = bench.folder / "cut.img"
    copy(bench.before, card)
    leave(card, bench.logs, draws)
    starts = boot_choice(card)[0]
    with bench.start(card=card) as it:
        pins = Pins(it)
        for line in (RECORD, MARKER, DOCK):
            pins.drive(line, True)
        it.wait_for("starting → ready")
        machine.time.sleep(3)
    boots = bench.lines(card, "boot")
    assert boots[-1]["software"] == {2: OLD, 3: NEW}[starts]


def test_what_takes_no_pictures_is_left_again(bench: Bench) -> None:
    """Four minutes: `make image-campaign`."""
    card = bench.folder / "blind.img"
    copy(bench.installed, card)
    with bench.start(card=card, tried=True, words=WITHOUT_CAMERA) as it:
        bench.dock(it)
        bench.wait(it, "Restarting system", 500)
        it.wait_for_end()
    assert boot_choice(card) == (2, 3)
    with bench.start(card=card) as it:
        bench.dock(it)
        bench.wait(it, "update: returned")
        machine.time.sleep(3)
    steps = [line["step"] for line in bench.lines(card, "update")]
    assert steps[-2:] == ["failed", "returned"]


def copy(card: Path, to: Path) -> None:
    subprocess.run(["cp", "--sparse=always", card, to], check=True)


def leave(card: Path, logs: list[Path], draws: random.Random) -> None:
    """What a power cut leaves at a drawn moment: some of what was not flushed is not there."""
    counts = [len(list(writes(log))) for log in logs]
    stop = draws.randrange(sum(counts))
    with card.open("r+b") as out:
        for log, count in zip(logs, counts, strict=True):
            entries = list(writes(log))[:stop]
            flushed = max((n for n, w in enumerate(entries) if w.flags & 1), default=0)
            last = stop <= count
            with log.open("rb") as source:
                for number, write in enumerate(entries):
                    lost = last and number > flushed and not write.flags & 2
                    if write.flags & 4 or (lost and draws.random() < 0.5):
                        continue
                    source.seek(write.at)
                    out.seek(write.offset)
                    out.write(source.read(write.length))
            stop -= count
            if stop <= 0:
                return
