"""Packages that an agency disclosed, and who could make another one: for drawn changes of them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bwv_device import keys
from bwv_device.custody.disclosure.package import disclose
from bwv_device.custody.disclosure.redaction_plan import Redaction, RedactionBox
from bwv_device.custody.disclosure.request import DisclosureRequest
from bwv_device.custody.key_desk.looking import AgencyKeys
from bwv_device.formats.statement import Signer
from bwv_device.settings import Settings
from hal.simulated.disk import Bytes, Names, Tear
from hal.simulated.power_dock_and_place import StubStills
from sim.custody.witness import WorldWitness
from sim.custody.witnessed_store import WitnessedStore
from sim.media.scene import Scene
from sim.media.sound import Sound, street
from sim.world.camera_handle import make_camera
from sim.world.custody_workers import BenchClock, BenchCustody, role
from sim.world.test_keys import BenchAgency
from sim.world.world import EPOCH_UTC_NS, Media, World

SIZE = (320, 240, 10, 300_000)
WHOLE, EXCERPT, REDACTED, ANOTHER, UNSEEN = "whole", "excerpt", "redacted", "another", "unseen"
CUT, GONE, DAMAGED = "cut by a loss of power", "a segment gone", "a segment damaged"
TORN = Tear(Bytes.PART, Names.WITH)
Files = dict[str, bytes]


@dataclass
class DisclosedPackages:
    """`packages`: each kind's files by their paths; `unseen` before a witness looked."""

    agency: BenchAgency = field(default_factory=BenchAgency)
    packages: dict[str, Files] = field(default_factory=dict)
    # Of another camera of the same agency.
    strange_lines: bytes = b""

    def __post_init__(self) -> None:
        self.officer: Signer = role(self.agency, "Dora", "disclosure")
        self.custodian: Signer = role(self.agency, "Ada", "custodian")
        self.stranger: Signer = role(BenchAgency("another"), "Dora", "disclosure")
        if not self.packages:
            self._record()
            self.strange_lines = self._other_camera()

    def _record(self) -> None:
        scene = Scene(*SIZE, EPOCH_UTC_NS)
        media = Media(scene, Sound(street, 64_000), StubStills())
        world = _world(self.agency, media)
        clock = BenchClock(world.loop)
        log = WitnessedStore(
            self.agency, world.uplink.store, clock, [WorldWitness("ombudsman.example/w1", clock)]
        )
        custody = BenchCustody(world, self.agency)
        custody.start()
        world.run(seconds=2)
        for seconds in (9, 3):
            world.press_record_twice()
            world.run(seconds=seconds)
            world.press_marker()
            world.run(seconds=2)
            world.press_marker(times=2)
            world.hold_record()
            world.run(seconds=2)
        world.press_record_twice()
        world.run(seconds=11)
        world.power_cut(TORN)
        world.boot()
        world.run(seconds=2)
        world.put_in_dock(True)
        world.run(seconds=60)
        scene.close()
        desk = custody.session("Ben", "auditor")
        desk.index.catch_up()
        first, second, third = (row["id"] for row in desk.index.rows("SELECT id FROM recordings"))
        plan = Redaction(boxes=[RedactionBox(1.0, 3.0, 40, 40, 80, 80)], mute=[(2.0, 3.0)])
        covered = {"redaction": plan, "confirmed_by": "Dora"}
        wishes: dict[str, tuple[str, dict[str, Any]]] = {
            UNSEEN: (first, {}),
            WHOLE: (first, {}),
            EXCERPT: (first, {"from_s": 2.0, "to_s": 8.0}),
            REDACTED: (first, covered),
            ANOTHER: (second, {}),
            CUT: (third, {}),
            GONE: (first, {}),
            DAMAGED: (first, {}),
        }
        for name, (recording, wish) in wishes.items():
            seen, kept = name != UNSEEN, dict(custody.store.objects)
            _spoil(custody.store.objects, name)
            self._disclose(name, custody, recording, wish, lambda ask=seen: ask and _publish(log))
            if name in (GONE, DAMAGED):
                for key in [k for k in kept if k.startswith("footage/")]:
                    custody.store.objects[key] = kept[key]

    def _disclose(
        self, name: str, custody: BenchCustody, recording: str, wish: dict[str, Any], again: Any
    ) -> None:
        desk = custody.session("Dora", "disclosure")
        request = DisclosureRequest(recording, "The Crown Court", "case 12/26", **wish)
        with tempfile.TemporaryDirectory() as work:
            out = Path(work) / name
            disclose(
                desk, [self.agency.root], self.agency.files[keys.ROOT],
                AgencyKeys(desk, self.agency.identities), request, out, again=again,
            )  # fmt: skip
            self.packages[name] = {
                str(path.relative_to(out)): path.read_bytes()
                for path in sorted(out.rglob("*")) if path.is_file()
            }  # fmt: skip

    def _other_camera(self) -> bytes:
        camera = make_camera(BenchAgency(device="bench-camera-2"))
        camera.world.press_record_twice()
        camera.world.run(seconds=5)
        camera.world.hold_record()
        camera.world.run(seconds=3)
        lines = camera.world.disk.read("ledger/00000001.ledger").split(b"\n")
        kinds = (b'"kind":"boot"', b'"kind":"open"', b'"kind":"seal"', b'"kind":"close"')
        return b"".join(line + b"\n" for line in lines if any(kind in line for kind in kinds))


def _spoil(objects: dict[str, bytes], name: str) -> None:
    """What a store may do to the first segment of the first recording."""
    key = next(k for k in objects if k.startswith("footage/") and "/00000001-0001-0001.mp4" in k)
    if name == GONE:
        del objects[key]
    if name == DAMAGED:
        data = bytearray(objects[key])
        data[len(data) // 2 : len(data) // 2 + 70_000] = bytes(70_000)
        objects[key] = bytes(data)


def _world(agency: BenchAgency, media: Media) -> World:
    settings = Settings()
    settings = replace(
        settings,
        dock=replace(settings.dock, store="bench", poll_ms=500),
        recording=replace(settings.recording, pre_event_s=0, segment_s=8),
        video=replace(settings.video, width=320, height=240, fps=10, bitrate_kbps=300),
    )
    world = World(
        settings, agency.device, agency.recipients, media=media, seed="packages",
        roots=[agency.root],
    )  # fmt: skip
    world.boot()
    return world


def _publish(log: WitnessedStore) -> bool:
    return log.publish().size > 0
