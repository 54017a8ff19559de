"""Opens the parts of a Raspberry Pi rig as configured. A part that is missing is an error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hal.host import HostVitals
from hal.ports import SECOND_NS, Board, Clock, Disk, DockContact, Entropy, HardwareError, Identity
from hal.rpi import power
from hal.rpi.capture import camera, encoder_probe, microphone
from hal.rpi.capture.capture_process import Patience
from hal.rpi.dock import ContactDock, NoDock, UsbDock
from hal.rpi.location import GpsdLocation, NoLocation
from hal.rpi.panel import i2s
from hal.rpi.panel.panel_process import RemotePanel
from hal.rpi.panel.pin_factory import MOCK
from hal.rpi.slots.requests import open_slots
from hal.rpi.speaker import AplaySpeaker
from hal.stills import PyavStills
from hal.unconnected import NoMqtt, NoOutbox, NoUplink

# Pictures wait for the sound that belongs to them: it comes more often.
SOUND_BATCH_MS = 100
# An encoder that does not answer is asked less and less often: what wedges the board's firmware for
# good is being opened again and again (raspberrypi/linux#7163).
CAMERA_PAUSE_NS = 120 * SECOND_NS
# Their pauses alone are 51 s: a device that somebody else holds for a moment is not stuck.
CAMERA_STUCK_AFTER = 8

Settings = Mapping[str, Mapping[str, Any]]


def open_board(
    settings: Settings,
    panel: RemotePanel,
    clock: Clock,
    entropy: Entropy,
    disk: Disk,
    identity: Identity,
) -> Board:
    """`settings`: the tables of `config.toml`. Raises `HardwareError`."""
    eyes = open_camera(settings, clock, identity.device)
    ears = open_microphone(settings, clock)
    spoken = settings["panel"]
    return Board(
        clock=clock,
        entropy=entropy,
        disk=disk,
        camera=eyes,
        microphone=ears,
        stills=PyavStills(),
        front_light=panel.front_light,
        status_light=panel.status_light,
        beeper=panel.beeper,
        haptic=panel.haptic,
        record_button=panel.record_button,
        marker_button=panel.marker_button,
        trigger=panel.trigger,
        speaker=AplaySpeaker(Path(spoken["notices"]), spoken["speaker"]),
        power=open_power(settings),
        dock=open_dock(settings, panel),
        location=open_location(settings, clock),
        identity=identity,
        uplink=NoUplink(),
        mqtt=NoMqtt(),
        outbox=NoOutbox(),
        vitals=HostVitals(),
        slots=open_slots(),
    )


def open_camera(settings: Settings, clock: Clock, device: str) -> camera.RpiCamera:
    video, of_camera = settings["video"], settings["camera"]
    asked = camera.CameraRequest(
        width=video["width"],
        height=video["height"],
        fps=video["fps"],
        bitrate_bps=video["bitrate_kbps"] * 1000,
        encoder=choose_encoder(of_camera["encoder"]),
        batch_ms=settings["recording"]["batch_ms"],
        overlay=video["overlay"],
        device=device,
        **{name: of_camera[name] for name in camera.FROM_SETTINGS},
    )
    patience = Patience(
        start_ns=of_camera["start_s"] * SECOND_NS,
        longest_pause_ns=CAMERA_PAUSE_NS,
        stuck_after=CAMERA_STUCK_AFTER,
    )
    return camera.RpiCamera(asked, clock, of_camera["interpreter"], patience)


def choose_encoder(wanted: str, sys: Path = power.SYS) -> str:
    """Decided once, before anything runs; it stands in each recording's `open` line."""
    found = encoder_probe.encoders(sys)
    if wanted == "hardware" and encoder_probe.HARDWARE not in found:
        raise HardwareError(
            "This board has no hardware H.264 encoder.",
            'A Pi 5 has none: set camera.encoder = "software".',
        )
    return encoder_probe.SOFTWARE if wanted == "software" else found[0]


def open_microphone(settings: Settings, clock: Clock) -> microphone.RpiMicrophone:
    of_microphone = settings["microphone"]
    asked = microphone.MicrophoneRequest(
        settings["audio"]["bitrate_kbps"] * 1000,
        of_microphone["device"],
        min(settings["recording"]["batch_ms"], SOUND_BATCH_MS),
        of_microphone["latency_ms"],
    )
    patience = Patience(start_ns=settings["camera"]["start_s"] * 1_000_000_000)
    return microphone.RpiMicrophone(asked, clock, of_microphone["interpreter"], patience)


def open_panel(settings: Settings) -> RemotePanel:
    light, panel = settings["light"], settings["panel"]
    if panel["factory"] != MOCK:
        i2s.refuse(settings["pins"])
    names = ("day_percent", "night_percent", "night_from_h", "night_until_h")
    return RemotePanel(
        {
            "pins": dict(settings["pins"]),
            "factory": panel["factory"],
            "chip": panel["chip"],
            "beeper_hz": panel["beeper_hz"],
            "light": {name: light[name] for name in names},
            "tell_levels": bool(settings["live_panel"]["listen"]),
        }
    )


def open_power(settings: Settings) -> power.KernelPower | power.NoGauge:
    of_power = settings["power"]
    if of_power["gauge"] == "none":
        return power.NoGauge()
    return power.KernelPower(of_power["cells"], of_power["capacity_mah"])


def open_dock(settings: Settings, panel: RemotePanel) -> DockContact:
    how = settings["panel"]["dock"]
    if how == "contact":
        return ContactDock(panel.dock, panel.docked)
    return UsbDock(power.in_usb_dock) if how == "usb" else NoDock()


def open_location(settings: Settings, clock: Clock) -> GpsdLocation | NoLocation:
    where = settings["location"]
    if not where["enabled"]:
        return NoLocation()
    return GpsdLocation(where["gpsd_host"], where["gpsd_port"], clock)
