"""Messages over MQTT: what cameras publish, and the commands they take (docs/mqtt.md).

`docs/asyncapi.json` is generated from these classes. They are standard dataclasses, so that the
recording process need not load a validator.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import quote

from annotated_types import Interval, Len

from bwv_device.formats import canonical_json
from bwv_device.formats.grammar.purposes import HEAD_PURPOSE
from hal.ports import Anchor, MqttMessage

VERSION = "v1"

Count = Annotated[int, Interval(ge=0, le=2**63 - 1)]
Moment = Annotated[int, Interval(ge=-(2**63), le=2**63 - 1)]
Digest = Annotated[str, Len(64, 64)]
Clock = Literal["none", "rtc", "ntp", "store"]


# --- what a camera says ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether the camera is connected. "Offline" of an older (boot, session) is to be ignored."""

    online: bool
    boot: Count
    session: Count
    software: str = ""
    config_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the ledger, and when that was so by the camera's clock; r and s of the device key
    over it, 64 bytes in hex."""

    device: str
    boot: Count
    number: Count
    digest: Digest
    utc_ms: Moment
    error_ms: Count
    signature: Annotated[str, Len(128, 128)]


@dataclass(frozen=True, slots=True)
class Light:
    """What the front light says, and which of lights, beeper and vibration can't be driven."""

    front: str
    status: str
    failed: list[str]


@dataclass(frozen=True, slots=True)
class Battery:
    percent: Annotated[int, Interval(ge=0, le=100)]
    minutes_left: Count | None
    charging: bool
    band: Literal["normal", "low", "critical", "empty"]


@dataclass(frozen=True, slots=True)
class Storage:
    """What is left for recording; the reserve does not count."""

    percent_left: Annotated[int, Interval(ge=0, le=100)] | None
    minutes_left: Count
    room: Literal["enough", "low", "critical", "full"]


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Footage without a receipt yet. `oldest_utc_ms` is None if the camera did not know the
    time when it was recorded."""

    files: Count
    oldest: str = ""
    oldest_utc_ms: Moment | None = None


@dataclass(frozen=True, slots=True)
class Software:
    """The release that runs, and how far an update is; `last` is what became of the last one."""

    release: str
    on_trial: bool
    update: str
    last: str


@dataclass(frozen=True, slots=True)
class State:
    """The current state. Retained; replaced by the next."""

    boot: Count
    number: Count
    session: Count
    utc_ms: Moment
    error_ms: Count
    clock: Clock
    state: str
    recording: str | None
    stored: bool
    able: bool
    unmet: list[str]
    officer: str
    light: Light
    battery: Battery | None
    storage: Storage | None
    undelivered: Undelivered
    delivery: str
    command_counter: Count
    head: Head | None
    software: Software | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the ledger, `line` its number."""

    boot: Count
    number: Count
    utc_ms: Moment
    error_ms: Count
    clock: Clock
    kind: Literal[
        "started", "stopped", "marker", "fault", "refused", "warning", "dock", "receipt", "update"
    ]
    line: Count
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """Health of the camera. `refused`: refused commands, by reason."""

    boot: Count
    number: Count
    session: Count
    utc_ms: Moment
    error_ms: Count
    clock: Clock
    uptime_s: Count
    undervoltage: bool
    temperature_c: Moment | None
    waiting: Count
    waiting_bytes: Count
    dropped: Count
    connections: Count
    refused: dict[str, int]
    vitals: dict[str, int]


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of a command."""

    boot: Count
    number: Count
    utc_ms: Moment
    error_ms: Count
    clock: Clock
    id: str
    counter: Count
    command: str
    outcome: Literal["done", "refused", "failed"]
    reasons: list[str]
    result: dict[str, Any] = field(default_factory=dict)


# --- what it may be told -----------------------------------------------------------------------

Recording = Annotated[str, Len(0, 13)]


@dataclass(frozen=True, slots=True)
class Locate:
    """Status light and beeper, so that the camera is found."""

    seconds: Annotated[int, Interval(ge=1, le=30)]


@dataclass(frozen=True, slots=True)
class Mark:
    """A marker in the recording in progress."""


@dataclass(frozen=True, slots=True)
class Start:
    """Starts a recording where policy allows it. Nothing stops one from afar."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep this footage: "" is the recording in progress, or the last."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class Assign:
    """The officer to whom the camera is issued."""

    officer: Annotated[str, Len(1, 64)]


@dataclass(frozen=True, slots=True)
class AskHead:
    """The head of the ledger, now."""


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """Versions, vitals, counters, the last faults."""


@dataclass(frozen=True, slots=True)
class Update:
    """The release to come to, and the digest of its bundle; "" takes the wish back."""

    release: Annotated[str, Len(0, 32)]
    sha256: Annotated[str, Len(0, 64)]


Arguments = Locate | Mark | Start | Hold | Assign | AskHead | Diagnostics | Update
COMMANDS: dict[str, type[Arguments]] = {
    "locate": Locate,
    "mark": Mark,
    "start": Start,
    "hold": Hold,
    "assign": Assign,
    "head": AskHead,
    "diagnostics": Diagnostics,
    "update": Update,
}


@dataclass(frozen=True, slots=True)
class Command:
    """The fields of the signed statement, without `purpose` and `by`."""

    device: Annotated[str, Len(1, 64)]
    command: Literal["locate", "mark", "start", "hold", "assign", "head", "diagnostics"]
    arguments: dict[str, Any]
    counter: Annotated[int, Interval(ge=1, le=2**53 - 1)]
    issued_s: Count
    expires_s: Count
    id: Annotated[str, Len(1, 64)]


# --- on the wire -------------------------------------------------------------------------------


def prefix(agency: str, device: str) -> str:
    """Where a camera's topics begin. An agency's name may hold what a topic must not."""
    return f"bwv/{VERSION}/{level(agency)}/{device}"


def level(name: str) -> str:
    return quote(name, safe="")


class Topics:
    """A camera's messages as they go out."""

    def __init__(self, agency: str, device: str) -> None:
        self._prefix = prefix(agency, device)
        self._source = f"/{self._prefix}"

    def __getitem__(self, leaf: str) -> str:
        return f"{self._prefix}/{leaf}"

    def message(self, leaf: str, said: Presence | State | Event | Health | Reply) -> MqttMessage:
        payload = json.dumps(asdict(said), sort_keys=True, separators=(",", ":")).encode()
        number = getattr(said, "number", None) or getattr(said, "session", 0)
        attributes = (
            ("specversion", "1.0"),
            ("id", f"{leaf}-{said.boot}-{number}"),
            ("source", self._source),
            ("type", f"bwv.{leaf}.{VERSION}"),
        )
        retain = leaf not in ("event", "reply")
        return MqttMessage(self[leaf], payload, retain, attributes)


def head_statement(anchor: Anchor, utc_ms: int, error_ms: int) -> bytes:
    """What the device key signs."""
    when = {"utc_ms": utc_ms, "error_ms": error_ms}
    return canonical_json.encode({**anchor._asdict(), **when, "purpose": HEAD_PURPOSE})
