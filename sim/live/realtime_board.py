"""Entry point `bwv.boards:sim`: the simulated board in real time, on a real disk."""

from __future__ import annotations

import threading

from bwv_device.backends.realtime_loop import RealLoop
from bwv_device.camera.stdin_buttons import StdinButtons
from bwv_device.settings import Settings, milliseconds
from hal.host import HostVitals
from hal.panel.face import with_face
from hal.panel.gpio_panel import PanelPins
from hal.ports import Board, Clock, Disk, Entropy, Identity, Scheduler
from hal.simulated.board import on_panel
from hal.simulated.capture import SimulatedCamera, SimulatedMicrophone
from hal.simulated.panel import SimulatedPanel
from hal.simulated.power_dock_and_place import (
    SimulatedDock,
    SimulatedLocation,
    SimulatedPower,
    SimulatedSpeaker,
)
from hal.simulated.store import SimulatedUplink
from hal.stills import PyavStills
from hal.unconnected import NoMqtt, NoOutbox, NoSlots
from sim.live.realtime_face import RealtimeFace
from sim.media.scene import Scene
from sim.media.sound import Sound, street, with_beeper


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
    # Encoding takes its time: capture has a thread of its own, as on hardware a process.
    capture = RealLoop(clock)
    threading.Thread(target=capture.run, name="capture", daemon=True).start()
    panel = SimulatedPanel(PanelPins(**settings.as_dict()["pins"]), scheduler)
    sound = Sound(with_beeper(street, panel.sounding), settings.audio.bitrate_kbps * 1000)
    dock = SimulatedDock()
    StdinButtons(panel, scheduler, settings, dock.put).start()
    camera = SimulatedCamera(capture, scene, batch_ns)
    microphone = SimulatedMicrophone(capture, sound, batch_ns)
    power = SimulatedPower(scheduler)
    board = on_panel(
        panel.panel,
        clock=clock,
        entropy=entropy,
        disk=disk,
        camera=camera,
        microphone=microphone,
        stills=PyavStills(),
        speaker=SimulatedSpeaker(),
        power=power,
        dock=dock,
        location=SimulatedLocation(),
        identity=identity,
        uplink=SimulatedUplink(),
        mqtt=NoMqtt(),
        outbox=NoOutbox(),
        vitals=HostVitals(),
        slots=NoSlots(),
    )
    return with_face(board, RealtimeFace(scheduler, panel, camera, microphone, power, dock))
