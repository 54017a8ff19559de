"""One camera of a fleet: the whole agent, on a disk that keeps the ledger and only the length of
footage.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from bwv_device import keys
from bwv_device.settings import Settings
from hal.keystore import SoftwareIdentity
from hal.mqtt.paho_link import Broker, MqttThread, PahoLink, tls_context
from hal.mqtt.sqlite_outbox import SqliteOutbox
from hal.ports import SECOND_NS
from hal.simulated.disk import SimulatedDisk
from hal.simulated.inode import Inode
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.fleet.realtime_pacing import PacedLink, PacedLoop
from sim.random_streams import Draws
from sim.servers.mosquitto import HOST, Mosquitto
from sim.world.officer import Officer
from sim.world.test_keys import FOUNDED, BenchAgency
from sim.world.world import Media, World, stub_media

AGENCY = "fleet"
FPS, BITRATE_KBPS = 5, 200
# Between one thing that an officer does and the next: about an eighth of a shift is recorded.
QUIET = 10
RECORDING_PERMILLE = 125
LOOK_NS = 5 * SECOND_NS
EXTENT = 1 << 35  # 32 GiB of card


class Nothing:
    """A file of which nobody asks what is in it."""

    def seek(self, offset: int) -> int:
        return offset

    def write(self, data: bytes) -> int:
        return len(data)

    def read(self, length: int) -> bytes:
        return bytes(length)

    def truncate(self, length: int) -> int:
        return length

    def close(self) -> None:
        return


@dataclass
class HollowInode(Inode):
    content: IO[bytes] = field(default_factory=Nothing)  # type: ignore[arg-type]


def fleet_settings(state_s: int) -> Settings:
    base = Settings()
    return replace(
        base,
        device=replace(base.device, agency=AGENCY),
        recording=replace(base.recording, pre_event_s=5, batch_ms=500),
        video=replace(base.video, fps=FPS, bitrate_kbps=BITRATE_KBPS),
        mqtt=replace(base.mqtt, broker=HOST, state_s=state_s),
    )


class FleetCamera:
    """Boots at `start`; boots again a while after its officer switched it off. With a `folder` its
    ledger and outbox outlive this process."""

    def __init__(
        self,
        name: str,
        agency: BenchAgency,
        settings: Settings,
        media: Media,
        paced: PacedLoop,
        thread: MqttThread,
        broker: Mosquitto,
        folder: Path,
        *,
        keep: bool,
    ) -> None:
        self.name, self._paced = name, paced
        self._folder = folder / name
        entropy = SeededEntropy(f"fleet {name}")
        files = keys.device_files(agency.files, name, entropy, FOUNDED)
        self._folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (self._folder / file).write_bytes(content)
        tls = tls_context(broker.root, self._folder / keys.DEVICE, self._folder / keys.DEVICE_KEY)
        line = PahoLink(thread, Broker(HOST, broker.ports.cameras, name, 60, 3600), tls)
        self.link = PacedLink(line, paced)
        limits = (settings.mqtt.outbox_messages, settings.mqtt.outbox_kib << 10)
        self.outbox = SqliteOutbox(self._folder / "outbox.sqlite" if keep else ":memory:", *limits)
        disk = SimulatedDisk(EXTENT, self._file if keep else _in_memory)
        if keep:
            self._remember(disk)
        self.world = World(
            settings,
            SoftwareIdentity(files[keys.DEVICE_KEY], files[keys.DEVICE]),
            agency.recipients,
            media=media,
            seed=f"fleet {name}",
            roots=[agency.root],
            disk=disk,
            broker_line=self.link,
            loop=paced.loop,
            outbox=self.outbox,
        )
        # As late as it really is: operators sign by their own clocks.
        self.world.clock.epoch_utc_ns = time.time_ns() - paced.loop.now_ns()
        self._draws = Draws(hash_of(name), "fleet")
        self._officer = Officer(self.world, self._draws.stream("officer"), QUIET)
        self.boots = 0

    def start(self, in_ns: int) -> None:
        loop = self._paced.loop
        self.world.power.set(self._draws.between(40, 100))
        loop.call_at(loop.now_ns() + in_ns, self._boot)
        loop.call_at(loop.now_ns() + in_ns + SECOND_NS, self._officer.start)
        loop.call_at(loop.now_ns() + in_ns + LOOK_NS, self._look)
        if self._draws.chance(RECORDING_PERMILLE):  # the shift began before we came to watch
            loop.call_at(loop.now_ns() + in_ns + LOOK_NS, self._press_record)

    def _press_record(self) -> None:
        loop = self._paced.loop
        for number in range(4):
            at_ns = loop.now_ns() + number * SECOND_NS // 8
            loop.call_at(at_ns, lambda down=number % 2 == 0: self.world.touch("record", down))  # type: ignore[misc]

    def stop(self) -> None:
        self._officer.rest()
        if self.world.agent:
            self.world.agent.stop()

    def _boot(self) -> None:
        if self.world.agent is None:
            self.boots += 1
            self.world.boot()

    def _look(self) -> None:
        loop, world = self._paced.loop, self.world
        world.disk.operations.clear()
        world.happenings.clear()
        world.transitions.clear()
        world.shown.clear()
        if world.panel:
            for history in world.panel.history.values():
                del history[:-1]
        if world.stopped():
            world.switched_off()
            loop.call_at(loop.now_ns() + self._draws.between(5, 60) * SECOND_NS, self._boot)
        loop.call_at(loop.now_ns() + LOOK_NS, self._look)

    # --- a disk that outlives the process -----------------------------------------------------

    def _file(self, path: str) -> Inode:
        """Unbuffered: what was written is in the kernel, and a killed process takes nothing."""
        if path.startswith("footage/"):
            return HollowInode()
        real = self._folder / path
        real.parent.mkdir(parents=True, exist_ok=True)
        return Inode(open(real, "w+b", buffering=0))

    def _remember(self, disk: SimulatedDisk) -> None:
        for real in sorted((self._folder / "ledger").glob("*.ledger")):
            content = open(real, "r+b", buffering=0)  # noqa: SIM115
            inode = Inode(content, length=real.stat().st_size)
            disk.put(f"ledger/{real.name}", inode)


def _in_memory(path: str) -> Inode:
    return HollowInode() if path.startswith("footage/") else Inode()


def hash_of(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def fleet_media() -> Media:
    return stub_media(BITRATE_KBPS * 1000, FPS)
