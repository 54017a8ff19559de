"""Every kind of line in a camera's ledger (docs/format.md, 3.5, whose tables come from here).

The docstring of a class is what its line says. Fields with a default may be absent. A line may hold
fields that are not here, and kinds that are not here: newer cameras have more to tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from bwv_device.formats.grammar.decode import AtMost, decode
from bwv_device.formats.grammar.forms import (
    CLOCKS,
    PEM_LIMIT,
    TEXT_LIMIT,
    Ascii,
    BootNumber,
    Count,
    DeviceName,
    Digest,
    FreeText,
    Hex,
    Moment,
    Nonce,
    OneOf,
    Percent,
    PersonName,
    Positive,
    Recording,
    RecordingId,
    Segment,
    SegmentFile,
    Signature,
    Signed,
    Text,
    Whole,
    Word,
    Yes,
)

FORMAT = 2
TORN_LIMIT, BRANCHES_LIMIT, CONDITIONS_LIMIT = 4096, 4096, 64
CAUSES = ("start", "power cut", "ledger fault", "segment fault", "numbers used up", "fork")
STATEMENT_LIMIT = 64 << 10

Pem = Annotated[str, Ascii(PEM_LIMIT)]
StatementText = Annotated[str, Ascii(STATEMENT_LIMIT)]


# --- parts of lines ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Time:
    """The truth lies within `utc_ns` ± `error_ns`."""

    utc_ns: Moment
    error_ns: Count
    source: Annotated[str, OneOf(CLOCKS)]


@dataclass(frozen=True, slots=True)
class TornEnd:
    """Bytes behind the last valid line of an older file."""

    file: Annotated[str, Ascii(15)]
    length: Count
    sha256: Digest


@dataclass(frozen=True, slots=True)
class Branch:
    """The end of one branch of a fork."""

    boot: BootNumber
    number: Positive
    digest: Digest


@dataclass(frozen=True, slots=True)
class Video:
    width: Positive
    height: Positive
    fps: Positive
    bitrate_bps: Positive
    encoder: Word


@dataclass(frozen=True, slots=True)
class Audio:
    sample_rate_hz: Positive
    bitrate_bps: Positive


@dataclass(frozen=True, slots=True)
class KeptObject:
    """What the agency signed."""

    statement: StatementText
    certificate: Pem


@dataclass(frozen=True, slots=True)
class PreEvent:
    """What was to be kept of the time before the trigger, and what was."""

    requested_ms: Count
    achieved_ms: Count
    shortfall: Annotated[str, Text(TEXT_LIMIT)]
    audio: Word


# --- lines that a verifier follows ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Boot:
    """a boot begins (3.3)"""

    format: Annotated[int, Whole(FORMAT, FORMAT)]
    device: DeviceName
    boot: BootNumber
    boot_key: Annotated[str, Hex(130)]
    certificate: Pem
    device_signature: Signature
    cause: Annotated[str, OneOf(CAUSES)]
    torn: Annotated[tuple[TornEnd, ...], AtMost(TORN_LIMIT)] | None = None
    branches: Annotated[tuple[Branch, ...], AtMost(BRANCHES_LIMIT)] | None = None
    config_sha256: Annotated[str, Text(64)] | None = None
    software: Word | None = None
    time: Time | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """a file starts with these bytes: `header` is the age header, `nonce` the 16 bytes behind it;
    from `trigger` on in the first `open` line of a recording only; `parameter_sets` is the digest
    of the stream's parameter sets (2.3)"""

    segment: SegmentFile
    recording: RecordingId
    header: Annotated[str, Ascii(STATEMENT_LIMIT)]
    nonce: Nonce
    first_pts_ns: Moment
    index: Count | None = None
    time: Time | None = None
    trigger: Word | None = None
    officer: PersonName | None = None
    pressed_ns: Moment | None = None
    video: Video | None = None
    audio: Audio | None = None
    pre_event: PreEvent | None = None
    follows: Annotated[str, Recording(or_none=True)] | None = None
    parameter_sets: Digest | None = None


