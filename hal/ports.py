"""Every Protocol and value type that the agent may touch. Standard library only.

Times are integer nanoseconds. `*_ns` without further words is CLOCK_MONOTONIC of this boot;
`utc_ns` is nanoseconds since 1970-01-01T00:00:00Z. Backends call sinks and listeners from any
thread; a sink never blocks and never raises.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

SECOND_NS = 1_000_000_000


# --- media -----------------------------------------------------------------------------------


class Track(enum.IntEnum):
    """The two tracks of a recording."""

    VIDEO = 0
    AUDIO = 1


class AccessUnit(NamedTuple):
    """One encoded picture or one AAC frame, as the capture side hands it over.

    `data` of a picture is a sequence of NAL units, each behind its length in four bytes, big
    endian (ISO/IEC 14496-15, section 5.3.4.2.1); a keyframe carries its SPS and PPS. `data` of
    an audio unit is one raw AAC frame. `pts_ns` is the moment of capture, never rebased.
    """

    track: Track
    pts_ns: int
    duration_ns: int
    keyframe: bool
    data: bytes

    @property
    def end_ns(self) -> int:
        return self.pts_ns + self.duration_ns


class VideoFormat(NamedTuple):
    """What the camera was asked for, and the encoder that answered."""

    width: int
    height: int
    fps: int
    bitrate_bps: int
    encoder: str


class AudioFormat(NamedTuple):
    """`specific_config` is the AudioSpecificConfig of ISO/IEC 14496-3 for the decoder."""

    sample_rate_hz: int
    channels: int
    bitrate_bps: int
    specific_config: bytes


class CaptureLoss(NamedTuple):
    """Units that a backend had to drop, or a capture device that went away."""

    track: Track
    units: int
    reason: str


class Impairment(NamedTuple):
    """What is captured is of little use: "covered", "black" or "frozen" pictures, "silent" sound.
    `present` False: no longer."""

    track: Track
    what: str
    present: bool


class Opened(NamedTuple):
    """What a capture backend has opened, and with which settings: `facts`; `missing` are settings
    that were asked for and are not offered. Told at every start."""

    track: Track
    facts: tuple[str, ...]
    missing: tuple[str, ...]


class Stuck(NamedTuple):
    """A device that is there has been started again and again, in vain: only a restart of the
    machine may help. Told once."""

    track: Track
    reason: str


class UnitSink(Protocol):
    """Where capture backends deliver, in batches, from any thread."""

    def units(self, batch: Sequence[AccessUnit]) -> None: ...

    def lost(self, loss: CaptureLoss) -> None: ...

    def impaired(self, impairment: Impairment) -> None: ...

    def opened(self, opened: Opened) -> None: ...

    def stuck(self, stuck: Stuck) -> None: ...


class Camera(Protocol):
    """A sensor with its encoder. `start` may be called again after `stop`."""

    @property
    def format(self) -> VideoFormat: ...

    def start(self, sink: UnitSink) -> None: ...

    def stop(self) -> None: ...

    def request_keyframe(self) -> None: ...

    def caption(self, words: str) -> None:
        """What the overlay says beside time and device, where there is an overlay."""
        ...


class Microphone(Protocol):
    """A microphone with its encoder."""

    @property
    def format(self) -> AudioFormat: ...

    def start(self, sink: UnitSink) -> None: ...

    def stop(self) -> None: ...


class StillEncoder(Protocol):
    """Turns one keyframe into a JPEG. Slow: called in a lane of its own."""

    def jpeg(self, keyframe: AccessUnit) -> bytes:
        """Raises `ValueError` when the picture can't be decoded."""
        ...


# --- time and entropy ------------------------------------------------------------------------


class UtcReading(NamedTuple):
    """A wall clock reading: the truth lies within `utc_ns` ± `error_ns`.

    `source` is one of "none", "rtc", "ntp", "store".
    """

    utc_ns: int
    error_ns: int
    source: str


class Clock(Protocol):
    def monotonic_ns(self) -> int: ...

    def utc(self) -> UtcReading: ...


