"""A film written in one pass: fragments from a stream, room for the head, steps back."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.recorded_segment import FPS, Recorded

from bwv_device.formats.media import mp4_reader
from bwv_device.formats.media.mp4_film import STCO_LIMIT, TrackTables, film_head, read_film
from bwv_device.formats.media.mp4_reader import Box, boxes, fragments, units
from bwv_device.formats.media.mp4_writer import VIDEO_TIMESCALE, VIDEO_TRACK
from bwv_device.verification.film import Film
from bwv_device.verification.fragment_stream import (
    FRAGMENT_LIMIT,
    Fragment,
    FragmentStream,
    TooShortError,
)
from hal.ports import SECOND_NS, AccessUnit, Track
from sim.world.test_keys import BenchAgency


@pytest.fixture(scope="module")
def segment(agency: BenchAgency) -> bytes:
    return Recorded(agency, 4_000_000, 6).plaintext()


def fed(stream: FragmentStream, data: bytes, piece: int) -> Iterator[Fragment]:
    for at in range(0, len(data), piece):
        part = data[at : at + piece]
        stream.room(len(part))[:] = part
        yield from stream.take(len(part))


def samples(found: Iterator[Fragment]) -> list[AccessUnit]:
    return [unit for data, moof, mdat in found for unit in units(data, moof, mdat, 48_000)]


@pytest.mark.parametrize("piece", [8191, 65_536, 1 << 20])
def test_a_stream_gives_what_a_whole_segment_gives(segment: bytes, piece: int) -> None:
    whole = [u for moof, mdat in fragments(segment) for u in units(segment, moof, mdat, 48_000)]
    assert samples(fed(FragmentStream(), segment, piece)) == whole


@pytest.mark.parametrize("cut_at", [40_000, 500_000, 500_001, 700_003])
def test_a_cut_gives_every_sample_that_is_there(segment: bytes, cut_at: int) -> None:
    stream = FragmentStream()
    found = samples(fed(stream, segment[:cut_at], 65_536)) + samples(stream.cut())
    part = segment[:cut_at]
    assert found == [u for moof, mdat in fragments(part) for u in units(part, moof, mdat, 48_000)]


def test_behind_a_gap_it_goes_on_with_the_next_fragment(segment: bytes) -> None:
    whole = [u for moof, mdat in fragments(segment) for u in units(segment, moof, mdat, 48_000)]
    stream, hole = FragmentStream(), range(10 * 65_536, 11 * 65_536)
    found = samples(fed(stream, segment[: hole.start], 65_536))
    found += samples(stream.gap())
    found += samples(fed(stream, segment[hole.stop :], 65_536))
    lost = [unit for unit in whole if unit not in found]
    assert 0 < len(lost) < 2 * FPS
    assert [unit for unit in whole if unit in found] == found


def test_an_empty_stream_and_a_gap_before_anything_are_too_short() -> None:
    for act in (FragmentStream().gap, FragmentStream().cut):
        with pytest.raises(TooShortError):
            list(act())


def test_a_fragment_without_end_costs_no_memory_without_end(segment: bytes) -> None:
    endless = next(b for b in boxes(segment) if b.kind == b"mdat")
    ill = segment[: endless.start] + struct.pack(">I4s", 0xFFFF_FFFF, b"mdat")
    endlessly = ill + bytes(FRAGMENT_LIMIT)
    with pytest.raises(ValueError, match="more than 64 MiB"):
        list(fed(FragmentStream(), endlessly, 65_536))


def film_of(segment: bytes, path: Path, room: int) -> Film:
    stream = FragmentStream()
    found = fed(stream, segment, 65_536)
    first = next(found)
    film = Film(path, stream.init, room)
    film.add(first, 0)
    for fragment in found:
        film.add(fragment, 0)
    return film


@pytest.mark.parametrize("room", [65_536, 1024, 0])
def test_a_film_is_the_same_with_room_for_its_head_and_without(
    segment: bytes, tmp_path: Path, room: int
) -> None:
    """Without, it is written once more."""
    film = film_of(segment, tmp_path / "film.mp4", room)
    film.close()
    data = (tmp_path / "film.mp4").read_bytes()
    kinds = [box.kind for box in boxes(data)]
    assert kinds == [b"ftyp", b"moov", *([b"free"] if room == 65_536 else []), b"mdat"]
    pictures = [u for u in read_film(data) if u.track is Track.VIDEO]
    wanted = [u for m, d in fragments(segment) for u in units(segment, m, d, 48_000)]
    assert [u.data for u in pictures] == [u.data for u in wanted if u.track is Track.VIDEO]
    assert list(tmp_path.iterdir()) == [tmp_path / "film.mp4"]


def test_a_step_back_leaves_nothing_of_what_came_since(segment: bytes, tmp_path: Path) -> None:
    alone = film_of(segment, tmp_path / "alone.mp4", 65_536)
    alone.close()
    film = film_of(segment, tmp_path / "film.mp4", 65_536)
    mark = film.mark()
    for fragment in fed(FragmentStream(), segment, 65_536):
        film.add(fragment, 10 * SECOND_NS)
    assert film.count(Track.VIDEO) == 12 * FPS
    film.go_back(mark)
    film.close()
    assert (tmp_path / "film.mp4").read_bytes() == (tmp_path / "alone.mp4").read_bytes()
    assert film.sha256 == alone.sha256


def test_the_tables_are_right_on_both_sides_of_four_gibibytes(segment: bytes) -> None:
    """Whether positions are wide decides how long the tables are, which decides the positions."""
    stream = FragmentStream()
    next(fed(stream, segment, 65_536))
    for media_length in range(STCO_LIMIT - (9 << 20), STCO_LIMIT + (1 << 20), 499_979):
        for room in (0, 65_536, 8 << 20):
            table = TrackTables(VIDEO_TRACK, VIDEO_TIMESCALE)
            for at in range(100):
                table.add_chunk(at * 1000, at * 3000, [3000], [1000], [True])
            head = film_head(stream.init.data, [table], media_length, room)
            kind = b"co64" if b"co64" in head else b"stco"
            at, width = head.index(kind) + 12, 8 if kind == b"co64" else 4
            assert int.from_bytes(head[at : at + width], "big") == len(head)
            assert kind == b"co64" or len(head) + media_length < STCO_LIMIT


@pytest.mark.parametrize("count", [1000, 4000])
def test_the_search_for_a_fragment_looks_at_each_byte_a_few_times(
    segment: bytes, count: int
) -> None:
    """Each sixteen bytes look like a fragment that ends at one common box of samples."""
    parts = []
    for number in range(count):
        left = (count - number) * 16
        parts.append(struct.pack(">I4sI4s", left + 8, b"moof", 8, b"free"))
    bait = b"".join(parts) + bytes(8) + struct.pack(">I4s", 16, b"mdat") + bytes(8)
    stream = FragmentStream()
    list(fed(stream, segment[:65_536], 65_536))
    list(stream.gap())
    looked: list[int] = []
    real = mp4_reader.boxes

    def counting(*words: Any) -> Iterator[Box]:
        for box in real(*words):
            looked.append(1)
            yield box

    mp4_reader.boxes, kept = counting, mp4_reader.boxes
    try:
        list(fed(stream, bait, 65_536))
    finally:
        mp4_reader.boxes = kept
    assert len(looked) <= 20 * count


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="Linux")
def test_a_film_has_no_name_until_it_is_whole(
    segment: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = film_of(segment, tmp_path / "film.mp4", 65_536)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(Film, "_written_again", None)  # it is not needed
    film.close()
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_samples_that_lie_outside_their_box_are_refused(segment: bytes, tmp_path: Path) -> None:
    at = segment.index(b"trun") + 12
    ill = segment[:at] + struct.pack(">I", 0x7000_0000) + segment[at + 4 :]
    with pytest.raises(ValueError, match="outside"):
        film_of(ill, tmp_path / "film.mp4", 0)
