"""Makes a whole film anew out of its sealed originals, written from docs/format.md, 11.5, alone.

Standard library and `cryptography`, nothing of bwv_device.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

CHUNK, TAG, NONCE = 65536, 16, 16
SHORTEST, INIT, MOOF, WITHIN = 1024, 65536, 1 << 20, 16
SECOND = 10**9
OURS = bytes.fromhex("b0d7c0de5e1f4a0c9a3e62776d657461")
MANIFEST = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
KEYFRAME = 0x02000000
FTYP = bytes.fromhex("0000002066747970") + b"isom\0\0\2\0isomiso2avc1mp41"
UNITY = bytes.fromhex("00010000" + 12 * "00" + "00010000" + 12 * "00" + "40000000")
PAGE, LEAST_ROOM, MOST_ROOM = 4096, 64 << 10, 64 << 20
Box = tuple[bytes, int, int, bool]  # kind, start, end, whether all of it is there


def number(value: int, length: int = 4) -> bytes:
    return value.to_bytes(length, "big")


def told(data: Any, at: int, length: int = 4) -> int:
    if at < 0 or at + length > len(data):
        raise ValueError("a box is cut")
    return int.from_bytes(data[at : at + length], "big")


# --- a sealed file --------------------------------------------------------------------------------


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """32 bytes (RFC 5869, SHA-256)."""
    inner = hmac.new(salt or bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(inner, info + b"\1", hashlib.sha256).digest()


def cipher_of(head: bytes, key: bytes) -> Any:
    """Of header and nonce, as the ledger names them. Raises `ValueError` for another key."""
    header, nonce = head[:-NONCE], head[-NONCE:]
    signed, mark, mac = header.rpartition(b"\n--- ")
    right = hmac.new(hkdf(key, b"", b"header"), signed + b"\n---", hashlib.sha256).digest()
    if not mark or len(key) != 16 or mac != base64.b64encode(right).rstrip(b"=") + b"\n":
        raise ValueError("its key is not that of the file")
    return ChaCha20Poly1305(hkdf(key, nonce, b"payload"))


class Opened:
    """What a sealed file holds: pieces of plaintext with gaps between them."""

    def __init__(self, data: bytes, head: bytes, key: bytes) -> None:
        cipher = cipher_of(head, key)
        self.pieces, self.first, self.ended, gap = [bytearray()], 0, False, False
        for counter, at in enumerate(range(len(head), len(data), CHUNK + TAG)):
            last = at + CHUNK + TAG >= len(data)
            plain = self.chunk(cipher, counter, data[at : at + CHUNK + TAG], last)
            if plain is None and not gap:
                self.pieces.append(bytearray())
            gap = plain is None
            self.pieces[-1] += plain or b""
            self.first = self.first or len(plain or b"")
        self.whole = self.ended and len(self.pieces) == 1

    def chunk(self, cipher: Any, counter: int, sealed: bytes, last: bool) -> bytes | None:
        for end in (b"\1", b"\0") if last else (b"\0", b"\1"):
            try:
                plain = bytes(cipher.decrypt(number(counter, 11) + end, sealed, None))
            except (InvalidTag, ValueError):
                continue
            short = end == b"\0" and len(plain) != CHUNK
            if short or (end == b"\1" and not plain and counter):
                return None
            self.ended = end == b"\1"
            return plain
        return None

    def sha256(self) -> str:
        return hashlib.sha256(b"".join(self.pieces)).hexdigest()


# --- boxes of a segment ---------------------------------------------------------------------------


def plain_boxes(data: Any, at: int, end: int) -> Iterator[Box]:
    while at + 8 <= end:
        size = told(data, at)
        if size < 8:
            raise ValueError("a box of a size that can't be")
        yield bytes(data[at + 4 : at + 8]), at, min(at + size, end), at + size <= end
        at += size


def few(data: Any, box: Box) -> list[Box]:
    found = list(itertools.islice(plain_boxes(data, box[1] + 8, box[2]), WITHIN + 1))
    if len(found) > WITHIN:
        raise ValueError("too many boxes")
    return found


class Start:
    """How a segment begins: `ftyp` and `moov`, the rate of its sound, when it begins."""

    def __init__(self, data: bytes) -> None:
        first = {kind: (start, end) for kind, start, end, whole in plain_boxes(data, 0, len(data))
                 if whole}  # fmt: skip
        (a, b), (c, d), (e, f) = first[b"ftyp"], first[b"moov"], first[b"uuid"]
        if data[e + 8 : e + 24] != OURS:
            raise ValueError("another box")
        self.began = int(json.loads(data[e + 24 : f])["first_pts_ns"])
        self.data = data[a:b] + data[c:d]
        self.rate = self.sound(data, c + 8, d)

    @staticmethod
    def sound(data: bytes, at: int, end: int) -> int:
        for trak in (box for box in plain_boxes(data, at, end) if box[0] == b"trak"):
            inner = {box[0]: box for box in plain_boxes(data, trak[1] + 8, trak[2])}
            mdia = inner[b"mdia"]
            parts = {box[0]: box for box in plain_boxes(data, mdia[1] + 8, mdia[2])}
            if told(data, inner[b"tkhd"][1] + 20) == 2:
                return told(data, parts[b"mdhd"][1] + 20)
        raise ValueError("no sound")


class Run:
    """One track of a fragment. `where`: of its first sample."""

    def __init__(self, data: Any, moof: Box, traf: Box) -> None:
        inner = {kind: (start + 8, end) for kind, start, end, _ in few(data, traf)}
        self.track = told(data, inner[b"tfhd"][0] + 4)
        if self.track not in (1, 2):
            raise ValueError("another track")
        self.time = told(data, inner[b"tfdt"][0] + 4, 8)
        at = inner[b"trun"][0]
        count, self.where = told(data, at + 4), moof[1] + told(data, at + 8)
        columns = 3 if self.track == 1 else 2
        if at + 12 + 4 * columns * count > traf[2]:
            raise ValueError("a run that is longer than its box")
        row = [told(data, at + 12 + 4 * n) for n in range(columns * count)]
        self.lasts, self.sizes = row[0::columns], row[1::columns]
        self.keys = [flag == KEYFRAME for flag in row[2::3]] if columns == 3 else [True] * count


def runs_of(data: Any, moof: Box) -> list[Run]:
    if moof[2] - moof[1] > MOOF:
        raise ValueError("a fragment's description is too long")
    trafs = [box for box in few(data, moof) if box[0] == b"traf"]
    if len(trafs) > 2:
        raise ValueError("too many runs")
    found = [Run(data, moof, traf) for traf in trafs]
    if len({run.track for run in found}) != len(found):
        raise ValueError("two runs of a track")
    return found


def fragments_of(opened: Opened) -> Iterator[tuple[Any, Box, Box]]:
    """Of each piece; behind a gap from the first fragment on that is one."""
    for nth, data in enumerate(opened.pieces):
        at: int | None = 0 if nth == 0 else first_fragment(data)
        moof = None
        while at is not None and at + 8 <= len(data):
            box = next(plain_boxes(data, at, len(data)))
            kind, _, end, whole = box
            if whole and kind == b"moof":
                moof = box
            elif kind == b"mdat" and moof is not None:
                yield data, moof, box
                moof = None
            if not whole:
                break
            at = end


def first_fragment(data: Any) -> int | None:
    at = data.find(b"moof", 4)
    while at >= 0:
        size, start = told(data, at - 4), at - 4
        if 8 <= size <= MOOF:
            if start + size + 8 > len(data):
                return None
            try:
                if data[start + size + 4 : start + size + 8] == b"mdat" and runs_of(
                    data, (b"moof", start, start + size, True)
                ):
                    return int(start)
            except (ValueError, KeyError):
                pass
        at = data.find(b"moof", at + 1)
    return None


# --- the film -------------------------------------------------------------------------------------


class Track:
    """Times in ticks from the film's start, sizes, keyframes (from 1), and chunks: where each
    begins among the samples, and how many it has."""

    def __init__(self, nth: int, rate: int) -> None:
        self.nth, self.rate, self.end, self.middle = nth, rate, 0, -1
        self.times, self.sizes, self.keys = list[int](), list[int](), list[int]()
        self.chunks = list[tuple[int, int]]()

    def add(self, place: int, time: int, lasts: list[int], sizes: list[int], keys: Any) -> None:
        if time < 0 or (self.times and not 0 <= time - self.times[-1] < 1 << 32):
            raise ValueError("a sample that no film has room for")
        before = len(self.sizes)
        *times, self.end = itertools.accumulate(lasts, initial=time)
        if self.end >= 1 << 64:
            raise ValueError("a sample that no film has room for")
        self.times += times
        self.sizes += sizes
        self.keys += [before + n for n, key in enumerate(keys, 1) if key]
        self.chunks.append((place, len(sizes)))

    def movie(self, ticks: int) -> int:
        return (ticks * 1_000_000 + self.rate // 2) // self.rate


class WholeFilm:
    """A film: its tables, and the digest of its samples."""

    def __init__(self, start: Start, room: int) -> None:
        self.start, self.room = start, room
        self.tracks = {1: Track(1, 1_000_000), 2: Track(2, start.rate)}
        self.samples, self.length = hashlib.sha256(), 0

    def mark(self) -> Any:
        kept = [(t, len(t.times), len(t.keys), len(t.chunks), t.end, t.middle)
                for t in self.tracks.values()]  # fmt: skip
        return self.samples.copy(), self.length, kept

    def go_back(self, mark: Any) -> None:
        self.samples, self.length, kept = mark
        for track, samples, keys, chunks, track.end, track.middle in kept:
            del track.times[samples:], track.sizes[samples:], track.keys[keys:]
            del track.chunks[chunks:]

    def add(self, data: Any, moof: Box, mdat: Box, offset: int) -> None:
        """A fragment of a segment that begins at `offset` ns: in one piece, or sample by sample
        where it is cut, or repeats what was written before."""
        runs = runs_of(data, moof)
        fresh = all(self.when(run, run.time, offset) > self.tracks[run.track].middle
                    for run in runs)  # fmt: skip
        if not (mdat[3] and fresh):
            self.one_by_one(data, runs, mdat, offset)
            return
        media = mdat[1] + 8
        for run in (run for run in runs if run.sizes):
            if not media <= run.where <= mdat[2] - sum(run.sizes):
                raise ValueError("samples outside their box")
            track, end = self.tracks[run.track], run.time + sum(run.lasts)
            time = run.time + (offset * track.rate + SECOND // 2) // SECOND
            track.add(self.length + run.where - media, time, run.lasts, run.sizes, run.keys)
            last = self.when(run, end - run.lasts[-1], offset)
            track.middle = (last + self.when(run, end, offset)) // 2
        self.write(data[media : mdat[2]])

    def one_by_one(self, data: Any, runs: list[Run], mdat: Box, offset: int) -> None:
        units = list[Any]()
        for run in runs:
            rate, time, place = self.tracks[run.track].rate, run.time, run.where
            for lasts, size, key in zip(run.lasts, run.sizes, run.keys, strict=True):
                if place + size > mdat[2]:
                    break
                begin, end = (
                    (t * SECOND + rate // 2) // rate + offset for t in (time, time + lasts)
                )
                units.append((begin, end, run.track, key, bytes(data[place : place + size])))
                time, place = time + lasts, place + size
        for begin, end, nth, key, sample in sorted(units, key=lambda unit: unit[0]):
            track = self.tracks[nth]
            if begin <= track.middle:
                continue
            first, until = ((t * track.rate + SECOND // 2) // SECOND for t in (begin, end))
            track.add(self.length, first, [until - first], [len(sample)], [key])
            self.write(sample)
            track.middle = (begin + end) // 2

    def when(self, run: Run, ticks: int, offset: int) -> int:
        return offset + ticks * SECOND // self.tracks[run.track].rate

    def write(self, data: Any) -> None:
        self.samples.update(data)
        self.length += len(data)

    # --- what stands in front of the samples ---

    def head(self) -> bytes:
        tracks = [track for track in self.tracks.values() if track.sizes]
        mdat = number(self.length + 8) + b"mdat" if self.length + 8 < 1 << 32 else (
            number(1) + b"mdat" + number(self.length + 16, 8)
        )  # fmt: skip
        around = len(FTYP) + len(mdat)
        length = around + len(self.moov(tracks, 0, 8))
        width = 8 if max(self.room, length) + self.length >= 1 << 32 else 4
        length = length if width == 8 else around + len(self.moov(tracks, 0, 4))
        free = b""
        if self.room - length >= 8:
            free = boxed(b"free", bytes(self.room - length - 8))
        return FTYP + self.moov(tracks, length + len(free), width) + free + mdat

    def moov(self, tracks: list[Track], media: int, width: int) -> bytes:
        data = self.start.data
        moov = child(data, (b"", -8, len(data), True), b"moov")
        inner = [box for box in plain_boxes(data, moov[1] + 8, moov[2]) if box[0] == b"trak"]
        traks = {told(data, child(data, box, b"tkhd")[1] + 20): box for box in inner}
        lasts = max((track.movie(track.end) for track in tracks), default=0)
        mvhd = full(b"mvhd", 1, 0, bytes(16), number(1_000_000), number(lasts, 8), number(0x10000),
                    number(0x0100, 2), bytes(10), UNITY, bytes(24), number(3))  # fmt: skip
        made = [trak(data, traks[track.nth], track, media, width) for track in tracks]
        return boxed(b"moov", mvhd, *made)


def boxed(kind: bytes, *parts: bytes) -> bytes:
    inside = b"".join(parts)
    return number(8 + len(inside)) + kind + inside


def full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return boxed(kind, number(version << 24 | flags), *parts)


def child(data: bytes, parent: Box, kind: bytes) -> Box:
    for box in plain_boxes(data, parent[1] + 8, parent[2]):
        if box[0] == kind:
            return box
    raise ValueError("a box is missing")


def raw(data: bytes, box: Box) -> bytes:
    return data[box[1] : box[2]]


def trak(data: bytes, source: Box, track: Track, media: int, width: int) -> bytes:
    start, end = track.times[0], track.end
    begin = track.movie(start)
    length = track.movie(end) - begin
    tkhd = raw(data, child(data, source, b"tkhd"))[12 + 20 :]
    header = bytes(16) + number(track.nth) + bytes(4) + number(begin + length, 8) + tkhd
    edits = [number(length, 8) + bytes(8) + number(0x10000)]
    if begin:
        edits.insert(0, number(begin, 8) + b"\xff" * 8 + number(0x10000))
    mdia = child(data, source, b"mdia")
    minf = child(data, mdia, b"minf")
    mdhd = full(b"mdhd", 1, 0, bytes(16), number(track.rate), number(end - start, 8),
                number(0x55C4, 2), bytes(2))  # fmt: skip
    others = [raw(data, box) for box in plain_boxes(data, minf[1] + 8, minf[2])
              if box[0] != b"stbl"]  # fmt: skip
    stsd = raw(data, child(data, child(data, minf, b"stbl"), b"stsd"))
    stbl = boxed(b"stbl", stsd, *tables(track, media, width))
    return boxed(
        b"trak",
        full(b"tkhd", 1, 7, header),
        boxed(b"edts", full(b"elst", 1, 0, number(len(edits)), *edits)),
        boxed(b"mdia", mdhd, raw(data, child(data, mdia, b"hdlr")), boxed(b"minf", *others, stbl)),
    )


def tables(track: Track, media: int, width: int) -> list[bytes]:
    lasts = [b - a for a, b in itertools.pairwise([*track.times, track.end])]
    times = [(len(list(same)), lasting) for lasting, same in itertools.groupby(lasts)]
    made = [full(b"stts", 0, 0, number(len(times)), *(number(a) + number(b) for a, b in times))]
    if len(track.keys) < len(track.sizes):
        made.append(full(b"stss", 0, 0, number(len(track.keys)), *map(number, track.keys)))
    first, rows = 1, list[bytes]()
    for count, same in itertools.groupby(count for _, count in track.chunks):
        rows.append(number(first) + number(count) + number(1))
        first += len(list(same))
    made.append(full(b"stsc", 0, 0, number(len(rows)), *rows))
    sizes = number(len(track.sizes))
    made.append(full(b"stsz", 0, 0, number(0), sizes, *map(number, track.sizes)))
    places = [number(media + place, width) for place, _ in track.chunks]
    kind = b"co64" if width == 8 else b"stco"
    made.append(full(kind, 0, 0, number(len(places)), *places))
    return made


# --- a recording ----------------------------------------------------------------------------------


class Original:
    """A sealed file, what the ledger says of it, and its key (b"" where none is given). Without a
    path it is not there."""

    def __init__(
        self, name: str, path: pathlib.Path | None, claim: dict[str, Any], key: bytes
    ) -> None:
        self.name, self.path, self.claim, self.key = name, path, claim, key


def room_of(claims: list[dict[str, Any]], size: int) -> int:
    """Bytes that a film leaves for its head."""
    starts = [claim["began"] for claim in claims if claim.get("began") is not None]
    longest = max((b - a for a, b in itertools.pairwise(starts)), default=60 * SECOND)
    seconds = (max(starts, default=0) - min(starts, default=0) + longest) // SECOND + 1
    room = 4096 + 16 * seconds * 110 + 20 * seconds * 10
    return min(MOST_ROOM, -(-min(room, LEAST_ROOM + size // 4) // PAGE) * PAGE)


def films_of(recording: str, originals: list[Original]) -> Iterator[tuple[str, bytes, str, int]]:
    """Each film that comes out: its name, its head, the digest of its samples and their length.
    A segment that can't be used is left out, whole."""
    originals = [o for o in originals if o.claim["recording"] == recording]
    sizes = [original.path.stat().st_size for original in originals if original.path]
    room = room_of([original.claim for original in originals], sum(sizes))
    film: WholeFilm | None = None
    count = 0
    for original in originals:
        if ".jpg." in original.name or original.path is None:
            continue
        made, mark = film, film.mark() if film else None
        try:
            made = with_segment(film, original, room)
        except (ValueError, KeyError, ArithmeticError, TypeError):
            if film is not None:
                film.go_back(mark)
            continue
        if film is not None and made is not film:
            count += 1
            yield finished(recording, count, film)
        film = made
    if film is not None:
        yield finished(recording, count + 1, film)


