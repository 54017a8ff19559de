"""Another release: offered, fetched, judged, tried, kept; and every way in which it is not."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.camera_bench import Camera, make_camera
from support.signed_commands import TOPIC, fields, person, signed

from bwv_device.camera.update import wanted as wanted_file
from bwv_device.camera.update.wanted import Wanted
from bwv_device.custody import software
from bwv_device.errors import CustodyError
from bwv_device.formats import store_keys
from bwv_device.formats.software_offer import PIECE, Offer
from bwv_device.formats.upload_body import BytesBody
from hal.host import HostDisk
from hal.ports import AccessUnit, StoreError, StoreTrouble
from hal.simulated.disk import Bytes, Names, Tear
from hal.simulated.slots import SimulatedSlots
from sim.custody.witness import WorldWitness
from sim.custody.witnessed_store import WitnessedStore
from sim.world.custody_workers import BenchClock, BenchCustody
from sim.world.test_keys import BenchAgency

CUT = Tear(Bytes.NONE, Names.WITHOUT)
DOCK = {"store": "bench", "poll_ms": 500, "greeting_wait_s": 5, "resend_s": 20}


def bundle_of(release: str, by: str = "agency", size: int = PIECE + 1000) -> bytes:
    """What the machine's model takes for a bundle: who signed it, and a release."""
    head = f"{by} {release}\n".encode()
    return head + bytes(size - len(head))


def read_bundle(data: bytes) -> str:
    by, release = data.split(b"\n")[0].decode().split(" ")
    if by != "agency":
        raise OSError("signature verification failed")
    return release


class Updating:
    """A camera with two slots, its store, custody with a witness."""

    def __init__(self, agency: BenchAgency, folder: Path) -> None:
        self.agency, self._folder, self._counter = agency, folder, 0
        self.it = make_camera(
            agency, boot=False, dock=DOCK, mqtt={"broker": "bench"}, video={"bitrate_kbps": 200},
            recording={"segment_s": 10, "pre_event_s": 0},
        )  # fmt: skip
        self.it.slots = self.slots = SimulatedSlots(self.it.disk, "1.0.0", read_bundle)
        clock = BenchClock(self.it.loop)
        self.witness = WorldWitness("ombudsman.example/w1", clock)
        self.custody = WitnessedStore(agency, self.it.uplink.store, clock, [self.witness])
        self.intake = BenchCustody(self.it, agency)
        self.intake.start()
        self.it.boot()
        self.it.run(seconds=3)

    def publish(self, release: str, data: bytes | None = None, *, seen: bool = True) -> str:
        """The digest of a bundle that stands in the witnessed ledger."""
        file = self._folder / "bundle"
        file.write_bytes(bundle_of(release) if data is None else data)
        ada = self.custody.session("Ada", "custodian")
        ada.index.catch_up()
        named = software.publish(ada, file, release)
        if seen:
            self.custody.publish()
            self.offer(release)
        return named.sha256

    def offer(self, release: str) -> None:
        software.offer(self.again(), release)

    def again(self) -> Any:
        session = self.custody.session("Ada", "custodian")
        session.check()
        return session

    def ask(self, release: str, sha256: str) -> list[str]:
        """Of a command: what is not met."""
        self._counter += 1
        arguments = {"release": release, "sha256": sha256}
        now_s = BenchClock(self.it.loop).utc().utc_ns // 10**9
        said = fields(
            self._counter, "update", arguments=arguments, issued_s=now_s, expires_s=now_s + 900
        )
        self.it.broker.send(TOPIC, signed(person(self.agency), said))
        self.it.run(seconds=2)
        answers = [line for line in self.it.ledger("answer") if line["counter"] == self._counter]
        return list(next(answer["reasons"] for answer in answers))

    def until_restart(self, seconds: int = 120) -> bool:
        """Whether the machine was restarted."""
        for _ in range(seconds):
            self.it.run(seconds=1)
            if self.it.restart_machine():
                return True
        return False

    def steps(self) -> list[str]:
        return [line["step"] for line in self.it.ledger("update")]

    def dock(self) -> None:
        self.it.put_in_dock(True)


@pytest.fixture
def up(agency: BenchAgency, tmp_path: Path) -> Updating:
    return Updating(agency, tmp_path)


