"""A camera of the agency: its card, its clock, the hands that use it, what it truly recorded."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import NamedTuple

from bwv_device.keys import DEVICE, DEVICE_KEY, device_files
from bwv_device.settings import Buttons, Dock, Recording, Settings
from hal.keystore import SoftwareIdentity
from hal.ports import SECOND_NS
from hal.simulated.disk import Operation, SimulatedDisk
from hal.simulated.power_dock_and_place import SeededEntropy
from hal.simulated.store import MemoryStore, SimulatedUplink
from sim.custody.truth import TrueRecording, Truth
from sim.random_streams import Draws
from sim.world.test_keys import FOUNDED, BenchAgency
from sim.world.virtual_loop import VirtualLoop
from sim.world.world import EPOCH_UTC_NS, World, stub_media

FPS, BITRATE_BPS, SEGMENT_S = 5, 50_000, 10
# A name of a segment begins with that of its recording.
NAME_LENGTH = 13
OFF_PATIENCE_S = 120


def settings() -> Settings:
    dock = Dock(store="bench", greeting_wait_s=5, poll_ms=500, resend_s=20)
    recording = Recording(pre_event_s=0, segment_s=SEGMENT_S)
    return replace(Settings(), recording=recording, dock=dock)


class CameraClock(NamedTuple):
    """What a camera's clock is worth. Not `known`: it is off by `offset_ns` and says so, or, with
    `error_ns` 0, knows nothing."""

    known: bool
    offset_ns: int = 0
    error_ns: int = 0


class BodyCamera:
    """One camera. It is switched on for a shift or in the dock; the card stays what it is."""

    def __init__(
        self,
        name: str,
        agency: BenchAgency,
        loop: VirtualLoop,
        store: MemoryStore,
        truth: Truth,
        draws: Draws,
        *,
        clock: CameraClock,
    ) -> None:
        self.name, self._loop, self._truth, self._draws = name, loop, truth, draws
        files = device_files(agency.files, name, SeededEntropy(f"device {name}"), FOUNDED)
        self._identity = SoftwareIdentity(files[DEVICE_KEY], files[DEVICE])
        self._agency, self.uplink = agency, SimulatedUplink(store)
        self.clock = clock
        self.disk = SimulatedDisk()
        self.disk.observe = self._observed
        self.disk.now_ns = loop.now_ns
        self.officers: frozenset[str] = frozenset({"unassigned"})  # one of these it names
        self.issued_to, self._is_sure = "unassigned", True
        self.at_removal = self._no_check
        self.in_drawer_until_ns = 0
        self.world: World | None = None
        self._boots = 0

    # --- power --------------------------------------------------------------------------------

    def switch_on(self, *, docked: bool) -> World:
        self._boots += 1
        self.world = world = World(
            settings(), self._identity, self._agency.recipients,
            media=stub_media(BITRATE_BPS, FPS), seed=f"{self.name} {self._boots}", docked=docked,
            disk=self.disk, roots=[self._agency.root], loop=self._loop,
        )  # fmt: skip
        world.uplink = self.uplink
        if self.clock.error_ns:
            world.clock.set(self.clock.offset_ns, self.clock.error_ns, "rtc")
        elif not self.clock.known:
            world.clock.unset()
        world.power.set(90, charging=docked)
        world.boot()
        return world

    def switch_off(self) -> None:
        """In order, if it can; else the plug is pulled."""
        world = self._on
        assert world.agent
        world.agent.stop()
        until_ns = self._loop.now_ns() + OFF_PATIENCE_S * SECOND_NS
        while not world.stopped() and self._loop.now_ns() < until_ns:
            world.run(seconds=0.2)
        world.switched_off()
        self.world = None
        self.take_stock()

    def power_goes(self) -> None:
        """At this instant; what was not synced has a fate of its own."""
        self._on.power_off()
        self.disk.cut_anyhow(self._draws.below)
        self.world = None

    @property
    def cut_is_due(self) -> bool:
        """Whether a planned power cut has struck its disk."""
        planned = self.disk.cut_before
        return planned is not None and self.disk.count > planned

    # --- hands --------------------------------------------------------------------------------

    def record(self, seconds: int, *, flag: bool, cut: bool) -> None:
        """One recording by the book; or one that a power cut ends."""
        world = self._on
        world.press_record_twice()
        world.run(seconds=seconds)
        if flag:
            held_ms = Buttons().flag_hold_ms + 200
            world.press("marker", held_ms=held_ms)
            world.run(seconds=1)
            self._newest().flagged = True
        if cut:
            self.power_goes()
            return
        world.hold_record()
        world.run(seconds=2)

    def told(self, officer: str) -> None:
        """It was issued to somebody; it hears of it when it docks."""
        self.maybe_told(officer)
        self.issued_to, self._is_sure = officer, True

    def maybe_told(self, officer: str) -> None:
        """Somebody tries to issue it, and may get no answer."""
        self.officers |= {officer}
        self._is_sure = False

    def docked_through(self) -> None:
        """It heard everything that there was to hear."""
        if self._is_sure:
            self.officers = frozenset({self.issued_to})

    # --- what is so ---------------------------------------------------------------------------

    def true_utc_ns(self) -> int:
        return EPOCH_UTC_NS + self._loop.now_ns()

    def recordings(self) -> list[TrueRecording]:
        return [r for r in self._truth.recordings.values() if r.camera == self.name]

    def on_card(self) -> set[str]:
        """Names of the files of footage that lie on its card."""
        return set(self.disk.names("footage"))

    def _newest(self) -> TrueRecording:
        return max(self.recordings(), key=lambda r: r.began_ns)

    def _no_check(self, recording: TrueRecording, name: str, sha256: str) -> None:
        """The world listens here (`Station`)."""

    def _observed(self, operation: Operation, data: bytes) -> None:
        folder, _, file = operation.path.rpartition("/")
        if folder != "footage":
            return
        name = file.removesuffix(".part")
        recording = self._truth.recordings.get(f"{self.name}/{name[:NAME_LENGTH]}")
        if operation.verb == "create" and recording is None:
            recording = TrueRecording(
                self.name, name[:NAME_LENGTH], self.officers, self.clock.known,
                self.true_utc_ns(), self.true_utc_ns(),
            )  # fmt: skip
            self._truth.recordings[recording.id] = recording
        if recording is None:
            return
        if operation.verb == "append":
            recording.ended_ns = self.true_utc_ns()
        elif operation.verb == "remove":
            digest = hashlib.sha256(self.disk.read(operation.path)).hexdigest()
            recording.files[name] = digest
            recording.removed[name] = self.true_utc_ns()
            self.at_removal(recording, name, digest)

    def take_stock(self) -> None:
        """What lies on the card now, that the camera is at rest."""
        for file in self.on_card():
            name = file.removesuffix(".part")
            recording = self._truth.recordings.get(f"{self.name}/{name[:NAME_LENGTH]}")
            if recording is not None:
                content = self.disk.read(f"footage/{file}")
                recording.files[name] = hashlib.sha256(content).hexdigest()

    @property
    def _on(self) -> World:
        assert self.world is not None
        return self.world
