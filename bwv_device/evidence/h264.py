"""The little of H.264 that a recorder must understand: which NAL units a picture consists of."""

from __future__ import annotations

import re
from typing import NamedTuple

SLICE, IDR, SPS, PPS, DELIMITER = 1, 5, 7, 8, 9
START_CODE = re.compile(b"\x00\x00\x01")


class ParameterSets(NamedTuple):
    """What a decoder needs before the first picture. Raw NAL units."""

    sps: bytes
    pps: bytes


def nal_units(data: bytes) -> list[bytes]:
    """The NAL units of an access unit with four-byte lengths. Raises `ValueError` if malformed."""
    units, position, end = [], 0, len(data)
    while position < end:
        length = int.from_bytes(data[position : position + 4], "big")
        position += 4
        if length == 0 or position + length > end:
            raise ValueError("a NAL unit's length does not fit its access unit")
        units.append(data[position : position + length])
        position += length
    return units


def first_nal_type(data: bytes) -> int:
    """The type of the first NAL unit, 0 for no unit at all."""
    return data[4] & 31 if len(data) > 4 else 0


def is_picture(data: bytes) -> bool:
    """Whether the access unit shows something: parameter sets alone must not start a segment.
    Raises `ValueError` when it is malformed."""
    if first_nal_type(data) == SLICE and int.from_bytes(data[:4], "big") + 4 == len(data):
        return True  # the usual case, told without walking
    return any(unit[0] & 31 in (SLICE, IDR) for unit in nal_units(data))


def split_keyframe(data: bytes) -> tuple[ParameterSets | None, bytes]:
    """Parameter sets of a keyframe, and the keyframe without them (as an avc1 sample)."""
    units = nal_units(data)
    sps = [unit for unit in units if unit[0] & 31 == SPS]
    pps = [unit for unit in units if unit[0] & 31 == PPS]
    rest = [unit for unit in units if unit[0] & 31 not in (SPS, PPS, DELIMITER)]
    sample = b"".join(len(unit).to_bytes(4, "big") + unit for unit in rest)
    return (ParameterSets(sps[0], pps[0]) if sps and pps else None), sample


def from_annex_b(data: bytes) -> bytes:
    """An access unit between start codes (H.264, annex B), rewritten with four-byte lengths."""
    starts = [match.end() for match in START_CODE.finditer(data)]
    ends = [start - 3 for start in starts[1:]] + [len(data)]
    units = [data[start:end].rstrip(b"\x00") for start, end in zip(starts, ends, strict=True)]
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units if unit)


def to_annex_b(data: bytes) -> bytes:
    """The reverse of `from_annex_b`."""
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in nal_units(data))