@dataclass(frozen=True, slots=True)
class Sync:
    """its first `length` bytes are durable and have this digest"""

    segment: SegmentFile
    length: Count
    sha256: Digest
    chunks: Count | None = None
    video_until_ns: Moment | None = None


@dataclass(frozen=True, slots=True)
class Seal:
    """it is finished, under its final name"""

    segment: SegmentFile
    length: Count
    sha256: Digest
    plaintext_sha256: Digest
    plaintext_length: Count | None = None
    chunks: Count | None = None
    video_units: Count | None = None
    audio_units: Count | None = None
    first_pts_ns: Moment | None = None
    end_pts_ns: Moment | None = None


@dataclass(frozen=True, slots=True)
class Still:
    """a still, finished; `header` and `nonce` as of `open`"""

    segment: SegmentFile
    recording: RecordingId
    length: Count
    sha256: Digest
    pts_ns: Moment
    header: Annotated[str, Ascii(STATEMENT_LIMIT)] | None = None
    nonce: Nonce | None = None


@dataclass(frozen=True, slots=True)
class Recovered:
    """as found at boot; `attested_length` is that of the last `sync` line, 0 for none; `recording`
    is "" where the `open` line was lost"""

    segment: SegmentFile
    recording: Annotated[str, Recording(or_none=True)]
    length: Count
    sha256: Digest
    attested_length: Count
    cause: Word | None = None


@dataclass(frozen=True, slots=True)
class Dock:
    """a conversation with a store begins, with a `nonce` of its own: in the dock or, where policy
    allows it, in use"""

    docked: Yes
    nonce: Annotated[str, Hex(32, or_none=True)] | None = None


@dataclass(frozen=True, slots=True)
class Custodian:
    """who signs receipts: a role certificate and its issuer (6.1)"""

    certificate: Pem


@dataclass(frozen=True, slots=True)
class Receipt:
    """the store has this file: `statement` is its receipt (6.3) up to the signature"""

    segment: SegmentFile
    statement: StatementText


@dataclass(frozen=True, slots=True)
class Wipe:
    """the file was, or is about to be, removed"""

    segment: SegmentFile


# --- lines that tell the story -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecoveryEnd:
    """recovery is complete; `commands` is the largest counter of a command ever accepted"""

    segments: Count
    commands: Count | None = None


@dataclass(frozen=True, slots=True)
class StateChange:
    """the state table was walked"""

    from_: Word
    to: Word
    event: Word
    reason: FreeText | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """a recording ended"""

    recording: RecordingId
    reason: FreeText
    segments: Count | None = None
    duration_ms: Count | None = None


@dataclass(frozen=True, slots=True)
class Cue:
    """what light, sound or vibration said, or what `failed`"""

    light: Word | None = None
    sound: Word | None = None
    status: Word | None = None
    vibration: Word | None = None
    failed: Word | None = None
    reason: FreeText | None = None
    reminders: Count | None = None


@dataclass(frozen=True, slots=True)
class Marker:
    """a moment was marked: `informed`, `moment` or `remote`"""

    marker: Annotated[str, OneOf(("informed", "moment", "remote"))]
    recording: RecordingId
    at_ns: Moment


@dataclass(frozen=True, slots=True)
class FlagLine:
    """flagged as evidence, by the officer or by a command"""

    recording: RecordingId
    by: Word | None = None


@dataclass(frozen=True, slots=True)
class Switch:
    """on or off, and why"""

    on: Yes
    reason: FreeText


@dataclass(frozen=True, slots=True)
class PublicInformed:
    """a spoken notice was played"""

    notice: Word


@dataclass(frozen=True, slots=True)
class Refused:
    """what was asked for was refused, and why"""

    event: Word
    conditions: Annotated[tuple[FreeText, ...], AtMost(CONDITIONS_LIMIT)]


@dataclass(frozen=True, slots=True)
class Gap:
    """footage is missing"""

    track: Annotated[str, OneOf(("video", "audio"))]
    from_ns: Signed
    to_ns: Signed
    units: Count
    reason: FreeText
    recording: Annotated[str, Recording(or_none=True)] | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """something does not work"""

    part: Word | None = None
    reason: FreeText | None = None
    segment: Annotated[str, Text(200)] | None = None
    count: Count | None = None