def test_a_release_is_fetched_tried_and_kept(up: Updating, tmp_path: Path) -> None:
    digest = up.publish("1.1.0")
    assert up.ask("1.1.0", digest) == []
    up.it.run(seconds=30)
    assert up.steps() == [], "only in the dock"
    up.dock()
    assert up.until_restart()
    assert up.slots.running() == ("1.1.0", True)
    up.it.run(seconds=30)
    assert up.slots.running() == ("1.1.0", False)
    assert up.steps() == ["fetched", "installed", "started", "kept"]
    assert [line["software"] for line in up.it.ledger("boot")] == ["1.0.0", "1.1.0"]
    assert up.it.disk.names("update") == []
    said = [json.loads(m.payload) for m in up.it.broker.messages if m.topic.endswith("/state")]
    assert said[-1]["software"] == {
        "release": "1.1.0", "on_trial": False, "update": "", "last": "kept",
    }  # fmt: skip
    up.it.shut_down()
    assert up.it.verify(tmp_path).ok


def test_on_trial_nothing_is_written_and_no_lamp_says_that_it_records(up: Updating) -> None:
    digest = up.publish("1.1.0")
    up.ask("1.1.0", digest)
    up.dock()
    assert up.until_restart()
    up.it.run(seconds=30)
    assert up.it.disk.names("footage") == []
    assert up.it.ledger("open") == []
    assert {shown.pattern for shown in up.it.shown_so_far("front light")} <= {"dark"}
    agent = up.it.agent
    assert agent is not None
    assert agent.parts.recorder.prebuffer_bytes == 0, "docked cameras keep no pictures"


def test_what_takes_no_pictures_is_left_again(up: Updating) -> None:
    digest = up.publish("1.1.0")
    up.ask("1.1.0", digest)
    up.dock()

    def blind(world: Any) -> None:
        if world.slots.running().release == "1.1.0":
            world.camera.start = lambda sink: None

    up.it.prepare = blind
    assert up.until_restart()
    assert up.slots.running() == ("1.1.0", True)
    assert up.until_restart(200)
    assert up.slots.running() == ("1.0.0", False)
    up.it.run(seconds=5)
    assert up.steps() == ["fetched", "installed", "started", "failed", "returned"]
    assert up.it.ledger("update")[3]["reason"] == "no pictures come"
    up.it.run(seconds=200)
    assert up.slots.restarts == 2, "it is not tried again by itself"