def finished(recording: str, nth: int, film: WholeFilm) -> tuple[str, bytes, str, int]:
    name = f"{recording}.mp4" if nth == 1 else f"{recording}.{nth}.mp4"
    return name, film.head(), film.samples.hexdigest(), film.length


def with_segment(film: WholeFilm | None, original: Original, room: int) -> WholeFilm:
    """The film with one segment more: the same, or another where the format changes."""
    data = original.path.read_bytes() if original.path else b""
    opened = Opened(data, original.claim["head"], original.key)
    if opened.first < SHORTEST:
        raise ValueError("cut off before its first picture")
    start = Start(bytes(opened.pieces[0][: min(opened.first, INIT)]))
    given = original.claim.get("plaintext_sha256")
    if given and not (opened.whole and opened.sha256() == given):
        raise ValueError("what is inside is not what the ledger says")
    if film is None or film.start.data != start.data:
        film = WholeFilm(start, room)
    any_at_all = False
    for data, moof, mdat in fragments_of(opened):
        film.add(data, moof, mdat, start.began - film.start.began)
        any_at_all = True
    if not any_at_all:
        raise ValueError("cut off before its first picture")
    return film


# --- a film without its manifest ------------------------------------------------------------------


def film_boxes(film: Any, at: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, start, where its content begins, end."""
    while at < end:
        size, head = told(film, at), 8
        kind = bytes(film[at + 4 : at + 8])
        if size == 1 and at + 16 <= end:
            size, head = told(film, at + 8, 8), 16
        if at + 8 > end or size < head or at + size > end:
            raise ValueError("its boxes are damaged")
        yield kind, at, at + head, at + size
        at += size


def is_made_of(film: Any, head: bytes, samples: str, length: int) -> bool:
    """Whether a film, without its manifest, is these bytes and then samples of this digest."""
    digest, at = hashlib.sha256(), 0
    for part in bare(film):
        for begin in range(0, len(part), 1 << 20):
            block = part[begin : begin + (1 << 20)]
            front = head[at : at + len(block)]
            if block[: len(front)] != front:
                return False
            digest.update(block[len(front) :])
            at += len(block)
    return at == len(head) + length and digest.hexdigest() == samples


def bare(film: Any) -> Iterator[Any]:
    found = list(film_boxes(film, 0, len(film)))
    ours = [b for b in found if b[0] == b"uuid" and film[b[2] : b[2] + 16] == MANIFEST][:1]
    view = memoryview(film)
    for box in found:
        if box in ours:
            continue
        if ours and box[0] == b"mdat" and box[1] < ours[0][1]:
            raise ValueError("its manifest stands behind the samples")
        if ours and box[0] == b"moov":
            moov = bytearray(view[box[1] : box[3]])
            lowered(moov, box[2] - box[1], len(moov), ours[0][3] - ours[0][1], 0)
            yield moov
        else:
            yield view[box[1] : box[3]]


def lowered(moov: bytearray, at: int, end: int, by: int, depth: int) -> None:
    """Chunk offsets as they were before the manifest came in front of the samples."""
    if depth > 4:
        raise ValueError("its boxes are too deep")
    for kind, _, inside, stop in list(film_boxes(moov, at, end)):
        if kind in (b"trak", b"mdia", b"minf", b"stbl"):
            lowered(moov, inside, stop, by, depth + 1)
        elif kind in (b"stco", b"co64"):
            width = 4 if kind == b"stco" else 8
            count = told(moov, inside + 4)
            if inside + 8 + width * count > stop:
                raise ValueError("its chunk offsets are cut")
            for place in range(inside + 8, inside + 8 + width * count, width):
                moov[place : place + width] = number(told(moov, place, width) - by, width)
