"""What camera, agency and evidence store sign to each other (docs/format.md, 6.3, whose table comes
from here). A statement holds exactly these fields, and `purpose` and `by`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from bwv_device.formats.grammar import purposes
from bwv_device.formats.grammar.decode import AtMost, GrammarError, decode
from bwv_device.formats.grammar.forms import (
    BootNumber,
    Count,
    DeviceName,
    Digest,
    FreeText,
    Moment,
    Name,
    Nonce,
    OneOf,
    Percent,
    Positive,
    RecordingId,
    Segment,
    SegmentFile,
    Text,
    Whole,
    Word,
    Yes,
)
from bwv_device.formats.grammar.ledger_kinds import Pem, StatementText, Time

T = TypeVar("T")

FILES_LIMIT, LEDGERS_LIMIT, REPLICAS_LIMIT = 20_000, 100_000, 16
WITNESSES_LIMIT, REVOKED_LIMIT = 16, 10_000
CHECKPOINT_LIMIT = 16_384
# Files that one request names.
VIEWED_LIMIT = 256


@dataclass(frozen=True, slots=True)
class LineAnchor:
    """Number and digest of a ledger line."""

    number: Positive
    digest: Digest


@dataclass(frozen=True, slots=True)
class LedgerLength:
    """How long the ledger file of a boot is; 0 and 0 where none is known."""

    boot: Annotated[int, Whole(0, 99_999_999)]
    length: Count


@dataclass(frozen=True, slots=True)
class Announced:
    """A file that is about to come."""

    segment: SegmentFile
    length: Count
    sha256: Digest


@dataclass(frozen=True, slots=True)
class Docking:
    """A camera is in the dock: its ledger's head, its clock, and the files that will come."""

    device: DeviceName
    boot: BootNumber
    nonce: Nonce
    anchor: LineAnchor
    t: Moment
    time: Time
    battery: Percent
    ledgers: Annotated[tuple[LedgerLength, ...], AtMost(LEDGERS_LIMIT)]
    files: Annotated[tuple[Announced, ...], AtMost(FILES_LIMIT)]


@dataclass(frozen=True, slots=True)
class Greeting:
    """Intake's answer: its time, how far it has the ledger, the newest assignment's number, and the
    newest checkpoint of custody's log (8.3), "" for none: the camera keeps it in its ledger."""

    device: DeviceName
    nonce: Nonce
    utc_ns: Moment
    error_ns: Moment
    ledger: LedgerLength
    assignment: Annotated[int, Whole(0, 99_999_999)]
    checkpoint: Annotated[str, Text(CHECKPOINT_LIMIT)]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The file was read again from the store, and had this digest."""

    device: DeviceName
    boot: BootNumber
    segment: SegmentFile
    length: Count
    sha256: Digest
    nonce: Nonce
    anchor: LineAnchor
    utc_ns: Moment
    replicas: Annotated[tuple[Word, ...], AtMost(REPLICAS_LIMIT)]
    hold: Yes


@dataclass(frozen=True, slots=True)
class Refusal:
    """The file, or with "" the whole docking, is not accepted."""

    device: DeviceName
    nonce: Nonce
    segment: Annotated[str, Segment(or_none=True)]
    reason: FreeText


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who wears the camera, and which settings differ from its `config.toml`."""

    device: DeviceName
    version: Annotated[int, Whole(1, 99_999_999)]
    officer: Annotated[str, Name()]
    settings: dict[str, Any]
    utc_ns: Moment


@dataclass(frozen=True, slots=True)
class Command:
    """What an operator asks of one camera (docs/mqtt.md, 5)."""

    device: DeviceName
    command: Annotated[str, Name(32)]
    arguments: dict[str, Any]
    counter: Annotated[int, Whole(1, (1 << 53) - 1)]
    issued_s: Moment
    expires_s: Moment
    id: DeviceName


@dataclass(frozen=True, slots=True)
class TrustedWitness:
    """A witness's verifier key, and where it is asked; "" for one that is not asked from here."""

    key: Annotated[str, Text(4096)]
    url: Annotated[str, Text(512)]


@dataclass(frozen=True, slots=True)
class Revoked:
    """A role's certificate that does not count from a time on."""

    certificate: Digest
    utc_ns: Moment
    reason: FreeText


