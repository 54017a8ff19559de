"""A film without its manifest: what it was before content credentials were put into it
(docs/format.md, 11.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
# Of the boxes in front of the samples, which are read into memory.
MOOV_LIMIT = 256 << 20
CONTAINERS = (b"trak", b"mdia", b"minf", b"stbl")


class Part(NamedTuple):
    """Bytes of a film as it was: from the film by position, or made anew."""

    start: int
    end: int
    data: bytes = b""


def without_manifest(film: Any) -> Iterator[Part]:
    """`film`: bytes, or a file that is mapped. Raises `ValueError` where it has no boxes."""
    boxes = list(_boxes(film, 0, len(film)))
    removed = next((box for box in boxes if _is_manifest(film, box)), None)
    for box in boxes:
        kind, start, inside, end = box
        if box is removed:
            continue
        behind = removed is not None and start > removed[1]
        if kind == b"moov" and removed is not None:
            if end - start > MOOV_LIMIT:
                raise ValueError("its tables are too large")
            moov = bytearray(film[start:end])
            _lower(moov, inside - start, len(moov), removed[3] - removed[1])
            yield Part(start, end, bytes(moov))
        else:
            yield Part(start, end)
        if kind == b"mdat" and removed is not None and not behind:
            raise ValueError("its manifest stands behind the samples")


def _is_manifest(film: Any, box: tuple[bytes, int, int, int]) -> bool:
    kind, _, inside, _ = box
    return kind == b"uuid" and film[inside : inside + 16] == C2PA_UUID


def _lower(moov: bytearray, at: int, end: int, by: int, depth: int = 0) -> None:
    """Chunk offsets as they were."""
    if depth > len(CONTAINERS):
        raise ValueError("its boxes are too deep")
    for kind, _, inside, stop in list(_boxes(moov, at, end)):
        if kind in CONTAINERS:
            _lower(moov, inside, stop, by, depth + 1)
        elif kind in (b"stco", b"co64"):
            width, form = (4, ">I") if kind == b"stco" else (8, ">Q")
            if inside + 8 > stop:
                raise ValueError("its chunk offsets are cut")
            (count,) = struct.unpack_from(">I", moov, inside + 4)
            for place in range(inside + 8, inside + 8 + width * count, width):
                if place + width > stop:
                    raise ValueError("its chunk offsets are cut")
                (offset,) = struct.unpack_from(form, moov, place)
                if offset < by:
                    raise ValueError("its chunk offsets are none")
                struct.pack_into(form, moov, place, offset - by)


def _boxes(data: Any, at: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, start, where its content begins, end."""
    while at < end:
        if at + 8 > end:
            raise ValueError("its boxes are cut")
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1 and at + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        if size < head or at + size > end:
            raise ValueError("its boxes are damaged")
        yield kind, at, at + head, at + size
        at += size
