"""Every setting of the agent: types, limits, defaults. `config.toml` is the manual.

Standard dataclasses, so that the recording process need not load a validator; `bwv_device.config`
checks a file against the limits given here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Interval, Len

from hal.ports import SECOND_NS

MILLISECOND_NS = 1_000_000
MIB = 1 << 20

Percent = Annotated[int, Interval(ge=0, le=100)]
Pin = Annotated[int, Interval(ge=0, le=27)]
OptionalPin = Annotated[int, Interval(ge=-1, le=27)]
Hour = Annotated[int, Interval(ge=0, le=23)]


class Section:
    """Refuses keys it does not know, and values of another type than written."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}


@dataclass(frozen=True, slots=True)
class Device(Section):
    agency: Annotated[str, Len(1, 64)] = "example-agency"
    officer: Annotated[str, Len(1, 64)] = "unassigned"
    board: Annotated[str, Len(1, 32)] = "sim"
    vault: Annotated[str, Len(1)] = "vault"
    key: Annotated[str, Len(1)] = "keys/device-key.pem"
    certificate: Annotated[str, Len(1)] = "keys/device.pem"


@dataclass(frozen=True, slots=True)
class Recording(Section):
    pre_event_s: Annotated[int, Interval(ge=0, le=120)] = 30
    pre_event_audio: bool = False
    pre_event_limit_mib: Annotated[int, Interval(ge=4, le=512)] = 64
    post_event_s: Annotated[int, Interval(ge=0, le=60)] = 0
    segment_s: Annotated[int, Interval(ge=10, le=600)] = 60
    rollover_min: Annotated[int, Interval(ge=1, le=1440)] = 240
    fragment_ms: Annotated[int, Interval(ge=250, le=2000)] = 500
    batch_ms: Annotated[int, Interval(ge=40, le=500)] = 250
    sign_video: bool = True
    loss_bound_ms: Annotated[int, Interval(ge=1000, le=10000)] = 1200
    queue_limit_mib: Annotated[int, Interval(ge=4, le=256)] = 32


@dataclass(frozen=True, slots=True)
class Video(Section):
    width: Annotated[int, Interval(ge=320, le=1920)] = 1280
    height: Annotated[int, Interval(ge=240, le=1080)] = 720
    fps: Annotated[int, Interval(ge=5, le=60)] = 30
    bitrate_kbps: Annotated[int, Interval(ge=200, le=20000)] = 4000
    overlay: bool = False


@dataclass(frozen=True, slots=True)
class Audio(Section):
    bitrate_kbps: Annotated[int, Interval(ge=24, le=256)] = 64


@dataclass(frozen=True, slots=True)
class Sealing(Section):
    recipient_type: Literal["mlkem768x25519", "X25519"] = "mlkem768x25519"
    recipients: Annotated[str, Len(1)] = "keys/agency-recipients.txt"


@dataclass(frozen=True, slots=True)
class Buttons(Section):
    double_press_ms: Annotated[int, Interval(ge=200, le=1500)] = 600
    debounce_ms: Annotated[int, Interval(ge=0, le=100)] = 20
    stop_hold_ms: Annotated[int, Interval(ge=1000, le=10000)] = 3000
    flag_hold_ms: Annotated[int, Interval(ge=1000, le=10000)] = 2000
    flag_after_s: Annotated[int, Interval(ge=0, le=600)] = 60
    covert_hold_ms: Annotated[int, Interval(ge=2000, le=20000)] = 5000
    mute_hold_ms: Annotated[int, Interval(ge=500, le=5000)] = 1000


@dataclass(frozen=True, slots=True)
class Light(Section):
    recording_on_ms: Annotated[int, Interval(ge=100, le=2000)] = 500
    recording_off_ms: Annotated[int, Interval(ge=100, le=2000)] = 500
    lease_ms: Annotated[int, Interval(ge=1500, le=2000)] = 2000
    day_percent: Annotated[int, Interval(ge=10, le=100)] = 100
    night_percent: Annotated[int, Interval(ge=10, le=100)] = 100
    night_from_h: Hour = 21
    night_until_h: Hour = 6