@dataclass(frozen=True, slots=True)
class TrustList:
    """Which key is the log's of a store, who witnesses it, and whose word still counts (8.4)."""

    version: Positive
    store: Nonce
    utc_ns: Moment
    log: Annotated[str, Text(4096)]
    witnesses: Annotated[tuple[TrustedWitness, ...], AtMost(WITNESSES_LIMIT)]
    quorum: Annotated[int, Whole(0, WITNESSES_LIMIT)]
    outage_s: Moment
    roles_cas: Annotated[tuple[Digest, ...], AtMost(WITNESSES_LIMIT)]
    revoked: Annotated[tuple[Revoked, ...], AtMost(REVOKED_LIMIT)]


@dataclass(frozen=True, slots=True)
class ViewRequest:
    """A person asks to look at files of one recording (10.2). `key` is their viewing certificate
    and its issuer; `case` the case that they work on, "" for none."""

    store: Nonce
    device: DeviceName
    recording: RecordingId
    segments: Annotated[tuple[SegmentFile, ...], AtMost(VIEWED_LIMIT)]
    key: Pem
    reason: FreeText
    case: Annotated[str, Name(64, least=0)]
    nonce: Nonce
    utc_ns: Moment


@dataclass(frozen=True, slots=True)
class ViewApproval:
    """A second person agrees to a request, by the SHA-256 of its text (10.2)."""

    request: Digest
    utc_ns: Moment


@dataclass(frozen=True, slots=True)
class GrantedHeader:
    """What stands in front of the payload of `segment` for the one who asked."""

    segment: SegmentFile
    header: StatementText


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer to a request, once the custody line `line` says who looks (10.3)."""

    request: Digest
    line: Positive
    headers: Annotated[tuple[GrantedHeader, ...], AtMost(VIEWED_LIMIT)]


@dataclass(frozen=True, slots=True)
class RenderOrder:
    """A person asks a worker for what needs films in clear (12.4): what to cover is proposed
    (`propose`), or a package is made (`disclose`). `plan` is JSON; `key` the viewing certificate
    and its issuer, to which the result is sealed."""

    store: Nonce
    device: DeviceName
    recording: RecordingId
    what: Annotated[str, OneOf(("propose", "disclose"))]
    plan: StatementText
    reason: FreeText
    key: Pem
    nonce: Nonce
    utc_ns: Moment


@dataclass(frozen=True, slots=True)
class RenderApproval:
    """A second person has looked at what an order covers, and agrees (12.4)."""

    order: Digest
    utc_ns: Moment


@dataclass(frozen=True, slots=True)
class RenderQuestion:
    """A worker asks the person of an order to sign a message, by the SHA-256 of both (12.4)."""

    order: Digest
    message: Digest


@dataclass(frozen=True, slots=True)
class PackageFilm:
    """A film of a package, by its file's name: `whole`, `excerpt`, or `redacted`."""

    name: Annotated[str, Name(200)]
    sha256: Digest
    kind: Annotated[str, OneOf(("whole", "excerpt", "redacted"))]


@dataclass(frozen=True, slots=True)
class PackageSegment:
    """A sealed file of the recording, as the camera's ledger names it."""

    segment: SegmentFile
    sha256: Digest


@dataclass(frozen=True, slots=True)
class PackageStatement:
    """What a package is, by who disclosed it (11.1): `sums` is the digest of its `SHA256SUMS`."""

    store: Nonce
    device: DeviceName
    recording: RecordingId
    utc_ns: Moment
    films: Annotated[tuple[PackageFilm, ...], AtMost(VIEWED_LIMIT)]
    sealed: Annotated[tuple[PackageSegment, ...], AtMost(FILES_LIMIT)]
    sums: Digest


PURPOSES: dict[type, str] = {
    Docking: purposes.DOCKING,
    Greeting: purposes.GREETING,
    Receipt: purposes.RECEIPT,
    Refusal: purposes.REFUSAL,
    Assignment: purposes.ASSIGNMENT,
    Command: purposes.COMMAND_PURPOSE,
    TrustList: purposes.TRUST_LIST,
    ViewRequest: purposes.VIEW_REQUEST,
    ViewApproval: purposes.VIEW_APPROVAL,
    Grant: purposes.GRANT,
    RenderOrder: purposes.RENDER_ORDER,
    RenderApproval: purposes.RENDER_APPROVAL,
    RenderQuestion: purposes.RENDER_QUESTION,
    PackageStatement: purposes.PACKAGE,
}


def typed(kind: type[T], fields: dict[str, Any]) -> T:
    """A statement's value, if it says the purpose of this class. Raises `GrammarError`."""
    if fields.get("purpose") != PURPOSES[kind]:
        raise GrammarError(f"says another purpose than {PURPOSES[kind]!r}")
    said = {name: value for name, value in fields.items() if name not in ("purpose", "by")}
    return decode(kind, said, exact=True)