class Entropy(Protocol):
    def token(self, length: int) -> bytes:
        """`length` unpredictable bytes."""
        ...


class Scheduler(Protocol):
    """What pattern players and simulated devices need of time: now, soon, and later."""

    def now_ns(self) -> int: ...

    def post(self, callback: Callable[[], None]) -> None:
        """From any thread: run soon, on the scheduler's own."""
        ...

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Timer: ...


class Timer(Protocol):
    def cancel(self) -> None: ...


# --- storage ---------------------------------------------------------------------------------


class Disk(Protocol):
    """Five verbs that change a disk, and what is needed to read it. Paths are relative, with "/".

    Nothing is durable before `sync`: of a file for its bytes, of a directory ("" is the top) for
    its names. Every verb raises `OSError` as the kernel does.
    """

    def create(self, path: str) -> None:
        """A new, empty file; `FileExistsError` when there is one. Makes missing directories."""
        ...

    def append(self, path: str, *blocks: bytes) -> None:
        """One after another, as one write where the kernel takes it as one."""
        ...

    def sync(self, path: str) -> None: ...

    def rename(self, path: str, to: str) -> None: ...

    def remove(self, path: str) -> None: ...

    def names(self, directory: str) -> list[str]:
        """File names in a directory, sorted; empty when there is no such directory."""
        ...

    def size(self, path: str) -> int: ...

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes: ...

    def free_bytes(self) -> int: ...

    def total_bytes(self) -> int: ...

    def free_files(self) -> int | None:
        """How many files more there may be; None where nothing limits them."""
        ...


# --- lights, sounds, buttons -------------------------------------------------------------------


class Level(enum.Enum):
    """What a step of a pattern drives. A one-coloured light or a beeper knows OFF and ON."""

    OFF = "off"
    ON = "on"
    GREEN = "green"
    RED = "red"
    AMBER = "amber"


class Step(NamedTuple):
    level: Level
    duration_ns: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """A named sequence of levels. Repeats for ever unless `once`; a single step is steady."""

    name: str
    steps: tuple[Step, ...]
    once: bool = False

    @property
    def length_ns(self) -> int:
        return sum(step.duration_ns for step in self.steps)


class Indicator(Protocol):
    """A light, beeper or vibration motor that plays patterns by itself, but only on a lease."""

    def show(self, pattern: Pattern, lease_until_ns: int | None, then: Pattern) -> None:
        """Play `pattern` until the lease ends (None: without end), afterwards `then`.

        Showing the pattern that already plays renews its lease without a visible break.
        """
        ...

    def play(self, pattern: Pattern) -> None:
        """Play a `once` pattern over whatever is shown; a second waits for the first to end."""
        ...

    def watch(self, failed: Callable[[str], None]) -> None:
        """`failed` is told, from any thread, when the device can't be driven."""
        ...


class Edge(NamedTuple):
    pressed: bool
    at_ns: int


class Button(Protocol):
    """A raw contact: every edge, no debounce; gestures are the agent's."""

    def listen(self, listener: Callable[[Edge], None]) -> None: ...


class Speaker(Protocol):
    def say(self, notice: str) -> None:
        """Play the named spoken notice; `OSError` when it can't be heard."""
        ...


# --- body --------------------------------------------------------------------------------------


class PowerReading(NamedTuple):
    """`undervoltage`: the board gets less than it needs now, whatever the battery says.
    `temperature_c`: of the board, where it is known."""

    percent: int
    charging: bool
    minutes_left: int | None
    undervoltage: bool = False
    temperature_c: int | None = None


class Power(Protocol):
    def read(self) -> PowerReading: ...


class DockContact(Protocol):
    def docked(self) -> bool: ...

    def listen(self, listener: Callable[[bool], None]) -> None: ...


class Fix(NamedTuple):
    """A place: WGS 84 degrees times 10^7, and the radius that holds the truth, in metres."""

    latitude_e7: int
    longitude_e7: int
    error_m: int


class Location(Protocol):
    def fix(self) -> Fix | None: ...


