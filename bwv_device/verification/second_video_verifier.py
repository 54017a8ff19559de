"""A second opinion on a signed film, written from docs/format.md, 2.3, alone.

Standard library and `cryptography`, nothing of bwv_device. Runs by itself:

    python second_video_verifier.py FILM --root ROOT.pem

FILM is an MP4, fragmented or not, or H.264 with start codes. Prints why, and one answer; exits 0
(genuine), 1 (not genuine) or 2 (genuine, with an exception).
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import pathlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

GENUINE, EXCEPTION, FALSE = "genuine", "exception", "not genuine"
UUID = bytes.fromhex("005bc93f2d715e95ada4796f90877a6f")
SHA256_OID = bytes.fromhex("010b0609608648016503040201000000")
UNPROVEN = (
    *(InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, x509.InvalidVersion),
    *(x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
OTHER_PICTURES = (2, 3, 4, 19, 20, 21)
GIVE_UP, WAITING = 1000, 4096
WINDOWS = 116_444_736_000_000_000  # 1970, in units of 100 ns since 1601
DEVICE = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class Group:
    """An IDR picture and what follows it."""

    def __init__(self, both: list[bytes], first: bytes) -> None:
        joined = b"".join(len(one).to_bytes(4, "big") + one for one in both)
        self.sets = sha(joined).hex() if all(both) else ""
        self.both, self.slices, self.claimed = both, [first], False


class Film:
    """Complaints (`false`) and exceptions of one film."""

    def __init__(self, roots: Sequence[Any]) -> None:
        self.roots, self.groups = roots, list[Group]()
        self.false, self.exceptions = list[str](), list[str]()
        self.sets: dict[int, bytes] = {}
        self.pem, self.key, self.leaf, self.camera = b"", None, None, ""  # type: Any, Any, Any, str
        self.orphans, self.proven, self.begun = 0, 0, 0
        # What is shown with which parameter sets, and from when to when (ns since 1970).
        self.shown, self.first, self.until = set[str](), 0, 0
        self.last: tuple[int, int, bytes] | None = None  # number, end and anchor of the one before

    def answer(self) -> str:
        return FALSE if self.false else EXCEPTION if self.exceptions else GENUINE

    def judge(self, nals: Iterator[bytes]) -> str:
        for nal in nals:
            kind = nal[0] & 31 if nal else 0
            if len(self.false) > GIVE_UP:
                break
            if kind in (7, 8):
                self.sets[kind] = nal.rstrip(b"\0")
            elif kind in OTHER_PICTURES:
                self.false.append("pictures of a kind that is never signed")
            elif kind in (1, 5) and len(nal) > 1:
                self.picture(kind, nal.rstrip(b"\0"))
            elif kind == 6 and (payload := marked(nal)) is not None:
                try:
                    self.statement(nal.rstrip(b"\0"), payload)
                except (ValueError, IndexError, KeyError) as error:
                    self.false.append(f"a statement is damaged: {error}")
        if not self.pem and not self.false:
            self.false.append("nothing is signed")
            return self.answer()
        waiting = [group for group in self.groups if not group.claimed]
        if len(waiting) > 1:
            self.false.append("unsigned pictures stand in front of others")
        if waiting:
            self.exceptions.append("the last pictures are not signed")
        if self.orphans:
            self.false.append("pictures stand in front of the first keyframe")
        return self.answer()

    def picture(self, kind: int, nal: bytes) -> None:
        both = [self.sets.get(7, b""), self.sets.get(8, b"")]
        if kind == 5 and nal[1] & 0x80:
            waiting = [group for group in self.groups if not group.claimed]
            if len(waiting) >= WAITING:
                self.false.append("unsigned pictures stand in front of others")
            self.groups, self.begun = (
                [*self.groups[1 - WAITING :], Group(both, sha(nal))],
                self.begun + 1,
            )
        elif not self.groups:
            self.orphans += 1
        elif self.groups[-1].claimed:
            self.false.append("pictures stand behind the statement about them")
        elif self.groups[-1].both != both:
            self.false.append("other parameter sets within a group")
        elif len(self.groups[-1].slices) < 65535:
            slices = self.groups[-1].slices
            slices.append(sha(slices[0] + sha(nal)))

    def statement(self, nal: bytes, start: int) -> None:
        plain, where = unescaped(nal)
        end, parts, signed = len(plain) - 1, dict[int, bytes](), 0
        size = 255 * (start - 3) + plain[start - 1]
        if plain[end:] != b"\x80" or end - start != size or len(nal) > 65536:
            raise ValueError("its size")
        flags, at = plain[start + 16], start + 17
        if flags & 0x3F:
            raise ValueError("its flags")
        while at < end:
            tag, length = plain[at], int.from_bytes(plain[at + 1 : at + 3], "big")
            if at + 3 + length > end or tag in parts or 3 in parts or not 1 <= tag <= 6:
                raise ValueError("its parts")
            parts[tag] = plain[at + 3 : at + 3 + length]
            # A byte against emulation in front of this part is not signed.
            signed = where[at - 1] + 1 if tag == 3 else signed
            at += 3 + length
        vendor = texts(parts[5]) if 5 in parts else None
        self.certificates(parts.get(6, b"\x01\0"))
        if flags & 0x80:
            return
        if not flags & 0x40 or not signed or parts.get(4, SHA256_OID) != SHA256_OID:
            raise ValueError("it is not signed")
        said, length = parts[1], int.from_bytes(parts[3][1:3], "big")
        if len(said) != 91 or said[0] != 2 or said[4] > 1 or parts[3][0] != 1:
            raise ValueError("its form")
        if 3 + length > len(parts[3]) or set(parts[3][3 + length :]) - {1}:
            raise ValueError("its signature's form")
        count = int.from_bytes(said[25:27], "big")
        listed = parts.get(2)
        if listed is not None and (listed[:1] != b"\x01" or len(listed) != 1 + 32 * count):
            raise ValueError("its list")
        if self.key is None:
            self.false.append("no camera's certificate")
            return
        try:
            self.key.verify(parts[3][3 : 3 + length], escaped(plain, nal, signed),
                            ec.ECDSA(hashes.SHA256()))  # fmt: skip
        except InvalidSignature:
            self.false.append("a signature does not hold")
            return
        names = None if listed is None else [
            listed[at : at + 32] for at in range(1, len(listed), 32)
        ]  # fmt: skip
        self.claim(said, count, names, vendor)

    def claim(self, said: bytes, count: int, names: Any, vendor: Any) -> None:
        """Finds the group that a statement is about, and holds it against it."""
        digest, waiting = said[27:59], [group for group in self.groups if not group.claimed]
        same = [group for group in waiting if sha(b"".join(group.slices)) == digest]
        shared = [g for g in waiting if names is not None and set(g.slices) & set(names)]
        first = not self.proven and self.last is None and self.begun <= 1
        if not same and first and (not waiting or waiting[0] not in shared):
            return  # of pictures in front of the film
        found = (same or shared or waiting)[:1]
        if not found:
            self.false.append("a statement about pictures that are not there")
            return
        group = found[0]
        for earlier in waiting[: waiting.index(group)]:
            earlier.claimed = True
            self.false.append("unsigned pictures in the middle")
        group.claimed = True
        if vendor is None or vendor[1] != self.camera:
            self.false.append("another camera's name")
        if vendor is None or vendor[0].rpartition(" ")[2] != group.sets:
            self.false.append("other parameter sets")
        self.shown.add(group.sets)
        if same and len(group.slices) == count:
            self.proven += 1
            start, end = (int.from_bytes(said[at : at + 8], "big", signed=True) for at in (5, 13))
            self.first = self.first or 100 * (start - WINDOWS)
            self.until = 100 * (end - WINDOWS)
        else:
            self.damaged(group, names, digest)
        self.follows(group, said)

    def damaged(self, group: Group, names: Any, digest: bytes) -> None:
        if names is None or sha(b"".join(names)) != digest:
            self.false.append("other pictures")
        elif is_rest(group.slices, names):
            self.proven += 1
            self.exceptions.append("pictures are missing")
        else:
            self.false.append("pictures were changed, added or reordered")

    def follows(self, group: Group, said: bytes) -> None:
        start, end = (int.from_bytes(said[at : at + 8], "big", signed=True) for at in (5, 13))
        self.time(start, end)
        number, before, last = int.from_bytes(said[21:25], "big"), said[59:91], self.last
        self.last = number, end, group.slices[0]
        if last is None or (number == last[0] + 1 and before == last[2]):
            return
        if number == 1 and before == bytes(32) and start > last[1]:
            self.exceptions.append("another recording begins")
        elif number > last[0] + 1:
            self.exceptions.append("groups are missing")
        else:
            self.false.append("it does not continue what stands before it")

    def time(self, start: int, end: int) -> None:
        if end < start:
            self.false.append("an end before its beginning")
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        try:
            seconds = (start - WINDOWS) * 100 // 10**9
            at = epoch + datetime.timedelta(seconds=seconds)
        except OverflowError:
            self.exceptions.append("an impossible time")
            return
        hour = datetime.timedelta(hours=1)
        first, last = (in_utc(self.leaf, name) for name in ("not_valid_before", "not_valid_after"))
        if not first - hour <= at <= last:
            self.exceptions.append("a time when its certificate was not valid")

    def certificates(self, value: bytes) -> None:
        if value[:2] != b"\x01\0":
            raise ValueError("its certificates")
        pem = value[2:]
        if not pem or pem == self.pem:
            return
        if self.pem:
            self.false.append("the certificate changes")
            return
        self.pem = pem
        try:
            chain = [
                x509.load_pem_x509_certificate(one + b"-----END CERTIFICATE-----\n")
                for one in pem.split(b"-----END CERTIFICATE-----\n")[:-1]
            ]
            exact = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)
            names = list(chain[0].subject)
            name = str(names[0].value)
            key: Any = chain[0].public_key()
            leads = len(chain) == 2 and any(
                issued(chain[0], chain[1]) and issued(chain[1], root) for root in self.roots
            )
            fits = len(names) == 1 and names[0].oid == x509.NameOID.COMMON_NAME
            if exact != pem or not leads or not fits or not DEVICE.fullmatch(name):
                raise ValueError
            if unit_of(chain[1]) != "device CA" or not isinstance(key, ec.EllipticCurvePublicKey):
                raise ValueError
        except (*UNPROVEN, IndexError):
            self.false.append("its certificate is not one of this agency's cameras")
            return
        self.key, self.leaf, self.camera = key, chain[0], name


def in_utc(certificate: Any, name: str) -> datetime.datetime:
    """`cryptography` 38 has only times without a zone."""
    told: datetime.datetime = getattr(certificate, name + "_utc", None) or getattr(
        certificate, name
    )
    return told.replace(tzinfo=datetime.UTC)


def issued(subject: Any, issuer: Any) -> bool:
    """By a CA, with its signature (P-256, SHA-256)."""
    try:
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        issuer.public_key().verify(
            subject.signature, subject.tbs_certificate_bytes,
            ec.ECDSA(subject.signature_hash_algorithm),
        )  # fmt: skip
    except UNPROVEN:
        return False
    return bool(subject.issuer == issuer.subject)


def unit_of(certificate: Any) -> str:
    found = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def texts(value: bytes) -> list[str]:
    found, at = list[str](), 1
    for _ in range(3):
        length = value[at]
        found.append(value[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    if value[:1] != b"\x01" or at != len(value):
        raise ValueError("its texts")
    return found


def is_rest(some: list[bytes], every: list[bytes]) -> bool:
    at = 0
    for one in some:
        while at < len(every) and every[at] != one:
            at += 1
        if at == len(every):
            return False
        at += 1
    return True


def marked(nal: bytes) -> int | None:
    """Where the UUID stands in a statement; None for another SEI."""
    at = 2
    while at < min(len(nal), 65536) and nal[at] == 255:
        at += 1
    ours = len(nal) >= 24 and nal[1] == 5 and nal[at + 1 : at + 17] == UUID
    return at + 1 if ours else None


def unescaped(nal: bytes) -> tuple[bytes, list[int]]:
    """Without emulation prevention; and where each byte stood."""
    plain, where, at = bytearray(), list[int](), 0
    while at < len(nal):
        if nal[at : at + 3] == b"\0\0\x03":
            plain += b"\0\0"
            where += [at, at + 1]
            at += 3
        else:
            plain.append(nal[at])
            where.append(at)
            at += 1
    return bytes(plain), where


def escaped(plain: bytes, nal: bytes, signed: int) -> bytes:
    """What was signed must stand in the stream as it must be written."""
    again, zeros = bytearray(), 0
    for byte in plain:
        if zeros == 2 and byte <= 3:
            again.append(3)
            zeros = 0
        again.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(again[:signed]) if bytes(again[:signed]) == nal[:signed] else b""


# --- containers -----------------------------------------------------------------------------------


def nal_units(data: Any) -> Iterator[bytes]:
    """Of bytes, or of a file that is mapped."""
    if data[4:8] in (b"ftyp", b"styp", b"moov"):
        yield from in_mp4(data)
        return
    start = 0
    for found in re.finditer(b"\0\0\x01", data):
        if start:
            yield data[start : found.start()]
        start = found.end()
    if start:
        yield data[start:]


def boxes(data: Any, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """One behind the other: kind, where the content begins, where it ends."""
    while at < end:
        size, kind, head = word(data, at), bytes(data[at + 4 : at + 8]), 8
        if size == 1 and at + 16 <= end:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = end - at
        if at + 8 > end or size < head or at + size > end:
            raise ValueError("its boxes are damaged")
        yield kind, at + head, at + size
        at += size


def only(data: Any, at: int, end: int, kind: bytes) -> tuple[int, int]:
    """The only box of a kind: of two, players choose one."""
    found = [(start, stop) for name, start, stop in boxes(data, at, end) if name == kind]
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} boxes {kind.decode('latin-1')} where one belongs")
    return found[0]


class Movie:
    """A track of a film, by its one description."""

    def __init__(self, data: Any, at: int, end: int) -> None:
        header, _ = only(data, at, end, b"tkhd")
        self.number = word(data, header + (20 if data[header] else 12))
        media = only(data, at, end, b"mdia")
        handler, _ = only(data, *media, b"hdlr")
        self.kind = bytes(data[handler + 8 : handler + 12])
        self.stbl = only(data, *only(data, *media, b"minf"), b"stbl")
        self.entry, self.end = only(data, *self.stbl, b"stsd")
        self.codec = bytes(data[self.entry + 12 : self.entry + 16])
        if word(data, self.entry + 4) != 1 or not self.number:
            raise ValueError("a track is of more than one kind, or of none")
        if (self.kind, self.codec) not in ((b"vide", b"avc1"), (b"soun", b"mp4a")):
            raise ValueError("a track is neither pictures nor sound as a camera makes them")


def in_mp4(data: Any) -> Iterator[bytes]:
    """Of its one track of pictures: parameter sets, then samples in their order. What players
    could read in two ways is refused."""
    moov = only(data, 0, len(data), b"moov")
    tracks = [Movie(data, at, end) for kind, at, end in boxes(data, *moov) if kind == b"trak"]
    films = [track for track in tracks if track.kind == b"vide"]
    if len(films) != 1 or len({track.number for track in tracks}) != len(tracks):
        raise ValueError("it has not one track of pictures, or two tracks of one number")
    film = films[0]
    # Behind the fields of a sample entry for pictures (ISO 14496-12, 12.1.3).
    start, stop = only(data, film.entry + 8 + 8 + 78, film.end, b"avcC")
    if stop - start < 7 or data[start + 4] & 3 != 3:
        raise ValueError("its pictures have lengths of another kind")
    yield from configured(data[start:stop])
    for start, size in [*table_of(data, *film.stbl), *runs_of_track(data, film.number)]:
        place, end = start, start + size
        while place + 4 <= end:
            length = word(data, place)
            yield data[place + 4 : min(place + 4 + length, end)]
            place += 4 + length


def table_of(data: Any, at: int, end: int) -> list[tuple[int, int]]:
    """Samples by the tables of a film; none where it has fragments alone."""
    kinds = [kind for kind, _, _ in boxes(data, at, end)]
    wide = b"co64" in kinds
    sizes, places = (only(data, at, end, k)[0] for k in (b"stsz", b"co64" if wide else b"stco"))
    if wide and b"stco" in kinds:
        raise ValueError("it has two tables of places")
    chunks, _ = only(data, at, end, b"stsc")
    found = {b"stsz": sizes, b"stsc": chunks, b"co64" if wide else b"stco": places}
    return tabled(data, found) if word(data, sizes + 8) else []


def runs_of_track(data: Any, number: int) -> Iterator[tuple[int, int]]:
    """Samples by fragments."""
    for kind, at, end in boxes(data, 0, len(data)):
        if kind != b"moof":
            continue
        for inner, start, stop in boxes(data, at, end):
            header, _ = only(data, start, stop, b"tfhd") if inner == b"traf" else (0, 0)
            if not header or word(data, header + 4) != number:
                continue
            if word(data, header) & 1:
                raise ValueError("a fragment says that its samples lie elsewhere")
            for part, begin, finish in boxes(data, start, stop):
                if part == b"trun":
                    yield from run(data, begin, finish, at - 8)


def configured(avcc: bytes) -> Iterator[bytes]:
    at = 5
    for mask in (31, 255):
        count, at = avcc[at] & mask, at + 1
        for _ in range(count):
            length = int.from_bytes(avcc[at : at + 2], "big")
            yield avcc[at + 2 : at + 2 + length]
            at += 2 + length


def tabled(data: Any, found: dict[bytes, int]) -> list[tuple[int, int]]:
    """Samples of a film with tables: sizes, chunks, and how many samples each has."""
    at = found[b"stsz"]
    same, count = word(data, at + 4), word(data, at + 8)
    if count * (1 if same else 4) > len(data):
        raise ValueError("it says to have more than it has")
    sizes = [same or word(data, at + 12 + 4 * n) for n in range(count)]
    wide = b"co64" in found
    at = found[b"co64" if wide else b"stco"]
    step = 8 if wide else 4
    offsets = [
        int.from_bytes(data[at + 8 + step * n : at + 8 + step * (n + 1)], "big")
        for n in range(rows_of(data, at, step))
    ]
    at = found[b"stsc"]
    rows = [(word(data, at + 8 + 12 * n), word(data, at + 12 + 12 * n))
            for n in range(rows_of(data, at, 12))]  # fmt: skip
    samples, sample, row = list[tuple[int, int]](), 0, 0
    for chunk, start in enumerate(offsets, 1):
        while row + 1 < len(rows) and rows[row + 1][0] <= chunk:
            row += 1
        each, place = rows[row][1], start
        for size in sizes[sample : sample + each]:
            samples.append((place, size))
            place += size
        sample += each
    return samples


def rows_of(data: Any, at: int, width: int) -> int:
    count = word(data, at + 4)
    if at + 8 + width * count > len(data):
        raise ValueError("it says to have more than it has")
    return count


def run(data: Any, at: int, end: int, base: int) -> Iterator[tuple[int, int]]:
    flags, count, place = word(data, at) & 0xFFFFFF, word(data, at + 4), at + 8
    offset = base
    if not flags & 0x200:
        raise ValueError("it does not say how long its pictures are")
    if flags & 1:
        offset, place = base + word(data, place), place + 4
    place += 4 if flags & 4 else 0
    before = 4 * bool(flags & 0x100)
    row = before + 4 * (bool(flags & 0x200) + bool(flags & 0x400) + bool(flags & 0x800))
    if place + row * count > end:
        raise ValueError("it says to have more than it has")
    for _ in range(count):
        size = word(data, place + before)
        yield offset, size
        offset, place = offset + size, place + row


def word(data: Any, at: int) -> int:
    if at + 4 > len(data):
        raise ValueError("it is cut")
    return int.from_bytes(data[at : at + 4], "big")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("film", type=pathlib.Path)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    words = parser.parse_args()
    film = Film([x509.load_pem_x509_certificate(words.root.read_bytes())])
    try:
        answer = film.judge(nal_units(words.film.read_bytes()))
    except (ValueError, IndexError, MemoryError) as error:
        answer = FALSE
        film.false.append(f"it can't be read: {error}")
    for sentence in dict.fromkeys([*film.false, *film.exceptions]):
        print(sentence)
    print(answer)
    sys.exit({GENUINE: 0, FALSE: 1, EXCEPTION: 2}[answer])


if __name__ == "__main__":
    main()
