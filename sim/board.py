"""Entry point `bwv.boards:sim`: the simulated board in real time, on a real disk."""

from __future__ import annotations

import sys
import threading
from functools import partial

from bwv_device.loop import RealLoop
from bwv_device.settings import Settings, milliseconds
from hal.panel import PanelPins
from hal.ports import Board, Clock, Disk, Entropy, Identity, Scheduler
from hal.simulated.board import on_panel
from hal.simulated.body import (
    SimulatedDock,
    SimulatedLocation,
    SimulatedMqtt,
    SimulatedPower,
    SimulatedSpeaker,
)
from hal.simulated.capture import SimulatedCamera, SimulatedMicrophone
from hal.simulated.panel import SimulatedPanel
from hal.simulated.store import SimulatedUplink
from hal.stills import PyavStills
from sim.scene import Scene
from sim.sound import Sound, street


def realtime(
    settings: Settings,
    clock: Clock,
    entropy: Entropy,
    disk: Disk,
    identity: Identity,
    scheduler: Scheduler,
) -> Board:
    """A board whose panel is driven by words on standard input."""
    video, batch_ns = settings.video, milliseconds(settings.recording.batch_ms)
    # Pictures are numbered by monotonic time, so the burnt-in clock starts where that started.
    epoch_utc_ns = clock.utc().utc_ns - clock.monotonic_ns()
    scene = Scene(video.width, video.height, video.fps, video.bitrate_kbps * 1000, epoch_utc_ns)
    sound = Sound(street, settings.audio.bitrate_kbps * 1000)
    # Encoding takes its time: capture has a thread of its own, as on hardware a process.
    capture = RealLoop(clock)
    threading.Thread(target=capture.run, name="capture", daemon=True).start()
    panel = SimulatedPanel(PanelPins(**settings.as_dict()["pins"]), scheduler)
    dock = SimulatedDock()
    _Fingers(panel, dock, scheduler, settings).start()
    return on_panel(
        panel.panel,
        clock=clock,
        entropy=entropy,
        disk=disk,
        camera=SimulatedCamera(capture, scene, batch_ns),
        microphone=SimulatedMicrophone(capture, sound, batch_ns),
        stills=PyavStills(),
        speaker=SimulatedSpeaker(),
        power=SimulatedPower(scheduler),
        dock=dock,
        location=SimulatedLocation(),
        identity=identity,
        uplink=SimulatedUplink(),
        mqtt=SimulatedMqtt(scheduler),
    )


class _Fingers:
    """Words → presses, with the timing of a hand."""

    def __init__(
        self, panel: SimulatedPanel, dock: SimulatedDock, scheduler: Scheduler, settings: Settings
    ) -> None:
        self._panel, self._dock, self._scheduler = panel, dock, scheduler
        buttons = settings.buttons
        self._presses = {
            "record": ("record", 2, 100),
            "stop": ("record", 1, buttons.stop_hold_ms + 100),
            "mark": ("marker", 1, 100),
            "snapshot": ("marker", 2, 100),
            "flag": ("marker", 1, buttons.flag_hold_ms + 100),
        }

    def start(self) -> None:
        threading.Thread(target=self._read, name="fingers", daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            word = line.strip()
            if word in self._presses:
                self._scheduler.post(partial(self._press, *self._presses[word]))
            elif word in ("dock", "undock"):
                self._scheduler.post(partial(self._dock.put, word == "dock"))
            elif word:
                known = ", ".join([*self._presses, "dock", "undock"])
                print(f"unknown word {word!r}; known: {known}", file=sys.stderr)

    def _press(self, button: str, times: int, held_ms: int) -> None:
        now_ns = self._scheduler.now_ns()
        for number in range(times):
            down_ns = now_ns + milliseconds(250 * number)
            self._scheduler.call_at(down_ns, lambda: self._panel.press(button))
            self._scheduler.call_at(
                down_ns + milliseconds(held_ms), lambda: self._panel.release(button)
            )
