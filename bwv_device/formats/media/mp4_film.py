"""Plain MP4 (ISO/IEC 14496-12): one `moov` in front, then all samples.

Segments are fragmented, because a camera can't know what comes. Films are not: players take the
length of a fragmented film from what they have read of it, and are seconds off where sound begins
later than pictures. Here every sample's time stands in the tables, and an edit list says when a
track begins.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, chain, groupby, pairwise

from bwv_device.formats.media.mp4_reader import BOX_HEADER, Box, boxes
from bwv_device.formats.media.mp4_writer import VIDEO_TRACK, box
from hal.ports import SECOND_NS, AccessUnit, Track

MOVIE_TIMESCALE = 1_000_000
STCO_LIMIT = 1 << 32
FTYP = box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isom", b"iso2", b"avc1", b"mp41")
_UNITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


class TrackTables:
    """What a film holds of one track: times in the track's timescale from the film's start,
    positions within the samples' box. Columns of plain numbers: an hour has 300,000 samples."""

    def __init__(self, number: int, timescale: int) -> None:
        self.number, self.timescale = number, timescale
        self.times, self.sizes = array("Q"), array("I")
        # Numbers of samples that are keyframes, counted from 1.
        self.keyframes = array("I")
        # Chunks are samples that lie one behind the other.
        self.chunk_offsets, self.chunk_samples = array("Q"), array("I")
        self.end = 0

    def add_chunk(
        self,
        offset: int,
        time: int,
        durations: Sequence[int],
        sizes: Sequence[int],
        keyframes: Sequence[bool],
    ) -> None:
        if self.times and not 0 <= time - self.times[-1] < 1 << 32:
            raise ValueError("a sample that no film has room for")
        number = len(self.sizes) + 1
        *times, self.end = accumulate(durations, initial=time)
        self.times.extend(times)
        self.sizes.extend(sizes)
        self.keyframes.extend(n for n, key in enumerate(keyframes, number) if key)
        self.chunk_offsets.append(offset)
        self.chunk_samples.append(len(sizes))

    def forget_after(self, chunks: int, end: int) -> None:
        """As if only the first `chunks` chunks had been added; they ended at `end`."""
        del self.chunk_offsets[chunks:], self.chunk_samples[chunks:]
        samples = sum(self.chunk_samples)
        del self.times[samples:], self.sizes[samples:]
        del self.keyframes[bisect_right(self.keyframes, samples) :]
        self.end = end


def film_head(
    init: bytes, tracks: Sequence[TrackTables], media_length: int, room: int = 0
) -> bytes:
    """Everything before the samples: `ftyp`, `moov` and the header of an `mdat` with so many bytes.
    `init` is the start of a segment, from which codecs and dimensions are taken. The head is padded
    to `room` bytes by a `free` box where it is shorter."""
    used = [track for track in tracks if track.sizes]
    mdat = _mdat_header(media_length)
    # The tables hold positions in the file. Those depend on the length of the tables, which does
    # not depend on what they hold, but on how wide a position is.
    around = len(FTYP) + len(mdat)
    longest = around + len(_moov(init, used, 0, wide=True))
    wide = max(room, longest) + media_length >= STCO_LIMIT
    length = longest if wide else around + len(_moov(init, used, 0, wide=False))
    padding = b""
    if room - length >= BOX_HEADER:
        padding = box(b"free", bytes(room - length - BOX_HEADER))
    moov = _moov(init, used, length + len(padding), wide=wide)
    return FTYP + moov + padding + mdat


def head_room(samples: int, chunks: int) -> int:
    """Bytes that the head of a film of so many samples has at most, each time and size different
    from the one before."""
    return 4096 + 16 * samples + 20 * chunks


def _mdat_header(length: int) -> bytes:
    if length + BOX_HEADER < 1 << 32:
        return struct.pack(">I4s", length + BOX_HEADER, b"mdat")
    return struct.pack(">I4sQ", 1, b"mdat", length + 16)


