"""Reads what `mp4_writer` wrote, whole or cut off anywhere."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from bwv_device.formats import canonical_json
from bwv_device.formats.media.h264 import ParameterSets
from bwv_device.formats.media.mp4_writer import (
    AUDIO_TRACK,
    METADATA_UUID,
    SYNC_SAMPLE,
    VIDEO_TIMESCALE,
    VIDEO_TRACK,
)
from hal.ports import SECOND_NS, AccessUnit, Track

BOX_HEADER = 8
# The way to the description of pictures, and what stands in front of the boxes in each one's
# parent.
SAMPLE_DESCRIPTION = (
    *((b"moov", 0), (b"trak", 8), (b"mdia", 8), (b"minf", 8), (b"stbl", 8)),
    *((b"stsd", 8), (b"avc1", 16)),
)
AVC1_FIELDS = BOX_HEADER + 78
# Half a second has a few dozen samples, of twelve bytes each.
MOOF_LIMIT, CHILDREN_LIMIT = 1 << 20, 16


class Box(NamedTuple):
    """A box by position; `whole` is False where the data ends before it does."""

    kind: bytes
    start: int
    end: int
    whole: bool


class TrackRun(NamedTuple):
    """One track of a fragment, as described by its traf."""

    track: Track
    decode_time: int
    tfdt_at: int
    offset: int
    durations: list[int]
    sizes: list[int]
    keyframes: list[bool]


class InitSegment(NamedTuple):
    """ftyp and moov as bytes, the audio timescale, and the metadata of the uuid box."""

    data: bytes
    audio_rate_hz: int
    metadata: dict[str, Any]


def boxes(data: bytes | bytearray, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Boxes one after another. Raises `ValueError` at a size that can't be."""
    position, end = start, len(data) if end is None else end
    while position + BOX_HEADER <= end:
        size, kind = struct.unpack_from(">I4s", data, position)
        if size < BOX_HEADER:
            raise ValueError(f"a box of {size} bytes at {position}")
        yield Box(kind, position, min(position + size, end), position + size <= end)
        position += size


def read_init(data: bytes) -> InitSegment:
    """The start of a segment. Raises `ValueError` when it is not there."""
    first = {box.kind: box for box in boxes(data[: 1 << 16]) if box.whole}
    if not {b"ftyp", b"moov", b"uuid"} <= first.keys():
        raise ValueError("the segment does not start with ftyp, moov and uuid")
    moov, uuid = first[b"moov"], first[b"uuid"]
    if data[uuid.start + 8 : uuid.start + 24] != METADATA_UUID:
        raise ValueError("the uuid box is not ours")
    metadata = canonical_json.decode(data[uuid.start + 24 : uuid.end])
    head = data[first[b"ftyp"].start : first[b"ftyp"].end] + data[moov.start : moov.end]
    return InitSegment(head, _audio_rate(data, moov), metadata)


def fragments(data: bytes) -> Iterator[tuple[Box, Box]]:
    """Pairs of moof and mdat. The last mdat may be cut; a moof that is cut is left out."""
    moof: Box | None = None
    for box in boxes(data):
        if box.kind == b"moof" and box.whole:
            moof = box
        elif box.kind == b"mdat" and moof is not None:
            yield moof, box
            moof = None


def runs(data: bytes | bytearray, moof: Box) -> list[TrackRun]:
    """What a moof says of its samples, one run a track. Raises `ValueError` or `struct.error` on
    nonsense."""
    if moof.end - moof.start > MOOF_LIMIT:
        raise ValueError(f"a moof of more than {MOOF_LIMIT >> 20} MiB")
    trafs = [box for box in _few(data, moof) if box.kind == b"traf"]
    if len(trafs) > len(Track):
        # Each could name the same samples again: little to read, much to give.
        raise ValueError("more than one run of samples a track")
    described = [_run(data, moof, traf) for traf in trafs]
    if len({run.track for run in described}) != len(described):
        raise ValueError("more than one run of samples a track")
    return described


def _few(data: bytes | bytearray, parent: Box) -> list[Box]:
    """The boxes within another, of which there are a handful. Who looks for fragments in bytes of
    any kind would else read the same ones again from each place."""
    found = list(islice(boxes(data, parent.start + BOX_HEADER, parent.end), CHILDREN_LIMIT + 1))
    if len(found) > CHILDREN_LIMIT:
        raise ValueError(f"more than {CHILDREN_LIMIT} boxes in a {parent.kind!r}")
    return found