@dataclass(frozen=True, slots=True)
class PowerLine:
    """the battery's charge passed into another band"""

    percent: Percent
    band: Word
    undervoltage: Yes


@dataclass(frozen=True, slots=True)
class StorageLine:
    """what is left passed into another band"""

    room: Word
    minutes_left: Count


@dataclass(frozen=True, slots=True)
class TimeLine:
    """a step, or a better reading, of the wall clock"""

    time: Time
    stepped_ns: Signed


@dataclass(frozen=True, slots=True)
class Greeting:
    """the store's greeting (6.3)"""

    statement: StatementText


@dataclass(frozen=True, slots=True)
class Kept:
    """what the agency signed: `statement LF certificate` is its object (6.1)"""

    statement: StatementText
    certificate: Pem


@dataclass(frozen=True, slots=True)
class Answer:
    """what came of a command"""

    counter: Count
    command: Word
    outcome: Annotated[str, OneOf(("done", "refused", "failed"))]
    reasons: Annotated[tuple[FreeText, ...], AtMost(CONDITIONS_LIMIT)]


@dataclass(frozen=True, slots=True)
class Delivery:
    """what a docking came to"""

    outcome: Word
    delivered: Count
    kept: Count
    waiting: Count


@dataclass(frozen=True, slots=True)
class Refusal:
    """the store does not accept a file, or the docking"""

    segment: Annotated[str, Segment(or_none=True)]
    statement: StatementText


@dataclass(frozen=True, slots=True)
class Stop:
    """switched off in order"""


@dataclass(frozen=True, slots=True)
class CaptureLine:
    """what was opened, with which settings, and what was asked for and is not offered"""

    part: Word
    opened: Annotated[tuple[FreeText, ...], AtMost(CONDITIONS_LIMIT)]
    missing: Annotated[tuple[FreeText, ...], AtMost(CONDITIONS_LIMIT)]


@dataclass(frozen=True, slots=True)
class Update:
    """what became of an update (9): `fetched`, `installed` into the slot that does not run,
    `started` on trial, `kept`; `refused`, `failed` with the reason; `returned`: the older one runs
    again"""

    release: Word
    step: Word
    reason: FreeText


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """nothing is open: every file of this boot up to this `recording`, and up to the still with the
    number `stills`, is finished; what else the next boot has to know. `offset`: where this line
    begins in its file"""

    offset: Count
    recording: Annotated[str, Recording(or_none=True)]
    stills: Count
    commands: Count | None = None
    assignment: KeptObject | None = None
    officer: KeptObject | None = None


FOLLOWED: dict[str, type] = {
    "boot": Boot,
    "open": Open,
    "sync": Sync,
    "seal": Seal,
    "still": Still,
    "recovered": Recovered,
    "dock": Dock,
    "custodian": Custodian,
    "receipt": Receipt,
    "wipe": Wipe,
    "checkpoint": Checkpoint,
}
TOLD: dict[str, type] = {
    "recovery": RecoveryEnd,
    "state": StateChange,
    "close": Close,
    "cue": Cue,
    "marker": Marker,
    "flag": FlagLine,
    "mute": Switch,
    "covert": Switch,
    "public-informed": PublicInformed,
    "refused": Refused,
    "gap": Gap,
    "fault": Fault,
    "capture": CaptureLine,
    "update": Update,
    "power": PowerLine,
    "storage": StorageLine,
    "time": TimeLine,
    "greeting": Greeting,
    "assignment": Kept,
    "command": Kept,
    "officer": Kept,
    "answer": Answer,
    "delivery": Delivery,
    "refusal": Refusal,
    "stop": Stop,
}
KINDS = FOLLOWED | TOLD


def typed(kind: str, fields: dict[str, Any]) -> Any:
    """A line's typed value; None for a kind that is not known. Raises `GrammarError`."""
    known = KINDS.get(kind)
    return None if known is None else decode(known, fields)
