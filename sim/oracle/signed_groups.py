"""An own reader of what a camera signs about its pictures: SEI messages of ONVIF Media Signing
(ITU-T H.264, annex D; the tags in docs/format.md, 2.3).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256

UUID = bytes.fromhex("005bc93f2d715e95ada4796f90877a6f")
HEAD = b"\x06\x05"
SIGNATURE_TAG, GENERAL_TAG, LIST_TAG = 3, 1, 2


class Group(NamedTuple):
    """What a statement says of a group of pictures, its signature verified."""

    counter: int
    slices: int
    digest: bytes
    linked: bytes
    start_100ns: int
    end_100ns: int
    listed: tuple[bytes, ...]


def without_statements(sample: bytes) -> tuple[tuple[bytes, ...], bytes, tuple[bytes, ...]]:
    """The statements in front of a sample's picture, the sample without any, those behind."""
    before, kept, behind = list[bytes](), list[bytes](), list[bytes]()
    pictures = False
    for unit in _units(sample):
        if unit[:2] == HEAD and unit[2:].lstrip(b"\xff")[1 : 1 + len(UUID)] == UUID:
            (behind if pictures else before).append(unit)
            continue
        pictures = pictures or unit[0] & 31 in (1, 5)
        kept.append(len(unit).to_bytes(4, "big") + unit)
    return tuple(before), b"".join(kept), tuple(behind)


def slices(sample: bytes) -> list[bytes]:
    return [unit for unit in _units(sample) if unit[0] & 31 in (1, 5)]


def digests(samples: Sequence[bytes]) -> list[bytes]:
    """Of the slices of one group: the first by itself, each other behind the first."""
    plain = [hashlib.sha256(unit).digest() for sample in samples for unit in slices(sample)]
    first = plain[0]
    return [first, *(hashlib.sha256(first + digest).digest() for digest in plain[1:])]


def read_statement(unit: bytes, key: EllipticCurvePublicKey) -> Group:
    """Raises `ValueError`, `struct.error` or `KeyError` unless it is whole and `key` signed it."""
    at = 2
    while unit[at] == 255:
        at += 1
    at += 1 + len(UUID) + 1  # the byte behind says that it was escaped before it was signed
    parts = dict[int, bytes]()
    signed = 0
    for tag, value, end, begin in _parts(unit, at):
        parts[tag] = value
        if tag == SIGNATURE_TAG:
            signed = begin
            if unit[end:] != b"\x80":
                raise ValueError("something stands behind the signature")
            break
    value = parts[SIGNATURE_TAG]
    length = int.from_bytes(value[1:3], "big")
    try:
        key.verify(value[3 : 3 + length], unit[:signed], ECDSA(SHA256()))
    except InvalidSignature:
        raise ValueError("its signature does not hold") from None
    general, listed = parts[GENERAL_TAG], parts.get(LIST_TAG, b"\x01")[1:]
    start, end_, counter, count = struct.unpack(">qqIH", general[5:27])
    hashes = tuple(listed[i : i + 32] for i in range(0, len(listed), 32))
    return Group(counter, count, general[27:59], general[59:91], start, end_, hashes)


def _parts(unit: bytes, at: int) -> Iterator[tuple[int, bytes, int, int]]:
    """Tag, value, where the part ends and begins in the stream, byte for byte: a 3 behind two zeros
    is skipped."""
    while at < len(unit) - 1:
        begin = at
        head, at = _plain(unit, at, 3)
        value, at = _plain(unit, at, int.from_bytes(head[1:], "big"))
        yield head[0], value, at, begin


def _plain(unit: bytes, at: int, length: int) -> tuple[bytes, int]:
    read = bytearray()
    while len(read) < length:
        if unit[at] == 3 and unit[at - 2 : at] == b"\0\0":
            at += 1
        read.append(unit[at])
        at += 1
    return bytes(read), at


def _units(sample: bytes) -> Iterator[bytes]:
    at = 0
    while at + 4 <= len(sample):
        end = at + 4 + int.from_bytes(sample[at : at + 4], "big")
        yield sample[at + 4 : end]
        at = end
