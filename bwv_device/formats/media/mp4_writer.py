"""Fragmented MP4 (ISO/IEC 14496-12, -14, -15), written without looking ahead.

Bytes are a pure function of the units: no clock, no library version, so a vault has the same
digest wherever it is written. Why not a library: docs/decisions/0003-own-fragment-writer.md.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import NamedTuple

from bwv_device.formats.media.h264 import ParameterSets, without_parameter_sets
from hal.ports import SECOND_NS, AccessUnit, AudioFormat, Track, VideoFormat

VIDEO_TIMESCALE = 1_000_000
VIDEO_TRACK, AUDIO_TRACK = 1, 2
METADATA_UUID = bytes.fromhex("b0d7c0de5e1f4a0c9a3e62776d657461")

SYNC_SAMPLE = 0x02000000
DIFFERENCE_SAMPLE = 0x01010000
TFHD_DEFAULT_BASE_IS_MOOF = 0x020000
TFHD_DEFAULT_FLAGS = 0x000020
TRUN_OFFSET, TRUN_DURATION, TRUN_SIZE, TRUN_FLAGS = 0x1, 0x100, 0x200, 0x400
FREE_HEADER = 8

_UNITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


class Fragment(NamedTuple):
    """One moof with its mdat. The pictures are the last bytes of `data`, `sizes` theirs."""

    data: bytes
    audio: list[AccessUnit]
    video: list[AccessUnit]
    sizes: list[int]

    @property
    def start_ns(self) -> int:
        return min(unit.pts_ns for unit in (*self.audio[:1], *self.video[:1]))

    @property
    def end_ns(self) -> int:
        return max(unit.end_ns for unit in (*self.audio[-1:], *self.video[-1:]))


class FragmentWriter:
    """Units of one segment in, fragments out. Times count from the first unit or `origin_ns`."""

    def __init__(self, audio_rate_hz: int, fragment_ns: int, origin_ns: int | None = None) -> None:
        self._rates = (VIDEO_TIMESCALE, audio_rate_hz)
        self._fragment_ns = fragment_ns
        self._origin_ns = origin_ns
        self.sequence = 0
        self._samples: tuple[list[AccessUnit], list[AccessUnit]] = ([], [])

    def feed(self, unit: AccessUnit) -> list[Fragment]:
        """Takes a unit, in order of capture. A fragment ends when it is long enough, and before
        every keyframe that would make it longer."""
        done: list[Fragment] = []
        video, track = self._samples[Track.VIDEO], unit.track
        if self._origin_ns is None:
            self._origin_ns = unit.pts_ns
        if video and track is Track.VIDEO and unit.keyframe:
            done += self.flush()
            video = self._samples[Track.VIDEO]
        samples = self._samples[track]
        samples.append(unit)
        # Pictures set the measure; sound only where they are missing or have stopped coming.
        limit_ns = self._fragment_ns if track is Track.VIDEO or not video else 2 * self._fragment_ns
        # Half a frame early: real frames jitter around the boundary.
        if unit.pts_ns + unit.duration_ns // 2 * 3 - samples[0].pts_ns >= limit_ns:
            done += self.flush()
        return done

    def flush(self) -> list[Fragment]:
        """What waits as a fragment, however short."""
        video, audio = self._samples
        if self._origin_ns is None or not (video or audio):
            return []
        self._samples = ([], [])
        self.sequence += 1
        # Sound first: what waits for the last chunk to fill is then the newest pictures only.
        runs = [
            _Run(AUDIO_TRACK, audio, [unit.data for unit in audio], self._rates[Track.AUDIO]),
            _Run(VIDEO_TRACK, video, _samples(video), self._rates[Track.VIDEO]),
        ]
        runs = [run for run in runs if run.units]
        samples = [sample for run in runs for sample in run.samples]
        mdat = struct.pack(">I4s", 8 + sum(map(len, samples)), b"mdat")
        # One join: each copy of the samples costs as much as sealing them.
        data = b"".join((_moof(self.sequence, runs, self._origin_ns), mdat, *samples))
        return [Fragment(data, audio, video, [len(sample) for sample in runs[-1].samples])]


def init_segment(
    video: VideoFormat, sets: ParameterSets, audio: AudioFormat, metadata: bytes
) -> bytes:
    """ftyp, moov and a uuid box with the metadata (canonical JSON)."""
    return (
        box(b"ftyp", b"iso6", struct.pack(">I", 1), b"iso6", b"mp41", b"avc1")
        + box(
            b"moov",
            _mvhd(),
            _video_trak(video, sets),
            _audio_trak(audio),
            box(b"mvex", _trex(VIDEO_TRACK), _trex(AUDIO_TRACK)),
        )
        + box(b"uuid", METADATA_UUID, metadata)
    )


def free_box(length: int) -> bytes:
    """A box of exactly `length` bytes that every reader skips; at least 8."""
    return struct.pack(">I4s", length, b"free") + bytes(length - FREE_HEADER)


def box(kind: bytes, *parts: bytes) -> bytes:
    return b"".join((struct.pack(">I4s", 8 + sum(map(len, parts)), kind), *parts))


# --- fragments ---------------------------------------------------------------------------------


class _Run(NamedTuple):
    number: int
    units: list[AccessUnit]
    samples: list[bytes]
    rate_hz: int

    def times(self, origin_ns: int) -> list[int]:
        """Decode times in the track's timescale, one more than there are units."""
        rate, half = self.rate_hz, SECOND_NS // 2
        pts = [((unit.pts_ns - origin_ns) * rate + half) // SECOND_NS for unit in self.units]
        return [*pts, ((self.units[-1].end_ns - origin_ns) * rate + half) // SECOND_NS]


def _samples(units: list[AccessUnit]) -> list[bytes]:
    return [without_parameter_sets(unit.data) if unit.keyframe else unit.data for unit in units]


def _moof(sequence: int, runs: list[_Run], origin_ns: int) -> bytes:
    mfhd = _full(b"mfhd", 0, 0, struct.pack(">I", sequence))
    size = 8 + len(mfhd) + sum(_traf_length(run) for run in runs)
    offset = size + 8  # the mdat's own header
    trafs = []
    for run in runs:
        trafs.append(_traf(run, origin_ns, offset))
        offset += sum(map(len, run.samples))
    return box(b"moof", mfhd, *trafs)


def _traf_length(run: _Run) -> int:
    per_sample = 12 if run.number == VIDEO_TRACK else 8
    return 8 + 20 + 20 + 20 + per_sample * len(run.units)


def _traf(run: _Run, origin_ns: int, offset: int) -> bytes:
    times = run.times(origin_ns)
    durations = [after - at for at, after in pairwise(times)]
    sizes = map(len, run.samples)
    rows: list[int] = []
    flags = TRUN_OFFSET | TRUN_DURATION | TRUN_SIZE
    if run.number == VIDEO_TRACK:
        flags |= TRUN_FLAGS
        kinds = [SYNC_SAMPLE if unit.keyframe else DIFFERENCE_SAMPLE for unit in run.units]
        for row in zip(durations, sizes, kinds, strict=True):
            rows += row
    else:
        for pair in zip(durations, sizes, strict=True):
            rows += pair
    header = struct.pack(">II", run.number, SYNC_SAMPLE)
    return box(
        b"traf",
        _full(b"tfhd", 0, TFHD_DEFAULT_BASE_IS_MOOF | TFHD_DEFAULT_FLAGS, header),
        _full(b"tfdt", 1, 0, struct.pack(">Q", times[0])),
        _full(b"trun", 0, flags, struct.pack(f">II{len(rows)}I", len(run.units), offset, *rows)),
    )


# --- init segment ------------------------------------------------------------------------------


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _mvhd() -> bytes:
    times = struct.pack(">4I", 0, 0, 1000, 0)
    rate = struct.pack(">IHH8x", 0x10000, 0x100, 0)
    return _full(b"mvhd", 0, 0, times, rate, _UNITY, bytes(24), struct.pack(">I", 3))


def _trak(number: int, volume: int, size: tuple[int, int], media: bytes) -> bytes:
    tkhd = struct.pack(">5I8xHHHH", 0, 0, number, 0, 0, 0, 0, volume, 0)
    width, height = size
    matrix = _UNITY + struct.pack(">II", width << 16, height << 16)
    return box(b"trak", _full(b"tkhd", 0, 7, tkhd, matrix), media)


def _mdia(timescale: int, handler: bytes, name: bytes, header: bytes, sample: bytes) -> bytes:
    language = 0x55C4  # "und"
    empty = struct.pack(">I", 0)
    tables = [_full(kind, 0, 0, empty) for kind in (b"stts", b"stsc")]
    tables += [_full(b"stsz", 0, 0, empty, empty), _full(b"stco", 0, 0, empty)]
    return box(
        b"mdia",
        _full(b"mdhd", 0, 0, struct.pack(">4IHH", 0, 0, timescale, 0, language, 0)),
        _full(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, handler), name + b"\x00"),
        box(
            b"minf",
            header,
            box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1))),
            box(b"stbl", _full(b"stsd", 0, 0, struct.pack(">I", 1), sample), *tables),
        ),
    )