def _moov(init: bytes, tracks: list[TrackTables], media_at: int, *, wide: bool) -> bytes:
    traks = {_number(init, trak): trak for trak in _children(init, _child(init, None, b"moov"))
             if trak.kind == b"trak"}  # fmt: skip
    duration = max((_movie_time(track, track.end) for track in tracks), default=0)
    times = struct.pack(">QQIQ", 0, 0, MOVIE_TIMESCALE, duration)
    rate = struct.pack(">IHH8x", 0x10000, 0x100, 0)
    mvhd = _full(b"mvhd", 1, 0, times, rate, _UNITY, bytes(24), struct.pack(">I", 3))
    made = [_trak(init, traks[track.number], track, media_at, wide=wide) for track in tracks]
    return box(b"moov", mvhd, *made)


def _trak(init: bytes, trak: Box, track: TrackTables, media_at: int, *, wide: bool) -> bytes:
    start, end = track.times[0], track.end
    begin, length = _movie_time(track, start), _movie_time(track, end) - _movie_time(track, start)
    tkhd = _body(init, _child(init, trak, b"tkhd"))  # version 0: times, number, reserved, duration
    header = struct.pack(">QQIIQ", 0, 0, track.number, 0, begin + length) + tkhd[20:]
    edits = [(length, 0)]
    if begin:
        edits.insert(0, (begin, -1))  # an empty edit: nothing of this track until then
    elst = b"".join(struct.pack(">QqI", lasts, media, 0x10000) for lasts, media in edits)
    mdia = _child(init, trak, b"mdia")
    mdhd = struct.pack(">QQIQHH", 0, 0, track.timescale, end - start, 0x55C4, 0)
    minf = _child(init, mdia, b"minf")
    media = [_raw(init, part) for part in _children(init, minf) if part.kind != b"stbl"]
    stsd = _raw(init, _child(init, _child(init, minf, b"stbl"), b"stsd"))
    stbl = box(b"stbl", stsd, *_tables(track, media_at, wide=wide))
    return box(
        b"trak",
        _full(b"tkhd", 1, 7, header),
        box(b"edts", _full(b"elst", 1, 0, struct.pack(">I", len(edits)), elst)),
        box(
            b"mdia",
            _full(b"mdhd", 1, 0, mdhd),
            _raw(init, _child(init, mdia, b"hdlr")),
            box(b"minf", *media, stbl),
        ),
    )


def _tables(track: TrackTables, media_at: int, *, wide: bool) -> list[bytes]:
    """Durations, keyframes, sizes, places. A sample before a hole lasts until the next begins."""
    lasts = (after - at for at, after in pairwise(chain(track.times, [track.end])))
    runs = [(sum(1 for _ in same), duration) for duration, same in groupby(lasts)]
    tables = [_table(b"stts", len(runs), *(struct.pack(">II", *run) for run in runs))]
    if len(track.keyframes) < len(track.sizes):
        tables.append(_table(b"stss", len(track.keyframes), _packed(track.keyframes)))
    first, rows = 1, []
    for count, same in groupby(track.chunk_samples):
        rows.append(struct.pack(">III", first, count, 1))
        first += sum(1 for _ in same)
    tables.append(_table(b"stsc", len(rows), *rows))
    sizes = struct.pack(">I", len(track.sizes)) + _packed(track.sizes)
    tables.append(_table(b"stsz", 0, sizes))
    places = array("Q" if wide else "I", (media_at + at for at in track.chunk_offsets))
    tables.append(_table(b"co64" if wide else b"stco", len(places), _packed(places)))
    return tables


def _table(kind: bytes, count: int, *rows: bytes) -> bytes:
    return _full(kind, 0, 0, struct.pack(">I", count), *rows)


def _packed(column: array[int]) -> bytes:
    """Most significant byte first, as MP4 has it."""
    swapped = array(column.typecode, column)
    if sys.byteorder == "little":
        swapped.byteswap()
    return swapped.tobytes()


