"""What the example's cameras saw: pictures and sound of a drawn street, recorded, docked, taken in.
One camera came a month ago, two were at the same place yesterday; of one, a file was lost from its
card, and another arrived changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bwv_device import keys
from bwv_device.custody.intake.intake import Intake
from bwv_device.formats.upload_body import BytesBody
from bwv_device.settings import Settings
from hal.keystore import SoftwareIdentity
from hal.ports import SECOND_NS, Body, Uplink
from hal.stills import PyavStills
from sim.desk.agency import ExampleAgency
from sim.media.scene import Scene
from sim.media.sound import Sound, street, with_beeper
from sim.world.custody_workers import BenchClock
from sim.world.world import EPOCH_UTC_NS, Media, World

DAY_NS = 86_400 * SECOND_NS
# Width, height, pictures a second, kilobits a second: what is quickly drawn.
SMALL = 640, 360, 15, 700


class ExampleCamera:
    """A camera whose clock is right: `began_ns` is when its shift began."""

    def __init__(
        self,
        agency: ExampleAgency,
        device: str,
        began_ns: int,
        size: tuple[int, int, int, int] = SMALL,
        segment_s: int = 20,
    ) -> None:
        self.device = device
        width, height, fps, bitrate_kbps = size
        folder = agency.folder / "cameras" / device
        keys.make_device(agency.keys, folder, device, agency.entropy, agency.founded)
        settings = Settings()
        settings = replace(
            settings,
            video=replace(
                settings.video, width=width, height=height, fps=fps, bitrate_kbps=bitrate_kbps
            ),
            recording=replace(settings.recording, pre_event_s=10, segment_s=segment_s),
            policy=replace(settings.policy, mute=True),
            dock=replace(settings.dock, store="evidence", poll_ms=500, resend_s=10),
        )
        ahead_ns = began_ns - EPOCH_UTC_NS
        video = settings.video
        self.scene = Scene(
            video.width, video.height, video.fps, video.bitrate_kbps * 1000, began_ns
        )
        # The world comes into being with its sound.
        heard = with_beeper(street, lambda from_ns, to_ns: self.world.sounding(from_ns, to_ns))  # noqa: PLW0108
        self.world = World(
            settings,
            SoftwareIdentity.load(folder / keys.DEVICE_KEY, folder / keys.DEVICE),
            keys.load_recipients(agency.keys / keys.RECIPIENTS),
            media=Media(self.scene, Sound(heard, settings.audio.bitrate_kbps * 1000), PyavStills()),
            docked=True,
            entropy=agency.entropy,
            roots=agency.roots,
        )
        self.world.clock.set(ahead_ns, 1_000_000, "ntp")
        self.world.line = self.line = ChangedOnce(agency.store)
        self.clock = BenchClock(self.world.loop, ahead_ns)
        session = agency.session("intake service", "intake", self.clock)
        self.intake = Intake(session, agency.roots, f"example-{device}")

    def leave(self) -> None:
        """Out of the dock, where the camera has learned whose it is."""
        self.world.boot()
        for _ in range(5):
            self.world.run(seconds=1)
            self.intake.once()
        self.world.put_in_dock(False)
        self.world.run(seconds=11)

    def record(self, *steps: tuple[float, Callable[[World], None]]) -> None:
        """`steps`: so many seconds, and then what the officer does."""
        self.world.press_record_twice()
        for seconds, does in steps:
            self.world.run(seconds=seconds)
            does(self.world)
        self.world.hold_record()
        self.world.run(seconds=4)

    def dock(self, seconds: int = 12) -> None:
        self.world.put_in_dock(True)
        for _ in range(seconds):
            self.world.run(seconds=1)
            self.intake.once()

    def close(self) -> None:
        self.scene.close()


class ChangedOnce:
    """A line on which one file arrives with a bit changed, if it is told so."""

    def __init__(self, store: Uplink) -> None:
        self._store, self.change = store, ""

    def create(self, key: str, body: Body) -> None:
        if self.change and self.change in key:
            self.change = ""
            data = bytearray(body.read(0, body.length))
            data[len(data) // 2] ^= 1
            body = BytesBody(bytes(data))
        self._store.create(key, body)

    def read(self, key: str, limit: int) -> bytes:
        return self._store.read(key, limit)


def nothing(world: World) -> None:
    """Time passes."""


def marker(world: World) -> None:
    world.press_marker()


def still(world: World) -> None:
    world.press_marker(times=2)


def mute(world: World) -> None:
    world.press_marker(times=3)
