"""`bwv-sim live --web`: puts a world, its page and a browser together, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from bwv_device import keys
from bwv_device.live_panel.page_process import PageProcess
from bwv_device.settings import MIB, Settings
from bwv_device.verification.export import export
from bwv_device.verification.vault_report import survey
from bwv_device.web.listen import bind, url
from hal.ports import SECOND_NS
from hal.simulated.disk import SimulatedDisk
from hal.simulated.store import MemoryStore, SimulatedUplink
from hal.stills import PyavStills
from sim.demo import report
from sim.live import switches
from sim.live.played import ByHand, Watched
from sim.live.vault_mirror import VaultMirror
from sim.live.web_panel import RATES, Inbox, Played, WebPanel
from sim.media.clip import Clip
from sim.media.scene import Scene
from sim.media.sound import Sound, street, with_beeper
from sim.scenario.stage import Stage
from sim.shifts.drawn_shift import SETTLE_NS, Shift, Simulation, bench_agency
from sim.world.world import EPOCH_UTC_NS, Media, World

# The camera's card and the evidence store are in memory.
CARD_BYTES, STORE_BYTES = 1024 * MIB, 2048 * MIB
# So that there is room for more than an hour: less would sound the alarm at once.
LIVE = replace(Settings(), video=replace(Settings().video, bitrate_kbps=1500))
GESTURES = (
    ("Start", "press record twice"), ("Stop", "hold record"), ("Mark", "press marker once"),
    ("Snapshot", "press marker twice"), ("Flag", "hold marker"),
)  # fmt: skip
BY_HAND = "A simulated camera that runs the real agent. Press twice to record; hold to stop."


def serve(
    settings: Settings,
    port: int,
    clip: Path | None,
    rate: int,
    seed: int | None,
    duration_s: int,
    *,
    browser: bool,
) -> None:
    """Raises `ListenError` where the port is taken, `ClipError` for a clip that can't be used."""
    listening = bind("127.0.0.1", port, "")
    address = url(listening)
    with tempfile.TemporaryDirectory(prefix="bwv-live-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        stage = _Bench(settings, clip, seed, duration_s)
        stack.callback(stage.close)
        inbox = Inbox()
        page = PageProcess(listening, stage.about(folder), inbox.put)
        stack.callback(page.close)
        panel = WebPanel(
            stage.played,
            page,
            inbox,
            VaultMirror(stage.world.disk, folder / "vault"),
            folder,
            time.monotonic_ns,
            rate,
            stage.stand_still,
            lambda: write_report(stage.world, folder),
        )
        stage.begin()
        click.echo(f"The camera is at {address}  (Ctrl-C ends it)")
        if browser and _has_browser():
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        while page.alive and not ended.is_set():
            panel.turn()
        if not ended.is_set():
            click.echo("The process of the page has ended.", err=True)
    click.echo("The camera is switched off; nothing of it is kept.")


class _Bench:
    """The world, and who moves it."""

    def __init__(
        self, settings: Settings, clip: Path | None, seed: int | None, duration_s: int
    ) -> None:
        self._clip = clip
        self._closing: list[Callable[[], None]] = []
        self.stand_still: Callable[[bool], None] = lambda still: None
        self.played: Played
        self.begin: Callable[[], None]
        if seed is None:
            settings = replace(
                settings,
                dock=replace(settings.dock, store="bench", poll_ms=1000),
                mqtt=replace(settings.mqtt, broker="bench"),
            )
            agency = bench_agency()
            self.world = World(
                settings,
                agency.device,
                agency.recipients,
                media=self._media(settings),
                disk=SimulatedDisk(CARD_BYTES),
                roots=[agency.root],
            )
            self.world.uplink = SimulatedUplink(MemoryStore(STORE_BYTES))
            played = ByHand(Stage(self.world, agency))
            self.played, self.begin = played, partial(played.do, "boot")
            self._title = "A camera to press"
        else:
            simulation = Simulation(
                Shift(seed, duration_s), lambda at_ns, text: None, media=self._media
            )
            self.world = simulation.world
            self.played = Watched(simulation, duration_s * SECOND_NS - SETTLE_NS)
            self.begin = simulation.start
            self._title = f"The shift of seed {seed}"

    def _media(self, settings: Settings) -> Media:
        video = settings.video
        size = video.width, video.height, video.fps, video.bitrate_kbps * 1000
        scene = Clip(self._clip, *size) if self._clip else Scene(*size, EPOCH_UTC_NS)
        self._closing.append(scene.close)
        samples = scene.samples if isinstance(scene, Clip) else street
        heard = with_beeper(samples, self._sounding)
        sound = Sound(heard, settings.audio.bitrate_kbps * 1000)

        def stand_still(still: bool) -> None:
            sound.stand_still(still)
            if isinstance(scene, Scene):
                scene.stand_still(still)

        self.stand_still = stand_still
        return Media(scene, sound, PyavStills())

    def _sounding(self, from_ns: int, to_ns: int) -> list[tuple[int, int]]:
        return self.world.sounding(from_ns, to_ns)

    def about(self, folder: Path) -> dict[str, object]:
        """What the page's process needs to know."""
        agency = bench_agency()
        for name in (keys.ROOT, keys.IDENTITY):
            (folder / name).write_bytes(agency.files[name])
        (folder / "vault").mkdir()
        settings = self.world.settings
        return {
            "title": self._title,
            "mode": "virtual",
            "controls": True,
            "touchable": self.played.controls,
            "verifies": True,
            "note": BY_HAND if self.played.controls else "A drawn shift, to be watched.",
            "switches": switches.described() if self.played.controls else [],
            "rates": list(RATES),
            "buttons": {
                "stop_hold_ms": settings.buttons.stop_hold_ms,
                "flag_hold_ms": settings.buttons.flag_hold_ms,
                "covert_hold_ms": settings.buttons.covert_hold_ms,
            },
            "video": {
                "width": settings.video.width,
                "height": settings.video.height,
                "fps": settings.video.fps,
            },
            "gestures": GESTURES if self.played.controls else [],
            "pre_event_s": settings.recording.pre_event_s,
            "folder": str(folder),
            "vault": str(folder / "vault"),
            "root": str(folder / keys.ROOT),
            "identity": str(folder / keys.IDENTITY),
        }

    def close(self) -> None:
        for close in self._closing:
            close()


def write_report(world: World, folder: Path) -> None:
    """The demo's page of what happened so far, in `folder/report`."""
    agency = bench_agency()
    out = folder / "report"
    shutil.rmtree(out, ignore_errors=True)
    (out / "export").mkdir(parents=True)
    world.disk.dump(out / "vault")
    surveyed = survey(out / "vault", [agency.root])
    verified, exported, _ = export(surveyed, agency.identities, out / "export")
    report.write(world, out, verified, exported)


def _has_browser() -> bool:
    """Without a screen, the one that Python finds would take the terminal."""
    return sys.platform == "darwin" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