def _video_trak(video: VideoFormat, sets: ParameterSets) -> bytes:
    resolution, depth = 0x480000, 0x18
    entry = struct.pack(">6xH16xHH", 1, video.width, video.height)
    entry += struct.pack(">IIIH32xHh", resolution, resolution, 0, 1, depth, -1)
    sample = box(b"avc1", entry, box(b"avcC", _decoder_configuration(sets)))
    vmhd = _full(b"vmhd", 0, 1, bytes(8))
    media = _mdia(VIDEO_TIMESCALE, b"vide", b"camera", vmhd, sample)
    return _trak(VIDEO_TRACK, 0, (video.width, video.height), media)


def _decoder_configuration(sets: ParameterSets) -> bytes:
    """AVCDecoderConfigurationRecord (14496-15, 5.3.3.1); High profiles end in 4:2:0, 8 bit."""
    profile = sets.sps[1:4]
    high = b"\xfd\xf8\xf8\x00" if profile[0] in (100, 110, 122, 144) else b""
    return (
        b"\x01" + profile + b"\xff\xe1" + struct.pack(">H", len(sets.sps)) + sets.sps
        + b"\x01" + struct.pack(">H", len(sets.pps)) + sets.pps + high
    )  # fmt: skip


def _audio_trak(audio: AudioFormat) -> bytes:
    rate = audio.sample_rate_hz
    entry = struct.pack(">6xH8xHHII", 1, audio.channels, 16, 0, rate << 16)
    sample = box(b"mp4a", entry, _full(b"esds", 0, 0, _elementary_stream(audio)))
    smhd = _full(b"smhd", 0, 0, bytes(4))
    return _trak(AUDIO_TRACK, 0x100, (0, 0), _mdia(rate, b"soun", b"microphone", smhd, sample))


def _elementary_stream(audio: AudioFormat) -> bytes:
    """ES_Descriptor of 14496-1, 7.2.6.5, for AAC (object type 0x40, audio stream)."""
    specific = _descriptor(5, audio.specific_config)
    rates = struct.pack(">II", audio.bitrate_bps, audio.bitrate_bps)
    config = _descriptor(4, b"\x40\x15\x00\x00\x00" + rates + specific)
    return _descriptor(3, struct.pack(">HB", AUDIO_TRACK, 0) + config + _descriptor(6, b"\x02"))


def _descriptor(tag: int, body: bytes) -> bytes:
    return bytes([tag, len(body)]) + body


def _trex(number: int) -> bytes:
    return _full(b"trex", 0, 0, struct.pack(">5I", number, 1, 0, 0, 0))
