"""The part of H.264 that a recorder needs: the NAL units of a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

SLICE, IDR, SPS, PPS, DELIMITER = 1, 5, 7, 8, 9
LENGTH = 4  # of the length in front of each NAL unit


class ParameterSets(NamedTuple):
    """What a decoder needs before the first picture. Raw NAL units."""

    sps: bytes
    pps: bytes


def nal_units(data: bytes) -> list[bytes]:
    """The NAL units of an access unit with four-byte lengths. Raises `ValueError` if malformed."""
    return [data[start:end] for _, start, end in _walk(data)]


def nal_views(data: bytes) -> Iterator[memoryview]:
    """The same, without copies."""
    view = memoryview(data)
    for _, start, end in _walk(data):
        yield view[start:end]


def insert_before_slices(data: bytes, nals: Sequence[bytes]) -> bytes:
    """An access unit with further NAL units in front of its first slice."""
    first = next((start for kind, start, _ in _walk(data) if kind in (SLICE, IDR)), 0)
    at = first - LENGTH if first else len(data)
    return data[:at] + _with_lengths(nals) + data[at:]


def append_nal(data: bytes, nals: Sequence[bytes]) -> bytes:
    """An access unit with further NAL units behind its last."""
    return data + _with_lengths(nals)


def _with_lengths(nals: Sequence[bytes]) -> bytes:
    return b"".join(len(nal).to_bytes(LENGTH, "big") + nal for nal in nals)


def first_nal_type(data: bytes) -> int:
    """The type of the first NAL unit, 0 for no unit at all."""
    return data[4] & 31 if len(data) > 4 else 0


def is_picture(data: bytes) -> bool:
    """Whether the access unit shows something: parameter sets alone must not start a segment.
    Raises `ValueError` when it is malformed."""
    if first_nal_type(data) == SLICE and int.from_bytes(data[:4], "big") + 4 == len(data):
        return True  # the usual case, decided without parsing
    return any(kind in (SLICE, IDR) for kind, _, _ in _walk(data))


def parameter_sets(data: bytes) -> ParameterSets | None:
    """The parameter sets of a keyframe, if it carries both."""
    found = {kind: data[start:end] for kind, start, end in _walk(data) if kind in (SPS, PPS)}
    return ParameterSets(found[SPS], found[PPS]) if len(found) == 2 else None


def without_parameter_sets(data: bytes) -> bytes:
    """A keyframe as an avc1 sample: its parameter sets stand in avcC."""
    left_out = (SPS, PPS, DELIMITER)
    kept = [(start, end) for kind, start, end in _walk(data) if kind not in left_out]
    if len(kept) == 1 and kept[0][1] == len(data):
        return data[kept[0][0] - 4 :]
    return b"".join(data[start - 4 : end] for start, end in kept)


def split_keyframe(data: bytes) -> tuple[ParameterSets | None, bytes]:
    """Parameter sets of a keyframe, and the keyframe without them."""
    return parameter_sets(data), without_parameter_sets(data)


def _walk(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Type, start and end of each NAL unit. Raises `ValueError` if malformed."""
    position, end = 0, len(data)
    while position < end:
        start = position + 4
        position = start + int.from_bytes(data[start - 4 : start], "big")
        if position == start or position > end:
            raise ValueError("a NAL unit's length does not fit its access unit")
        yield data[start] & 31, start, position
