"""Judges what the camera signed inside of its films: each group, in order, in its place."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from hal.ports import SECOND_NS
from hal.simulated.capture import StubVideo
from sim.oracle.evidence import Finding, Record, SegmentPiece, TakenPicture
from sim.oracle.signed_groups import Group, digests, read_statement

PROMISE = "signed video"
# Where a segment's last picture was written before the camera knew that it is the last.
STALLS_NEAR_NS = 5 * SECOND_NS


@dataclass
class Chain:
    """`meant`: by a keyframe's number, what its group was said to continue. `owed`: the group at
    the end of the segment before, where that one says nothing of it."""

    meant: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    owed: list[TakenPicture] = field(default_factory=list)


def signature_findings(record: Record) -> list[Finding]:
    if not record.world.settings.recording.sign_video:
        return []
    certificate = x509.load_pem_x509_certificates(record.world.identity.certificate_pem)[0]
    key = certificate.public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    findings = list[Finding]()
    chains = dict[str, Chain]()
    for piece in record.pieces:
        findings += _piece(record, piece, key, chains.setdefault(_first(record, piece), Chain()))
    return findings


def _first(record: Record, piece: SegmentPiece) -> str:
    """The first of the recordings that follow each other without a press in between."""
    follows = {
        said.fields["recording"]: said.fields["follows"]
        for said in record.of_kind("open")
        if "follows" in said.fields
    }
    name = piece.recording
    while name in follows:
        name = follows[name]
    return name


def _piece(
    record: Record,
    piece: SegmentPiece,
    key: EllipticCurvePublicKey,
    chain: Chain,
) -> Iterator[Finding]:
    """One segment of a chain."""
    groups, statements = _groups(piece), _statements(piece)
    if not groups:
        return
    owed, chain.owed = chain.owed, []
    again = owed and owed[0].number in {group[0].number for group in groups}  # written once more
    if owed and not again and statements and _says(statements[0], owed, key):
        if statements[0][0] is not _place(groups, -1):
            told = f"{piece.name}: what is said of the segment before stands elsewhere"
            yield Finding(PROMISE, groups[0][0].at_ns, told)
        del statements[0]
    wanting = len(groups) - len(statements)
    may = 0 if _was_sealed(record, piece) and not _stalled(record, piece) else 1
    if not 0 <= wanting <= may:
        text = f"{piece.name}: {len(groups)} groups of pictures, {len(statements)} statements"
        yield Finding(PROMISE, groups[0][0].at_ns, text)
        return
    chain.owed = groups[-1] if wanting else []
    before: tuple[Group, bytes] | None = None
    for number, ((holder, unit), pictures) in enumerate(zip(statements, groups, strict=False)):
        at_ns, told = pictures[0].at_ns, f"{piece.name}, group {number + 1}"
        try:
            group = read_statement(unit, key)
        except (ValueError, KeyError, IndexError, struct.error) as error:
            yield Finding(PROMISE, at_ns, f"{told}: {error}")
            return
        made = digests([picture.data for picture in pictures])
        if list(group.listed) != made or group.slices != len(made):
            yield Finding(PROMISE, at_ns, f"{told}: other pictures than the segment holds")
        meant = (group.counter, group.linked)
        if chain.meant.setdefault(pictures[0].number, meant) != meant:
            yield Finding(PROMISE, at_ns, f"{told}: it was signed before as another")
        if before is not None and meant != (before[0].counter + 1, before[1]):
            yield Finding(PROMISE, at_ns, f"{told}: it does not continue the group before")
        if before is not None and group.start_100ns != before[0].end_100ns:
            yield Finding(PROMISE, at_ns, f"{told}: times with a hole")
        if holder is not _place(groups, number):
            yield Finding(PROMISE, at_ns, f"{told}: its statement stands where a cut would lose it")
        before = group, made[0]


def _says(
    statement: tuple[TakenPicture, bytes],
    pictures: list[TakenPicture],
    key: EllipticCurvePublicKey,
) -> bool:
    """Whether it is about exactly these pictures."""
    try:
        group = read_statement(statement[1], key)
    except (ValueError, KeyError, IndexError, struct.error):
        return False
    return list(group.listed) == digests([picture.data for picture in pictures])


def _groups(piece: SegmentPiece) -> list[list[TakenPicture]]:
    groups = list[list[TakenPicture]]()
    for picture in piece.pictures:
        if StubVideo.is_keyframe(picture.data):
            groups.append([])
        if groups:
            groups[-1].append(picture)
    return groups


def _statements(piece: SegmentPiece) -> list[tuple[TakenPicture, bytes]]:
    return [
        (picture, unit) for picture in piece.pictures for unit in (*picture.before, *picture.behind)
    ]


def _place(groups: list[list[TakenPicture]], number: int) -> TakenPicture:
    """The second picture of the next group that has one; else the segment's last."""
    later = (group[1] for group in groups[number + 1 :] if len(group) > 1)
    return next(later, groups[-1][-1])


def _was_sealed(record: Record, piece: SegmentPiece) -> bool:
    return any(said.fields["segment"] == piece.name for said in record.of_kind("seal"))


def _stalled(record: Record, piece: SegmentPiece) -> bool:
    """Whether pictures stopped coming at its end: what waited was written then."""
    end_ns = piece.pictures[-1].at_ns
    spans = [(s.world_ns("from_ns"), s.world_ns("to_ns")) for s in record.of_kind("gap")]
    faults = [s.when_ns() for s in record.of_kind("fault") if s.fields.get("part") == "camera"]
    near = any(a - STALLS_NEAR_NS <= end_ns <= b + STALLS_NEAR_NS for a, b in spans)
    return near or any(abs(at_ns - end_ns) <= STALLS_NEAR_NS for at_ns in faults)