def units(data: bytes | bytearray, moof: Box, mdat: Box, audio_rate_hz: int) -> list[AccessUnit]:
    """The samples that are wholly there, with times in nanoseconds since the segment's start."""
    whole: list[AccessUnit] = []
    for run in runs(data, moof):
        rate = VIDEO_TIMESCALE if run.track is Track.VIDEO else audio_rate_hz
        time, position = run.decode_time, run.offset
        for duration, size, key in zip(run.durations, run.sizes, run.keyframes, strict=True):
            if position + size > mdat.end:
                break
            pts_ns = _nanoseconds(time, rate)
            length_ns = _nanoseconds(time + duration, rate) - pts_ns
            sample = bytes(data[position : position + size])
            whole.append(AccessUnit(run.track, pts_ns, length_ns, key, sample))
            time, position = time + duration, position + size
    return sorted(whole, key=lambda unit: unit.pts_ns)


def _run(data: bytes | bytearray, moof: Box, traf: Box) -> TrackRun:
    inner = {box.kind: box.start + BOX_HEADER for box in _few(data, traf)}
    number = struct.unpack_from(">I", data, inner[b"tfhd"] + 4)[0]
    if number not in (VIDEO_TRACK, AUDIO_TRACK):
        raise ValueError(f"track {number}")
    time = struct.unpack_from(">Q", data, inner[b"tfdt"] + 4)[0]
    count, offset = struct.unpack_from(">II", data, inner[b"trun"] + 4)
    columns = 3 if number == VIDEO_TRACK else 2
    if inner[b"trun"] + 12 + 4 * columns * count > traf.end:
        raise ValueError("a trun that is longer than its traf")
    rows = struct.unpack_from(f">{columns * count}I", data, inner[b"trun"] + 12)
    keys = [flags == SYNC_SAMPLE for flags in rows[2::3]] if columns == 3 else [True] * count
    return TrackRun(
        Track.VIDEO if number == VIDEO_TRACK else Track.AUDIO,
        time,
        inner[b"tfdt"] + 4,
        moof.start + offset,
        list(rows[0::columns]),
        list(rows[1::columns]),
        keys,
    )


def init_parameter_sets(init: InitSegment) -> ParameterSets:
    """What a decoder of its pictures is told first. Raises `ValueError` or `struct.error`."""
    at = _video_entry(init.data)
    if at is None:
        raise ValueError("no description of pictures")
    # avcC within avc1 (ISO 14496-15, 5.3.3.1): one set of each kind, as `mp4_writer` puts them.
    record = next(
        (box for box in boxes(init.data, at.start + AVC1_FIELDS, at.end) if box.kind == b"avcC"),
        None,
    )
    if record is None:
        raise ValueError("no parameter sets")
    data, at_sps = init.data[: record.end], record.start + BOX_HEADER + 6
    (length,) = struct.unpack_from(">H", data, at_sps)
    sps, at_pps = data[at_sps + 2 : at_sps + 2 + length], at_sps + 2 + length + 1
    (length,) = struct.unpack_from(">H", data, at_pps)
    return ParameterSets(sps, data[at_pps + 2 : at_pps + 2 + length])


def _video_entry(data: bytes) -> Box | None:
    """The sample description avc1."""
    found = [Box(b"", 0, len(data), whole=True)]
    for kind, skipped in SAMPLE_DESCRIPTION:
        found = [
            box
            for parent in found
            for box in boxes(data, parent.start + skipped, parent.end)
            if box.kind == kind
        ]
    return found[0] if found else None


def _audio_rate(data: bytes, moov: Box) -> int:
    """The timescale of the audio track's mdhd."""
    for trak in (b for b in boxes(data, moov.start + 8, moov.end) if b.kind == b"trak"):
        inner = {box.kind: box for box in boxes(data, trak.start + 8, trak.end)}
        track = struct.unpack_from(">I", data, inner[b"tkhd"].start + 20)[0]
        mdia = {b.kind: b for b in boxes(data, inner[b"mdia"].start + 8, inner[b"mdia"].end)}
        if track == AUDIO_TRACK:
            rate: int = struct.unpack_from(">I", data, mdia[b"mdhd"].start + 20)[0]
            return rate
    raise ValueError("no audio track")


def _nanoseconds(time: int, rate: int) -> int:
    return (time * SECOND_NS + rate // 2) // rate
