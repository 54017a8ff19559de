"""What a camera signs about each group of pictures, inside of the video (docs/format.md, 2.3).

ONVIF Media Signing 25.12 as its validators accept it: SEI messages of H.264 that any player skips.
Where the specification's text and the reference code differ, this follows the code.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from bwv_device.formats.media.h264 import ParameterSets

UUID = bytes.fromhex("005bc93f2d715e95ada4796f90877a6f")
SEI, USER_DATA = 6, 5
GENERAL, HASHES, SIGNATURE, CRYPTO, VENDOR, CERTIFICATES = 1, 2, 3, 4, 5, 6
# Of the byte behind the UUID: certificates alone; escaped before it was signed.
CERTIFICATE_SEI, ESCAPED = 0x80, 0x40
# SHA-256 as an object identifier; elliptic curves need no more.
CRYPTO_VALUE = bytes.fromhex("010b0609608648016503040201000000")
VERSION = b"\x19\x0c\x00"  # 25.12.0
HASH_LENGTH = 32
NO_HASH = bytes(HASH_LENGTH)
# A P-256 signature in DER is never longer; a shorter one is filled up.
SIGNATURE_ROOM = 72
# A group with more slices is signed by its hash alone.
LISTED_LIMIT = 600
# What a reader takes: the largest certificates and a list of 600.
SEI_LIMIT = 1 << 16
# 1601-01-01, from which times count, to 1970-01-01.
EPOCH_100NS = 116_444_736_000_000_000
STOP = b"\x80"

_EMULATES = re.compile(rb"\x00\x00(?=[\x00-\x03])")
_ESCAPE = re.compile(rb"\x00\x00\x03")


class GopStatement(NamedTuple):
    """What is said of a group: times in 100 ns since 1601, where it stands, its slices' hashes."""

    start_100ns: int
    end_100ns: int
    counter: int
    slices: int
    gop_hash: bytes
    linked_hash: bytes
    partial: bool = False


class Vendor(NamedTuple):
    """Texts of at most 255 bytes."""

    firmware: str
    serial: str
    manufacturer: str


class SigningSei(NamedTuple):
    """One that was read; nothing of it is verified. `hashes` None where there is no list; `signed`
    is what the signature covers. A certificate SEI has neither statement nor signature."""

    gop: GopStatement | None
    hashes: tuple[bytes, ...] | None
    vendor: Vendor | None
    certificates_pem: bytes
    signed: bytes
    signature: bytes


def slice_hash(nal: bytes | memoryview) -> bytes:
    """SHA-256 of a NAL unit as it is hashed: without zeros behind it."""
    if nal[-1] == 0:
        nal = bytes(nal).rstrip(b"\x00")
    return hashlib.sha256(nal).digest()


def linked(anchor: bytes, digest: bytes) -> bytes:
    """The hash of a slice that follows the first of its group."""
    return hashlib.sha256(anchor + digest).digest()


def gop_hash(hashes: Iterable[bytes]) -> bytes:
    return hashlib.sha256(b"".join(hashes)).digest()


def sets_digest(sets: ParameterSets) -> str:
    """SHA-256 of a stream's parameter sets: each with its length (4 bytes, big endian)."""
    parts = (len(nal).to_bytes(4, "big") + nal for nal in sets)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def time_100ns(utc_ns: int) -> int:
    return utc_ns // 100 + EPOCH_100NS


def utc_ns(time: int) -> int:
    return (time - EPOCH_100NS) * 100