class HardwareError(OSError):
    """A part of the board can't be used; `remedy` says what to do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


# --- identity and links ------------------------------------------------------------------------


class SigningError(Exception):
    """The key can't be used now: its token was drawn, say, or does not answer."""


class Identity(Protocol):
    """The device key behind a signing operation, so that a secure element can hold it."""

    @property
    def device(self) -> str: ...

    @property
    def certificate_pem(self) -> bytes:
        """The device certificate, then its issuers, without the root."""
        ...

    def sign(self, message: bytes) -> bytes:
        """ECDSA P-256 over SHA-256 of `message`, DER (RFC 3279, 2.2.3), as secure elements give.
        Raises `SigningError`."""
        ...


class Anchor(NamedTuple):
    """The newest line of a ledger: what a copy elsewhere can hold the camera to."""

    device: str
    boot: int
    number: int
    digest: str


class StoreTrouble(enum.Enum):
    """What a store's refusal means for what happens next."""

    TRANSIENT = "transient"  # the same request may go through later
    FULL = "full"  # wait: there may be room later
    MISSING = "missing"  # there is no such object
    EXISTS = "exists"  # there is one already, and it was not touched
    REFUSED = "refused"  # never this object; others may go through
    DENIED = "denied"  # nothing at all with these credentials, on this dock