@dataclass(frozen=True, slots=True)
class Sounds(Section):
    reminder_s: Annotated[int, Interval(ge=5, le=600)] = 30
    covert_reminder_min: Annotated[int, Interval(ge=1, le=120)] = 15


@dataclass(frozen=True, slots=True)
class Alarms(Section):
    battery_low_percent: Percent = 10
    battery_critical_percent: Percent = 5
    battery_stop_percent: Percent = 2
    storage_low_min: Annotated[int, Interval(ge=1, le=600)] = 60
    storage_critical_min: Annotated[int, Interval(ge=1, le=600)] = 30
    repeat_s: Annotated[int, Interval(ge=60, le=3600)] = 300
    hot_c: Annotated[int, Interval(ge=50, le=110)] = 80


@dataclass(frozen=True, slots=True)
class Public(Section):
    informed_window_s: Annotated[int, Interval(ge=0, le=600)] = 60
    reminder_after_s: Annotated[int, Interval(ge=0, le=600)] = 30
    spoken_notice: Annotated[str, Len(0, 64)] = ""


@dataclass(frozen=True, slots=True)
class Policy(Section):
    mute: bool = False
    covert: bool = False
    covert_limit_min: Annotated[int, Interval(ge=1, le=240)] = 30
    remote_start: bool = False
    undocked_delivery: bool = False


@dataclass(frozen=True, slots=True)
class Location(Section):
    enabled: bool = False
    gpsd_host: Annotated[str, Len(1, 255)] = "127.0.0.1"
    gpsd_port: Annotated[int, Interval(ge=1, le=65535)] = 2947


@dataclass(frozen=True, slots=True)
class Storage(Section):
    reserve_mib: Annotated[int, Interval(ge=8, le=4096)] = 128
    check_s: Annotated[int, Interval(ge=1, le=60)] = 10


@dataclass(frozen=True, slots=True)
class Dock(Section):
    store: Annotated[str, Len(0, 512)] = ""
    root: Annotated[str, Len(1)] = "keys/agency-root.pem"
    credentials: Annotated[str, Len(0)] = "keys/store-credentials.toml"
    ca: str = ""
    client_certificate: str = ""
    bandwidth_kbps: Annotated[int, Interval(ge=0, le=10_000_000)] = 0
    replicas_min: Annotated[int, Interval(ge=0, le=8)] = 0
    greeting_wait_s: Annotated[int, Interval(ge=1, le=600)] = 30
    poll_ms: Annotated[int, Interval(ge=100, le=60_000)] = 2000
    resend_s: Annotated[int, Interval(ge=10, le=3600)] = 120
    renew_min: Annotated[int, Interval(ge=1, le=1440)] = 60


@dataclass(frozen=True, slots=True)
class Mqtt(Section):
    broker: Annotated[str, Len(0, 255)] = ""
    port: Annotated[int, Interval(ge=1, le=65535)] = 8883
    ca: str = ""
    state_s: Annotated[int, Interval(ge=1, le=3600)] = 10
    health_s: Annotated[int, Interval(ge=10, le=86_400)] = 300
    keepalive_s: Annotated[int, Interval(ge=5, le=3600)] = 60
    session_expiry_min: Annotated[int, Interval(ge=0, le=44_640)] = 1440
    ack_timeout_s: Annotated[int, Interval(ge=5, le=600)] = 30
    drain_per_s: Annotated[int, Interval(ge=1, le=1000)] = 20
    outbox: Annotated[str, Len(1)] = "outbox.sqlite"
    outbox_messages: Annotated[int, Interval(ge=100, le=1_000_000)] = 10_000
    outbox_kib: Annotated[int, Interval(ge=64, le=1_048_576)] = 8192
    home_assistant: bool = False