def signing_sei(
    gop: GopStatement,
    hashes: Sequence[bytes],
    vendor: Vendor,
    certificates_pem: bytes,
    sign: Callable[[bytes], bytes],
) -> bytes:
    """A NAL unit. `sign` gives ECDSA over SHA-256, DER."""
    general = b"\x02" + VERSION + struct.pack(
        ">?qqIH", gop.partial, gop.start_100ns, gop.end_100ns, gop.counter, gop.slices
    )  # fmt: skip
    values = [
        _tlv(CRYPTO, CRYPTO_VALUE),
        _tlv(VENDOR, b"\x01" + b"".join(map(_text, vendor))),
        _tlv(CERTIFICATES, b"\x01\x00" + certificates_pem),
        _tlv(GENERAL, general + gop.gop_hash + gop.linked_hash),
    ]
    if gop.slices <= LISTED_LIMIT:
        values.append(_tlv(HASHES, b"\x01" + b"".join(hashes)))
    body = UUID + bytes([ESCAPED]) + b"".join(values)
    size = len(body) + 3 + 3 + SIGNATURE_ROOM
    head = bytes([SEI, USER_DATA]) + b"\xff" * (size // 255) + bytes([size % 255])
    signed = _escaped(head + body)
    signature = sign(signed)
    filled = signature.ljust(SIGNATURE_ROOM, b"\x01")
    value = b"\x01" + struct.pack(">H", len(signature)) + filled
    return _escaped(head + body + _tlv(SIGNATURE, value) + STOP)


def is_signing_sei(nal: bytes | memoryview) -> bool:
    """Whether a NAL unit is one of these, whatever it says."""
    if len(nal) < 24 or nal[0] & 31 != SEI or nal[1] != USER_DATA:
        return False
    start = 2
    while start < min(len(nal), SEI_LIMIT) and nal[start] == 0xFF:
        start += 1
    return bytes(nal[start + 1 : start + 1 + len(UUID)]) == UUID


def parse_signing_sei(nal: bytes) -> SigningSei:
    """Raises `ValueError` unless it is whole, with each part at most once."""
    if len(nal) > SEI_LIMIT or not is_signing_sei(nal):
        raise ValueError("not a signing SEI")
    plain = _ESCAPE.sub(b"\x00\x00", nal.rstrip(b"\x00"))
    start = 2
    while plain[start] == 0xFF:
        start += 1
    size = 255 * (start - 2) + plain[start]
    payload, rest = plain[start + 1 : start + 1 + size], plain[start + 1 + size :]
    if len(payload) != size or rest != STOP:
        raise ValueError("its length is not what it says")
    flags, values = payload[len(UUID)], dict[int, bytes]()
    if flags & ~(ESCAPED | CERTIFICATE_SEI):
        raise ValueError("flags that are not known")
    signed_length = 0
    for tag, value, position in _values(payload, len(UUID) + 1):
        if tag in values or SIGNATURE in values or tag not in range(GENERAL, CERTIFICATES + 1):
            raise ValueError("a part twice, out of place, or unknown")
        values[tag] = value
        if tag == SIGNATURE:
            signed_length = start + 1 + position
    vendor = _vendor(values[VENDOR]) if VENDOR in values else None
    certificates = values.get(CERTIFICATES, b"\x01\x00")
    if certificates[:2] != b"\x01\x00":
        raise ValueError("certificates of another version")
    if flags & CERTIFICATE_SEI:
        return SigningSei(None, None, vendor, certificates[2:], b"", b"")
    if not signed_length or GENERAL not in values or not flags & ESCAPED:
        raise ValueError("it is not signed, or says nothing")
    if values.get(CRYPTO, CRYPTO_VALUE) != CRYPTO_VALUE:
        raise ValueError("another way to hash than SHA-256")
    gop = _general(values[GENERAL])
    return SigningSei(
        gop, _hashes(values.get(HASHES), gop), vendor, certificates[2:],
        _escaped(plain[:signed_length]), _signature(values[SIGNATURE]),
    )  # fmt: skip


def _values(payload: bytes, at: int) -> Iterator[tuple[int, bytes, int]]:
    """Tag, value, and where it begins."""
    while at < len(payload):
        if at + 3 > len(payload):
            raise ValueError("a part is cut")
        tag, length = payload[at], int.from_bytes(payload[at + 1 : at + 3], "big")
        value = payload[at + 3 : at + 3 + length]
        if len(value) != length:
            raise ValueError("a part is cut")
        yield tag, value, at
        at += 3 + length


def _general(value: bytes) -> GopStatement:
    if len(value) != 4 + 23 + 2 * HASH_LENGTH or value[0] != 2 or value[4] > 1:
        raise ValueError("a statement of another form")
    partial, start, end, counter, slices = struct.unpack(">?qqIH", value[4:27])
    return GopStatement(
        start, end, counter, slices, value[27 : 27 + HASH_LENGTH], value[27 + HASH_LENGTH :],
        partial,
    )  # fmt: skip


def _hashes(value: bytes | None, gop: GopStatement) -> tuple[bytes, ...] | None:
    if value is None:
        return None
    if value[:1] != b"\x01" or len(value) != 1 + HASH_LENGTH * gop.slices:
        raise ValueError("a list of hashes of another length")
    starts = range(1, len(value), HASH_LENGTH)
    return tuple(value[start : start + HASH_LENGTH] for start in starts)


def _vendor(value: bytes) -> Vendor:
    texts, at = list[str](), 1
    for _ in Vendor._fields:
        length = value[at] if at < len(value) else 0
        texts.append(value[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    if value[:1] != b"\x01" or at != len(value):
        raise ValueError("a vendor of another form")
    return Vendor(*texts)


def _signature(value: bytes) -> bytes:
    length = int.from_bytes(value[1:3], "big")
    if value[:1] != b"\x01" or len(value) < 3 + length or set(value[3 + length :]) - {1}:
        raise ValueError("a signature of another form")
    return value[3 : 3 + length]


def _tlv(tag: int, value: bytes) -> bytes:
    return struct.pack(">BH", tag, len(value)) + value


def _text(text: str) -> bytes:
    data = text.encode("ascii", "replace")[:255]
    return bytes([len(data)]) + data


def _escaped(data: bytes) -> bytes:
    """Emulation prevention (H.264, 7.4.1): no start code can stand in it."""
    return _EMULATES.sub(b"\x00\x00\x03", data)