class StoreError(OSError):
    """A store did not do what it was asked for."""

    def __init__(self, trouble: StoreTrouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble


class Body(Protocol):
    """What is to be stored: bytes that are read when they are needed."""

    @property
    def length(self) -> int: ...

    @property
    def sha256(self) -> str:
        """Lower-case hex."""
        ...

    def read(self, offset: int, length: int) -> bytes: ...


class Uplink(Protocol):
    """The dock's line to the evidence store: a camera may create, and read what is for it.

    Every object is created whole, or not at all; `StoreError` says what a failure means. After an
    error an object may have been created all the same: its answer was lost.
    """

    def create(self, key: str, body: Body) -> None:
        """Never overwrites: `EXISTS` where the key is taken, whatever it holds. A body that does
        not have its digest is `REFUSED`."""
        ...

    def read(self, key: str, limit: int) -> bytes:
        """A small object. `MISSING` where there is none, `REFUSED` where it is longer."""
        ...


class Stored(NamedTuple):
    """An object as a store knows it. `version` is "" where the store keeps none."""

    key: str
    length: int
    version: str


class EvidenceStore(Uplink, Protocol):
    """The custody's side of a store."""

    def entries(self, prefix: str, after: str = "") -> Iterator[Stored]:
        """Objects that are not hidden, in the order of their keys, from behind `after` on."""
        ...

    def stat(self, key: str) -> Stored: ...

    def written_utc_s(self, key: str) -> int:
        """When it was created, by the store's own clock; whoever created it can't set that back."""
        ...

    def versions(self, key: str) -> list[Stored]:
        """Everything that was ever created under a key and is not hidden, the oldest first."""
        ...

    def blocks(self, stored: Stored) -> Iterator[bytes]:
        """Its bytes, as they are on the store now. Also of an object that is hidden."""
        ...

    def retain(self, stored: Stored, until_utc_s: int) -> bool:
        """Forbids erasing before a time. False where this store can't."""
        ...

    def hold(self, stored: Stored, on: bool) -> bool:
        """Forbids erasing until it is lifted. False where this store can't."""
        ...

    def hide(self, key: str) -> None:
        """No list or read shows it any more; `unhide` brings it back."""
        ...

    def unhide(self, key: str) -> None: ...

    def free(self, key: str) -> None:
        """The key can be created anew; what stood there is out of sight, or gone. Needs no right to
        erase where a store keeps versions."""
        ...

    def erase(self, key: str) -> None:
        """For ever, hidden or not. `DENIED` where the store protects it. Nothing, where it is gone
        already."""
        ...


class MqttMessage(NamedTuple):
    """All messages are QoS 1. `attributes` become MQTT 5 user properties."""

    topic: str
    payload: bytes
    retain: bool = False
    attributes: tuple[tuple[str, str], ...] = ()


class MqttListener(Protocol):
    """Hears of one connection, from any thread; never blocks and never raises. After `closed`
    nothing follows."""

    def connected(self) -> None: ...

    def acknowledged(self, token: int) -> None: ...

    def refused(self, token: int, reason: str, *, final: bool) -> None:
        """The broker does not take a message; `final`: nor will it later."""
        ...

    def received(self, topic: str, payload: bytes) -> None: ...

    def sifted_out(self, reason: str, count: int) -> None:
        """So many messages came that are none, and go no further than the link."""
        ...

    def closed(self, reason: str) -> None:
        """Lost, refused, or never made."""
        ...


class MqttLink(Protocol):
    """A line to a broker, one connection at a time. Nothing here blocks or raises; backing off and
    trying again is the agent's."""

    def open(
        self, will: MqttMessage, subscriptions: Sequence[str], listener: MqttListener
    ) -> None: ...

    def publish(self, token: int, message: MqttMessage) -> None:
        """The listener hears of `token` when the broker has the message. Nothing where there is no
        connection."""
        ...

    def close(self, farewell: MqttMessage | None = None) -> None:
        """In order behind a last message; without one at once, and the broker says the will. The
        listener hears nothing more."""
        ...


class Waiting(NamedTuple):
    """A message in an outbox, by its row."""

    row: int
    message: MqttMessage


class Outgoing(NamedTuple):
    """For an outbox: of those with the same `key` only the newest is kept ("": all are)."""

    key: str
    message: MqttMessage


class OutboxFill(NamedTuple):
    """`dropped`: messages that had to go since this outbox was opened."""

    rows: int
    size_bytes: int
    dropped: int


class Outbox(Protocol):
    """Messages that wait for the broker, on storage that survives a power cut. Bounded: the oldest
    go first. Every verb may be slow, and raises `OSError`."""

    def put(self, items: Sequence[Outgoing]) -> None:
        """All or none; what has no key is durable when this returns."""
        ...

    def after(self, row: int, limit: int) -> list[Waiting]:
        """The oldest behind a row."""
        ...

    def remove(self, rows: Sequence[int]) -> None: ...

    def fill(self) -> OutboxFill: ...


class Running(NamedTuple):
    """The release that runs, "" on a machine without slots. `on_trial`: it was started once, to
    show what it can; the next start takes the other slot."""

    release: str
    on_trial: bool = False


class Slots(Protocol):
    """The machine's two systems: one that runs, and one that an update fills. Every verb may be
    slow, and raises `OSError` with the reason."""

    def running(self) -> Running: ...

    def install(self, bundle: str) -> None:
        """Writes the slot that does not run from a bundle on the disk, if the agency signed it.
        Which slot starts does not change."""
        ...

    def cancel(self) -> None:
        """What is being installed is given up, soon: never blocks, never raises."""
        ...

    def start_other(self) -> None:
        """Restarts the machine, once with the other slot: that one is on trial."""
        ...

    def keep(self) -> None:
        """The slot that runs is the one that starts, from now on; durable when this returns."""
        ...

    def end_trial(self) -> None:
        """Restarts the machine with the slot that starts."""
        ...


class Vitals(Protocol):
    """How the computer is."""

    def read(self) -> dict[str, int]:
        """Numbers by name, the unit last; those that can't be had are left out."""
        ...


@dataclass(frozen=True, slots=True)
class Board:
    """Everything a camera is made of. An entry point `bwv.boards` makes it, by its name."""

    clock: Clock
    entropy: Entropy
    disk: Disk
    camera: Camera
    microphone: Microphone
    stills: StillEncoder
    front_light: Indicator
    status_light: Indicator
    beeper: Indicator
    haptic: Indicator
    record_button: Button
    marker_button: Button
    trigger: Button
    speaker: Speaker
    power: Power
    dock: DockContact
    location: Location
    identity: Identity
    uplink: Uplink
    mqtt: MqttLink
    outbox: Outbox
    vitals: Vitals
    slots: Slots