@dataclass(frozen=True, slots=True)
class Pins(Section):
    front_light: Pin = 17
    status_green: Pin = 22
    status_red: Pin = 27
    beeper: Pin = 24
    vibration: Pin = 23
    record_button: Pin = 5
    marker_button: Pin = 6
    trigger: OptionalPin = -1
    dock: OptionalPin = -1


@dataclass(frozen=True, slots=True)
class Camera(Section):
    interpreter: str = ""
    encoder: Literal["auto", "hardware", "software"] = "auto"
    profile: Literal["baseline", "main", "high"] = "main"
    pixel_format: Literal["YUV420", "NV12"] = "YUV420"
    buffers: Annotated[int, Interval(ge=3, le=12)] = 6
    watch_view: bool = True
    max_exposure_ms: Annotated[int, Interval(ge=0, le=1000)] = 0
    max_gain: Annotated[int, Interval(ge=0, le=64)] = 0
    tuning: Annotated[str, Len(0, 128)] = ""
    sensor_mode: Annotated[str, Len(0, 16)] = ""
    rotation: Literal[0, 180] = 0
    focus: Literal["manual", "continuous"] = "manual"
    focus_dioptres: Annotated[float, Interval(ge=0, le=32)] = 0.4
    hdr: bool = False
    flicker_hz: Literal[0, 50, 60] = 0
    start_s: Annotated[int, Interval(ge=3, le=120)] = 20


@dataclass(frozen=True, slots=True)
class Microphone(Section):
    interpreter: str = ""
    device: str = ""
    latency_ms: Annotated[int, Interval(ge=0, le=500)] = 0


@dataclass(frozen=True, slots=True)
class Panel(Section):
    factory: Literal["kernel", "mock"] = "kernel"
    chip: Annotated[int, Interval(ge=-1, le=31)] = -1
    beeper_hz: Annotated[int, Interval(ge=0, le=10_000)] = 0
    dock: Literal["none", "contact", "usb"] = "none"
    notices: Annotated[str, Len(1)] = "notices"
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class LivePanel(Section):
    listen: Annotated[str, Len(0, 64)] = ""
    token: Annotated[str, Len(1)] = "keys/live-panel-token"  # noqa: S105 - a path


@dataclass(frozen=True, slots=True)
class Power(Section):
    gauge: Literal["kernel", "none"] = "kernel"
    cells: Annotated[int, Interval(ge=1, le=4)] = 2
    capacity_mah: Annotated[int, Interval(ge=0, le=100_000)] = 0


@dataclass(frozen=True, slots=True)
class Settings(Section):
    """The whole of `config.toml`, a section each."""

    device: Device = field(default_factory=Device)
    recording: Recording = field(default_factory=Recording)
    video: Video = field(default_factory=Video)
    audio: Audio = field(default_factory=Audio)
    sealing: Sealing = field(default_factory=Sealing)
    buttons: Buttons = field(default_factory=Buttons)
    light: Light = field(default_factory=Light)
    sounds: Sounds = field(default_factory=Sounds)
    alarms: Alarms = field(default_factory=Alarms)
    public: Public = field(default_factory=Public)
    policy: Policy = field(default_factory=Policy)
    location: Location = field(default_factory=Location)
    storage: Storage = field(default_factory=Storage)
    dock: Dock = field(default_factory=Dock)
    mqtt: Mqtt = field(default_factory=Mqtt)
    pins: Pins = field(default_factory=Pins)
    camera: Camera = field(default_factory=Camera)
    microphone: Microphone = field(default_factory=Microphone)
    panel: Panel = field(default_factory=Panel)
    live_panel: LivePanel = field(default_factory=LivePanel)
    power: Power = field(default_factory=Power)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def milliseconds(value_ms: int) -> int:
    return value_ms * MILLISECOND_NS


def seconds(value_s: int) -> int:
    return value_s * SECOND_NS