def test_pictures_that_come_out_changed_are_noticed(
    up: Updating, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new release's own seal is at fault."""
    from bwv_device.camera.update import self_test

    digest = up.publish("1.1.0")
    up.ask("1.1.0", digest)
    up.dock()
    whole = self_test.mp4_reader.units

    def spoilt(*words: Any) -> list[AccessUnit]:
        found = whole(*words)
        return [found[0]._replace(data=found[0].data[:-1] + b"\0"), *found[1:]]

    assert up.until_restart()
    monkeypatch.setattr(self_test.mp4_reader, "units", spoilt)
    assert up.until_restart(60)
    assert up.slots.running() == ("1.0.0", False)
    assert up.it.ledger("update")[-1]["reason"] == "other pictures come out than went in"


def test_a_recording_comes_first(up: Updating) -> None:
    """Footage that is not delivered, and an officer who takes the camera out in the middle."""
    digest = up.publish("1.1.0")
    up.ask("1.1.0", digest)
    up.intake.working = False
    up.it.press_record_twice()
    up.it.run(seconds=8)
    up.it.hold_record()
    up.it.run(seconds=3)
    up.dock()
    assert not up.until_restart(60)
    assert up.steps() == [], "it has undelivered footage"
    up.it.put_in_dock(False)
    up.it.run(seconds=1)
    up.intake.working = True
    up.it.press_record_twice()
    assert not up.until_restart(20)
    up.it.hold_record()
    up.it.run(seconds=3)
    up.dock()
    assert up.until_restart()


def test_taken_out_on_trial_it_records_and_is_kept(up: Updating) -> None:
    digest = up.publish("1.1.0")
    up.ask("1.1.0", digest)
    up.dock()
    assert up.until_restart()
    up.it.put_in_dock(False)
    up.it.run(seconds=1)
    up.it.press_record_twice()
    up.it.run(seconds=20)
    assert up.it.state() == "recording"
    assert up.steps()[-1] == "kept"
    assert up.it.light() == "recording"


# --- what is refused ------------------------------------------------------------------------------


def changed_offer(up: Updating, sha256: str, **changes: Any) -> None:
    key = store_keys.offer(sha256)
    offer = Offer.parse(up.it.uplink.store.objects[key])
    up.it.uplink.store.erase(key)
    up.it.uplink.store.create(key, BytesBody(bytes(offer._replace(**changes))))


def refused(up: Updating, release: str, sha256: str) -> str:
    """The reason, by the dock's work on it."""
    assert up.ask(release, sha256) == []
    up.dock()
    assert not up.until_restart(90)
    assert up.slots.slots == ["1.0.0", ""]
    (line,) = [line for line in up.it.ledger("update") if line["step"] in ("refused", "failed")]
    return str(line["reason"])


def test_what_no_witness_has_seen_is_refused(up: Updating) -> None:
    digest = up.publish("1.1.0", seen=False)
    up.witness.away = True
    up.custody.publish()
    with pytest.raises(CustodyError, match="0 witnesses have seen it, and 1 must"):
        up.offer("1.1.0")
    up.witness.away = False
    up.custody.publish()
    up.offer("1.1.0")
    offer = Offer.parse(up.it.uplink.store.objects[store_keys.offer(digest)])
    bare = "\n".join(line for line in offer.checkpoint.split("\n") if "ombudsman" not in line)
    changed_offer(up, digest, checkpoint=bare)
    assert "0 witnesses have seen it, and 1 must" in refused(up, "1.1.0", digest)


def test_a_line_that_is_not_in_the_log_is_refused(up: Updating) -> None:
    digest = up.publish("1.1.0")
    offer = Offer.parse(up.it.uplink.store.objects[store_keys.offer(digest)])
    changed_offer(up, digest, proof=(*offer.proof[:-1], "00" * 32))
    assert "does not stand in the log" in refused(up, "1.1.0", digest)


def test_a_line_of_somebody_else_is_refused(up: Updating) -> None:
    """A well-signed line of an intake worker, and of another agency's custodian."""
    digest = up.publish("1.1.0")
    for name, role in (("intake 1", "intake"),):
        session = up.custody.session(name, role)
        changed_offer(up, digest, certificate=session.signer.certificate_pem.decode())
    assert "may not offer software" in refused(up, "1.1.0", digest)


def test_another_agencys_offer_is_refused(up: Updating, tmp_path: Path) -> None:
    digest = up.publish("1.1.0")
    other = Updating(BenchAgency("other"), tmp_path)
    foreign = other.publish("1.1.0")
    assert foreign == digest
    theirs = other.it.uplink.store.objects[store_keys.offer(foreign)]
    up.it.uplink.store.erase(store_keys.offer(digest))
    up.it.uplink.store.create(store_keys.offer(digest), BytesBody(theirs))
    assert "not signed by the agency's root" in refused(up, "1.1.0", digest)


def test_an_unsigned_bundle_is_refused_by_who_writes_the_slot(up: Updating) -> None:
    digest = up.publish("1.1.0", bundle_of("1.1.0", by="nobody"))
    assert refused(up, "1.1.0", digest) == "signature verification failed"


def test_an_older_release_is_refused(up: Updating) -> None:
    assert up.ask("0.9.0", "00" * 32) == ["it runs 1.0.0"]
    assert up.ask("1.0.0", "00" * 32) == ["it runs 1.0.0"]
    digest = up.publish("1.1.0", bundle_of("0.9.0"))
    assert refused(up, "1.1.0", digest) == "0.9.0 is older than what runs"


def test_the_ledger_names_no_older_release_later(up: Updating) -> None:
    up.publish("1.1.0")
    with pytest.raises(CustodyError, match=r"names release 1\.1\.0 already"):
        up.publish("1.0.5", bundle_of("1.0.5"))


def test_other_bytes_than_the_offers_are_refused(up: Updating) -> None:
    digest = up.publish("1.1.0")
    key = store_keys.software_piece(digest, 1)
    data = up.it.uplink.store.objects[key]
    up.it.uplink.store.erase(key)
    up.it.uplink.store.create(key, BytesBody(data[:-1] + b"x"))
    assert "not the bundle that the offer names" in refused(up, "1.1.0", digest)


def test_one_bundles_offer_is_not_anothers(up: Updating) -> None:
    digest = up.publish("1.1.0")
    theirs = up.it.uplink.store.objects[store_keys.offer(digest)]
    other = hashlib.sha256(b"other").hexdigest()
    up.it.uplink.store.create(store_keys.offer(other), BytesBody(theirs))
    assert "the offer of another bundle" in refused(up, "1.2.0", other)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff" * 100, b"x" * 70_000])
def test_junk_in_the_place_of_an_offer_is_refused(up: Updating, data: bytes) -> None:
    digest = up.publish("1.1.0")
    up.it.uplink.store.erase(store_keys.offer(digest))
    up.it.uplink.store.create(store_keys.offer(digest), BytesBody(data))
    assert refused(up, "1.1.0", digest)


def test_a_machine_without_slots_says_so(
    agency: BenchAgency, camera: Callable[..., Camera]
) -> None:
    it = camera(mqtt={"broker": "bench"})
    it.run(seconds=3)
    arguments = {"release": "1.1.0", "sha256": "00" * 32}
    it.broker.send(TOPIC, signed(person(agency), fields(1, "update", arguments=arguments)))
    it.run(seconds=2)
    assert it.ledger("answer")[0]["reasons"] == ["this machine has no second slot"]


# --- power, network, second thoughts --------------------------------------------------------------


def test_a_power_cut_at_any_second_leaves_one_of_the_two(
    agency: BenchAgency, tmp_path: Path
) -> None:
    ends = set()
    for second in range(1, 40, 2):
        folder = tmp_path / str(second)
        folder.mkdir()
        up = Updating(agency, folder)
        digest = up.publish("1.1.0")
        up.ask("1.1.0", digest)
        up.dock()
        for _ in range(second):
            up.it.run(seconds=1)
            up.it.restart_machine()
        up.it.power_cut(CUT)
        up.it.boot()
        ends.add(tuple(up.slots.running()))
        assert up.slots.slots[up.slots.runs] in ("1.0.0", "1.1.0")
        for _ in range(240):
            up.it.run(seconds=1)
            up.it.restart_machine()
        release, on_trial = up.slots.running()
        assert not on_trial
        assert release in ("1.0.0", "1.1.0")
        assert up.steps()[-1] in ("kept", "returned")
    assert ends == {("1.0.0", False), ("1.1.0", False)}


def test_a_store_that_is_away_is_asked_again(up: Updating) -> None:
    digest = up.publish("1.1.0")
    up.ask("1.1.0", digest)
    read, away = up.it.uplink.read, [True]

    def or_not(key: str, limit: int) -> bytes:
        if away[0] and key.startswith("software/"):
            raise StoreError(StoreTrouble.TRANSIENT, "nobody answers")
        return read(key, limit)

    up.it.uplink.read = or_not  # type: ignore[method-assign]
    up.dock()
    assert not up.until_restart(90)
    away[0] = False
    assert up.until_restart(90)


def test_a_wish_is_taken_back(up: Updating) -> None:
    digest = up.publish("1.1.0")
    up.ask("1.1.0", digest)
    assert up.ask("", "") == []
    up.dock()
    assert not up.until_restart(60)
    assert up.steps() == []


def test_a_wish_outlives_a_restart(up: Updating) -> None:
    digest = up.publish("1.1.0")
    up.ask("1.1.0", digest)
    up.it.power_cut(CUT)
    up.it.boot()
    up.it.run(seconds=3)
    up.dock()
    assert up.until_restart()


def test_the_wish_on_the_card_is_trusted_with_nothing(up: Updating) -> None:
    """Somebody writes another digest there: the offer decides."""
    digest = up.publish("1.1.0", bundle_of("1.1.0", by="nobody"), seen=False)
    up.ask("1.1.0", digest)
    up.dock()
    assert not up.until_restart(90)
    assert up.slots.installs == 0
    assert dataclasses.is_dataclass(up.it)


def test_what_was_installed_and_never_tried_did_not_return(up: Updating) -> None:
    """Taken out of the dock while the slot is written, and switched off in the street."""
    digest = up.publish("1.1.0")
    up.ask("1.1.0", digest)
    up.slots.torn = lambda: up.it.put_in_dock(False)
    up.dock()
    assert not up.until_restart(30)
    assert up.steps() == ["fetched", "installed"]
    up.it.shut_down()
    up.slots.torn = lambda: None
    up.it.boot()
    up.it.run(seconds=5)
    assert up.steps() == ["fetched", "installed"]
    up.dock()
    assert up.until_restart()
    up.it.run(seconds=20)
    assert up.steps()[-1] == "kept"


def test_a_wish_is_kept_on_a_real_disk(tmp_path: Path) -> None:
    """The first of all: there is no folder for it yet."""
    disk = HostDisk(tmp_path / "vault")
    wish = Wanted("1.1.0", "ab" * 32)
    wanted_file.forget(disk)
    assert wanted_file.read(disk) is None
    wanted_file.write(disk, wish)
    assert wanted_file.read(HostDisk(tmp_path / "vault")) == wish
    wanted_file.write(disk, wish._replace(started=True))
    assert wanted_file.read(disk) == wish._replace(started=True)
    wanted_file.forget(disk)
    assert disk.names("update") == []


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"\xff", b'{"release":"1","sha256":"","started":0}']
)
def test_junk_for_a_wish_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "update").mkdir()
    (tmp_path / "update" / "wanted").write_bytes(data)
    assert wanted_file.read(HostDisk(tmp_path)) is None