def _movie_time(track: TrackTables, ticks: int) -> int:
    return (ticks * MOVIE_TIMESCALE + track.timescale // 2) // track.timescale


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


# --- boxes of a segment's start ----------------------------------------------------------------


def _children(data: bytes, parent: Box | None) -> list[Box]:
    if parent is None:
        return list(boxes(data))
    return list(boxes(data, parent.start + BOX_HEADER, parent.end))


def _child(data: bytes, parent: Box | None, kind: bytes) -> Box:
    found = next((part for part in _children(data, parent) if part.kind == kind), None)
    if found is None:
        raise ValueError(f"there is no {kind.decode()} box")
    return found


def _raw(data: bytes, part: Box) -> bytes:
    return data[part.start : part.end]


def _body(data: bytes, part: Box) -> bytes:
    """Of a full box: what stands behind version and flags."""
    return data[part.start + BOX_HEADER + 4 : part.end]


def _number(data: bytes, trak: Box) -> int:
    return int(struct.unpack_from(">I", _body(data, _child(data, trak, b"tkhd")), 8)[0])


# --- reading a film back -----------------------------------------------------------------------


def read_film(data: bytes) -> list[AccessUnit]:
    """The samples of a film, in order of time, with times in nanoseconds since its start."""
    moov = _child(data, None, b"moov")
    found: list[AccessUnit] = []
    for trak in (part for part in _children(data, moov) if part.kind == b"trak"):
        track = Track.VIDEO if _tkhd_number(data, trak) == VIDEO_TRACK else Track.AUDIO
        found += _read_track(data, trak, track)
    return sorted(found, key=lambda unit: unit.pts_ns)


def _read_track(data: bytes, trak: Box, track: Track) -> list[AccessUnit]:
    mdia = _child(data, trak, b"mdia")
    rate = int(struct.unpack_from(">I", _body(data, _child(data, mdia, b"mdhd")), 16)[0])
    stbl = _child(data, _child(data, mdia, b"minf"), b"stbl")
    tables = {part.kind: _body(data, part) for part in _children(data, stbl)}
    sizes = _numbers(tables[b"stsz"][4:], "I")
    wide = b"co64" in tables
    places = _numbers(tables[b"co64" if wide else b"stco"], "Q" if wide else "I")
    keys = set(_numbers(tables[b"stss"], "I")) if b"stss" in tables else None
    lasts: list[int] = []
    for count, duration in _rows(tables[b"stts"], 2):
        lasts += [duration] * count
    edits = _body(data, _child(data, _child(data, trak, b"edts"), b"elst"))
    first_ns = 0
    for at in range(4, len(edits), 20):
        length, media = struct.unpack_from(">Qq", edits, at)
        first_ns += length * SECOND_NS // MOVIE_TIMESCALE if media < 0 else 0
    units, number, time = list[AccessUnit](), 0, 0
    runs = _rows(tables[b"stsc"], 3)
    for index, place in enumerate(places, 1):
        count = next(samples for first, samples, _ in reversed(runs) if first <= index)
        for _ in range(count):
            size, lasting = sizes[number], lasts[number]
            start_ns, end_ns = (t * SECOND_NS // rate for t in (time, time + lasting))
            key = keys is None or number + 1 in keys
            sample = data[place : place + size]
            units.append(AccessUnit(track, first_ns + start_ns, end_ns - start_ns, key, sample))
            place, number, time = place + size, number + 1, time + lasting  # noqa: PLW2901
    return units


def _tkhd_number(data: bytes, trak: Box) -> int:
    return int(struct.unpack_from(">I", _body(data, _child(data, trak, b"tkhd")), 16)[0])


def _numbers(table: bytes, kind: str) -> list[int]:
    (count,) = struct.unpack_from(">I", table)
    return list(struct.unpack_from(f">{count}{kind}", table, 4))


def _rows(table: bytes, width: int) -> list[tuple[int, ...]]:
    (count,) = struct.unpack_from(">I", table)
    return [struct.unpack_from(f">{width}I", table, 4 + 4 * width * n) for n in range(count)]
