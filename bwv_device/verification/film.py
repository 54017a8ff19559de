"""One plain MP4 being written from the fragments of a recording's segments.

Samples are copied bit by bit; only times are shifted from the segment's start to the film's. Room
for the tables that stand in front is left beforehand: a film is written once, and read once more
for its digest.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import IO, Any, NamedTuple

from bwv_device.files import sync_folder
from bwv_device.formats.media.mp4_film import TrackTables, film_head
from bwv_device.formats.media.mp4_reader import BOX_HEADER, Box, InitSegment, TrackRun, runs, units
from bwv_device.formats.media.mp4_writer import AUDIO_TRACK, VIDEO_TIMESCALE, VIDEO_TRACK
from bwv_device.formats.vault_layout import PART, READ_BLOCK
from bwv_device.verification.fragment_stream import Fragment
from hal.ports import SECOND_NS, AccessUnit, Track


class Mark(NamedTuple):
    """A place in a film to go back to."""

    length: int
    chunks: dict[Track, tuple[int, int]]
    middle_ns: dict[Track, int]
    end_ns: int


class Film:
    """Times count from its first segment's first picture. `room`: bytes to leave for the head."""

    def __init__(self, path: Path, init: InitSegment, room: int) -> None:
        self.path, self.init, self._room = path, init, room
        self.verified: list[dict[str, Any]] = []
        self.sha256 = ""
        # Without a name: footage in clear does not stay behind if this process is killed.
        self._file = nameless_file(path.parent)
        self._file.seek(room)
        self._length = 0
        self._origin_ns = int(init.metadata["first_pts_ns"])
        self._tables = {
            Track.VIDEO: TrackTables(VIDEO_TRACK, VIDEO_TIMESCALE),
            Track.AUDIO: TrackTables(AUDIO_TRACK, init.audio_rate_hz),
        }
        # The middle of the newest sample of each track: real samples come a little early or late,
        # so where one ends says nothing about the next; a sample written twice begins before this.
        self._middle_ns = {Track.VIDEO: -1, Track.AUDIO: -1}
        self.duration_ns = 0

    def count(self, track: Track) -> int:
        return len(self._tables[track].sizes)

    def starts_at(self, init: InitSegment) -> int:
        """When a segment begins, in the film's time."""
        return int(init.metadata["first_pts_ns"]) - self._origin_ns

    def add(self, fragment: Fragment, start_ns: int) -> None:
        """A fragment of a segment that begins at `start_ns`. Raises `ValueError`, `struct.error`,
        `OverflowError` on one that no camera writes."""
        data, moof, mdat = fragment
        described = runs(data, moof)
        if mdat.whole and self._continues(described, start_ns):
            self._copy(data, mdat, described, start_ns)
        else:
            self._rebuild(units(data, moof, mdat, self.init.audio_rate_hz), start_ns)

    def mark(self) -> Mark:
        chunks = {k: (len(t.chunk_offsets), t.end) for k, t in self._tables.items()}
        return Mark(self._length, chunks, dict(self._middle_ns), self.duration_ns)

    def go_back(self, mark: Mark) -> None:
        """As if nothing had been added since."""
        for track, (chunks, end) in mark.chunks.items():
            self._tables[track].forget_after(chunks, end)
        self._length, self._middle_ns, self.duration_ns = mark.length, mark.middle_ns, mark.end_ns
        self._file.seek(self._room + mark.length)
        self._file.truncate()

    def discard(self) -> None:
        self._file.close()

    def close(self) -> None:
        """Under its final name, whole."""
        head = film_head(self.init.data, list(self._tables.values()), self._length, self._room)
        part = self.path.with_name(self.path.name + PART)
        part.unlink(missing_ok=True)
        try:
            if len(head) != self._room or not self._named(head, part):
                self._written_again(head, part)
            self._file.close()
            with part.open("rb") as file:
                self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
            os.replace(part, self.path)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(self.path.parent)

    def _named(self, head: bytes, part: Path) -> bool:
        """Whether the file system can give a name to a file that had none."""
        self._file.seek(0)
        _write_all(self._file, head)
        folder = os.open(part.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            named = f"/proc/self/fd/{self._file.fileno()}"
            os.link(named, part.name, dst_dir_fd=folder, follow_symlinks=True)
        except OSError:
            return False
        finally:
            os.close(folder)
        return True

    def _written_again(self, head: bytes, part: Path) -> None:
        """Head, then samples: where the room was too small, or the file can't be named."""
        self._file.seek(self._room)
        with part.open("xb") as file:
            file.write(head)
            while block := self._file.read(READ_BLOCK):
                file.write(block)

    def _continues(self, described: list[TrackRun], start_ns: int) -> bool:
        """Whether nothing of a fragment was written before, out of an earlier segment."""
        return all(
            self._time_ns(run, run.decode_time, start_ns) > self._middle_ns[run.track]
            for run in described
        )

    def _copy(self, data: bytearray, mdat: Box, described: list[TrackRun], start_ns: int) -> None:
        """A whole fragment: its samples in one piece."""
        media_at = mdat.start + BOX_HEADER
        for run in described:
            if not run.sizes:
                continue
            if not media_at <= run.offset <= mdat.end - sum(run.sizes):
                raise ValueError("samples outside their box")
            time = run.decode_time + _ticks(start_ns, self._rate(run.track))
            self._tables[run.track].add_chunk(
                self._length + run.offset - media_at,
                time, run.durations, run.sizes, run.keyframes,
            )  # fmt: skip
            end = run.decode_time + sum(run.durations)
            self._wrote(
                run.track,
                self._time_ns(run, end - run.durations[-1], start_ns),
                self._time_ns(run, end, start_ns),
            )
        self._write(memoryview(data)[media_at : mdat.end])

    def _rebuild(self, whole: list[AccessUnit], start_ns: int) -> None:
        """The samples that are there and were not written before, one by one."""
        for unit in whole:
            moved = unit._replace(pts_ns=unit.pts_ns + start_ns)
            if moved.pts_ns <= self._middle_ns[moved.track]:
                continue
            rate = self._rate(moved.track)
            time, end = _ticks(moved.pts_ns, rate), _ticks(moved.end_ns, rate)
            table = self._tables[moved.track]
            table.add_chunk(self._length, time, [end - time], [len(moved.data)], [moved.keyframe])
            self._write(moved.data)
            self._wrote(moved.track, moved.pts_ns, moved.end_ns)

    def _write(self, data: bytes | memoryview) -> None:
        _write_all(self._file, data)
        self._length += len(data)

    def _wrote(self, track: Track, pts_ns: int, end_ns: int) -> None:
        """The newest sample of a track."""
        self._middle_ns[track] = (pts_ns + end_ns) // 2
        self.duration_ns = max(self.duration_ns, end_ns)

    def _time_ns(self, run: TrackRun, ticks: int, start_ns: int) -> int:
        return start_ns + ticks * SECOND_NS // self._rate(run.track)

    def _rate(self, track: Track) -> int:
        return VIDEO_TIMESCALE if track is Track.VIDEO else self.init.audio_rate_hz


def nameless_file(folder: Path) -> IO[bytes]:
    """One that gets a name once it is whole, where the file system can do that."""
    try:
        number = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return tempfile.TemporaryFile(dir=folder, buffering=0)
    return os.fdopen(number, "r+b", buffering=0)


def _write_all(file: IO[bytes], data: bytes | memoryview) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _ticks(time_ns: int, rate: int) -> int:
    return (time_ns * rate + SECOND_NS // 2) // SECOND_NS
