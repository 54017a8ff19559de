"""Runs on an emulated Raspberry Pi's processor (scripts/check-arm64): keys, a sealed and signed
vault of pictures that libx264 made there, verified, opened again and decoded."""

from __future__ import annotations

import datetime
import platform
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

sys.path[:0] = sys.argv[1:]

import av  # noqa: E402
import cv2  # noqa: E402
import numpy as np  # noqa: E402

from bwv_device import keys  # noqa: E402
from bwv_device.backends.realtime_loop import RealLoop  # noqa: E402
from bwv_device.camera.agent import Agent  # noqa: E402
from bwv_device.camera.agent_observer import Unobserved  # noqa: E402
from bwv_device.settings import Recording, Settings  # noqa: E402
from bwv_device.verification.export import export  # noqa: E402
from bwv_device.verification.vault_report import survey  # noqa: E402
from hal.annex_b import from_annex_b  # noqa: E402
from hal.host import HostClock, HostDisk, HostEntropy, HostVitals  # noqa: E402
from hal.keystore import SoftwareIdentity  # noqa: E402
from hal.panel.gpio_panel import Panel, PanelPins  # noqa: E402
from hal.ports import SECOND_NS, Board, VideoFormat  # noqa: E402
from hal.rpi.dock import NoDock  # noqa: E402
from hal.rpi.location import NoLocation  # noqa: E402
from hal.rpi.power import NoGauge  # noqa: E402
from hal.simulated.capture import SimulatedCamera, SimulatedMicrophone, StubAudio  # noqa: E402
from hal.simulated.power_dock_and_place import SimulatedSpeaker  # noqa: E402
from hal.stills import PyavStills  # noqa: E402
from hal.unconnected import NoMqtt, NoOutbox, NoSlots, NoUplink  # noqa: E402

WIDTH, HEIGHT, FPS = 320, 240, 5
TEN_S = 10 * SECOND_NS


class UntilStopped(Unobserved):
    def __init__(self, loop: RealLoop) -> None:
        self._loop = loop

    def stopped(self) -> None:
        self._loop.stop()


class Pictures:
    """A second of pictures by libx264, again and again."""

    def __init__(self) -> None:
        self.format = VideoFormat(WIDTH, HEIGHT, FPS, 200_000, "libx264")
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
        encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
        packets = []
        for number in range(FPS):
            image = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
            cv2.putText(image, str(number), (40, 160), cv2.FONT_HERSHEY_SIMPLEX, 4, (255,) * 3, 6)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")
            frame.pts = number
            packets += encoder.encode(frame)
        self._gop = [from_annex_b(bytes(packet)) for packet in [*packets, *encoder.encode(None)]]

    def gop(self, number: int) -> list[bytes]:
        return self._gop

    def keyframe(self, number: int) -> None:
        return None


def main() -> None:
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp())
    now = datetime.datetime.now(datetime.UTC)
    keys.make_agency(folder, "arm64", "mlkem768x25519", HostEntropy(), now)
    keys.make_device(folder, folder, "pi-1", HostEntropy(), now)
    identity = SoftwareIdentity.load(folder / keys.DEVICE_KEY, folder / keys.DEVICE)
    loop, clock = RealLoop(HostClock()), HostClock()
    from gpiozero.pins.mock import MockFactory

    panel = Panel(PanelPins(17, 22, 27, 18, 23, 5, 6), loop, MockFactory())
    board = Board(
        clock=clock, entropy=HostEntropy(), disk=HostDisk(folder / "vault"),
        camera=SimulatedCamera(loop, Pictures(), SECOND_NS // 4),
        microphone=SimulatedMicrophone(loop, StubAudio(), SECOND_NS // 4), stills=PyavStills(),
        front_light=panel.front_light, status_light=panel.status_light, beeper=panel.beeper,
        haptic=panel.haptic, record_button=panel.record_button, marker_button=panel.marker_button,
        trigger=panel.trigger, speaker=SimulatedSpeaker(), power=NoGauge(), dock=NoDock(),
        location=NoLocation(), identity=identity, uplink=NoUplink(), mqtt=NoMqtt(),
        outbox=NoOutbox(), vitals=HostVitals(), slots=NoSlots(),
    )  # fmt: skip
    agent = Agent(
        board, loop, Settings(recording=Recording(pre_event_s=2)),
        keys.load_recipients(folder / keys.RECIPIENTS), observer=UntilStopped(loop),
    )  # fmt: skip
    from bwv_device.camera.state_table import Event

    loop.post(agent.start)
    start_ns = loop.now_ns()
    loop.call_at(start_ns + 3 * SECOND_NS, lambda: agent.control.handle(Event.START))
    loop.call_at(start_ns + TEN_S, agent.stop)
    loop.run()
    root = keys.load_certificates(folder / keys.ROOT)
    identities = keys.load_identities(folder / keys.IDENTITY)
    report, (film,), _ = export(survey(folder / "vault", root), identities, folder / "out")
    assert report.ok, report.problems
    with av.open(str(film.path)) as opened:
        decoded = sum(1 for _ in opened.decode(video=0))
    assert decoded == film.video_units > 20, (decoded, film)
    print(
        f"{platform.machine()}, Python {platform.python_version()}: recorded, sealed, verified, "
        f"opened; {decoded} pictures decoded; {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
