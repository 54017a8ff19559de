"""An own reader of what a camera sealed: fragmented MP4 (ISO 14496-12) and where in the sealed file
(age-encryption.org/v1: chunks of 64 KiB and a tag of 16 bytes) each picture ends."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

CHUNK, TAG = 64 << 10, 16
SECOND_NS = 1_000_000_000


class Sample(NamedTuple):
    """One picture or sound frame: time since the segment's start, and where its bytes end."""

    video: bool
    pts_ns: int
    data: bytes
    end: int


class _Track(NamedTuple):
    video: bool
    timescale: int


def samples(plain: bytes) -> Iterator[Sample]:
    """All that are wholly there. Raises `struct.error`, `ValueError` or `KeyError` on nonsense."""
    moof: tuple[int, int] | None = None
    tracks: dict[int, _Track] = {}
    for kind, start, end in _boxes(plain, 0, len(plain)):
        if kind == b"moov":
            tracks = dict(_tracks(plain, start, end))
        elif kind == b"moof":
            moof = (start, end)
        elif kind == b"mdat" and moof is not None:
            for child, at, to in _boxes(plain, moof[0] + 8, moof[1]):
                if child == b"traf":
                    yield from _run(plain, tracks, moof[0], at, to)
            moof = None


def sealed_end(plain_end: int, head_length: int) -> int:
    """How long the sealed file has to be for this much plaintext to be readable; `head_length` is
    that of header and nonce."""
    return head_length + ((plain_end - 1) // CHUNK + 1) * (CHUNK + TAG)


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8:
            raise ValueError(f"a box of {size} bytes")
        if kind == b"moof" and at + size > end:
            return
        yield kind, at, min(at + size, end)
        at += size


def _tracks(data: bytes, start: int, end: int) -> Iterator[tuple[int, _Track]]:
    """What moov says of each track."""
    for kind, trak, to in _boxes(data, start + 8, end):
        if kind != b"trak":
            continue
        at = {k: (box, box_end) for k, box, box_end in _boxes(data, trak + 8, to)}
        (number,) = struct.unpack_from(">I", data, at[b"tkhd"][0] + 20)
        media = {k: box for k, box, _ in _boxes(data, at[b"mdia"][0] + 8, at[b"mdia"][1])}
        (scale,) = struct.unpack_from(">I", data, media[b"mdhd"] + 20)
        handler = data[media[b"hdlr"] + 16 : media[b"hdlr"] + 20]
        yield number, _Track(handler == b"vide", scale)


def _run(
    data: bytes, tracks: Mapping[int, _Track], moof_at: int, start: int, end: int
) -> Iterator[Sample]:
    at = {kind: box for kind, box, _ in _boxes(data, start + 8, end)}
    (number,) = struct.unpack_from(">I", data, at[b"tfhd"] + 12)
    video, scale = tracks[number]
    (time,) = struct.unpack_from(">Q", data, at[b"tfdt"] + 12)
    count, offset = struct.unpack_from(">Ii", data, at[b"trun"] + 12)
    row = ">III" if video else ">II"
    position, row_at = moof_at + offset, at[b"trun"] + 20
    for _ in range(count):
        duration, size = struct.unpack_from(row, data, row_at)[:2]
        row_at += struct.calcsize(row)
        if position + size > len(data):
            return
        pts_ns = (time * SECOND_NS + scale // 2) // scale
        yield Sample(video, pts_ns, data[position : position + size], position + size)
        time, position = time + duration, position + size
