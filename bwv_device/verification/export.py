"""Opens a vault with an identity and writes playable MP4s, one per recording.

Samples are copied bit by bit; only times are shifted from the segment's start to the recording's.
A segment that was cut off gives every sample that is wholly there. Beside each MP4 lies a sidecar
that says what was verified.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from bwv_device.errors import SealedFileError, VaultError
from bwv_device.formats import age
from bwv_device.formats.age_payload import Opener
from bwv_device.formats.grammar.decode import decode
from bwv_device.formats.grammar.segment_info import SegmentInfo
from bwv_device.formats.mp4_film import Chunk, Sample, TrackTables, film_head
from bwv_device.formats.mp4_reader import (
    BOX_HEADER,
    Box,
    InitSegment,
    TrackRun,
    fragments,
    next_fragment,
    read_init,
    runs,
    units,
)
from bwv_device.formats.mp4_writer import AUDIO_TRACK, VIDEO_TIMESCALE, VIDEO_TRACK
from bwv_device.formats.vault_layout import FOOTAGE, PART, READ_BLOCK
from bwv_device.verification.footage_claims import Claim
from bwv_device.verification.vault_report import FileStatus, Report, Verdict
from hal.ports import SECOND_NS, AccessUnit, Track

# Errors of a file that is sealed to another recipient, damaged, or malicious.
UNREADABLE = (
    *(SealedFileError, ValueError, KeyError, IndexError, struct.error, TypeError),
    *(ArithmeticError, AttributeError, MemoryError, RecursionError),
)


class ChangedError(SealedFileError):
    """Not the bytes that were judged."""


class Exported(NamedTuple):
    """One MP4, and how many pictures and sound frames went into it. `changed`: files that are left
    out because their bytes are not those that were judged, or not those that the ledger names."""

    path: Path
    recording: str
    video_units: int
    audio_units: int
    duration_ms: int
    statuses: list[str]
    changed: list[str]


def export(
    vault: Path,
    report: Report,
    identities: Sequence[age.Identity],
    out: Path,
    recording: str | None = None,
) -> list[Exported]:
    """Every recording of a verified vault, or one. What is exported is what was judged: the digest
    is taken while a file is opened. A file that does not open, or has changed since, is named in
    the sidecar and left out; raises `SealedFileError` when nothing opens at all."""
    out.mkdir(parents=True, exist_ok=True)
    names = sorted({v.recording for v in report.segments if v.recording})
    if recording is not None and recording not in names:
        known = ", ".join(names) or "none"
        raise VaultError(f"There is no recording {recording}.", f"The vault has: {known}.")
    done: list[Exported] = []
    unread: list[tuple[str, Exception]] = []
    for name in names if recording is None else [recording]:
        verdicts = [v for v in report.segments if v.recording == name]
        joiner = _Joiner(vault, report, identities, out, name)
        done += joiner.run(verdicts)
        unread += joiner.unread
    if unread and not done:
        raise unread[0][1]
    return done


class _Joiner:
    """Joins the segments of one recording. A change of format starts another file."""

    def __init__(
        self,
        vault: Path,
        report: Report,
        identities: Sequence[age.Identity],
        out: Path,
        recording: str,
    ) -> None:
        self._vault, self._report, self._identities = vault, report, identities
        self._out, self._recording = out, recording
        self._done: list[Exported] = []
        self._film: _Film | None = None
        self.unread: list[tuple[str, Exception]] = []
        self.left_out: list[tuple[str, str]] = []
        self._changed: list[str] = []

    def run(self, verdicts: list[Verdict]) -> list[Exported]:
        for verdict in verdicts:
            if reason := _absent(verdict):
                self.left_out.append((verdict.name, reason))
                continue
            try:
                self._still(verdict) if ".jpg." in verdict.name else self._segment(verdict)
            except UNREADABLE as error:
                self.unread.append((verdict.name, error))
                self.left_out.append((verdict.name, str(error)))
                if isinstance(error, ChangedError):
                    self._changed.append(verdict.name)
        self._close()
        return self._done

    def _segment(self, verdict: Verdict) -> None:
        data, *behind = pieces = self._open(verdict)
        if len(data) < SHORTEST:
            self.left_out.append((verdict.name, "cut off before its first picture"))
            return
        whole, claim = b"".join(pieces), self._report.claims[verdict.name]
        row = _verified(verdict, claim, whole)
        if verdict.status is FileStatus.SEALED and row.get("plaintext_matches_ledger") is False:
            raise ChangedError("what is inside is not what the ledger says")
        init = read_init(data)
        decode(SegmentInfo, init.metadata)
        if self._film is None or init.data != self._film.init.data:
            self._close()
            part = f".{len(self._done) + 1}" if self._done else ""
            self._film = _Film(self._out / f"{self._recording}{part}.mp4", init)
        if short := _shorter(claim, whole, damaged=len(behind)):
            self.left_out.append((verdict.name, short))
        self._film.verified.append(row)
        self._film.add(data, init)
        for piece in behind:
            if (at := next_fragment(piece)) is not None:
                self._film.add(piece[at:], init)

    def _open(self, verdict: Verdict) -> list[bytes]:
        """The plaintext, in pieces: one, or several where chunks between them do not open. Raises
        `ChangedError` where the file is not the one that was judged."""
        path = self._vault / FOOTAGE / verdict.name
        if not path.exists():
            path = path.with_name(verdict.name + PART)
        claim = self._report.claims[verdict.name]
        if verdict.status in (FileStatus.SEALED, FileStatus.RECOVERED, FileStatus.DELIVERED):
            length, sha256 = claim.length or 0, claim.sha256
        elif verdict.status is FileStatus.OPEN:
            length, sha256 = claim.attested_length, claim.attested_sha256
        else:
            length, sha256 = 0, ""  # it was found changed before, and is named as that
        with path.open("rb") as file:
            judged = JudgedFile(file, length)
            try:
                return list(Opener(cast(BinaryIO, judged), self._identities).pieces())
            finally:
                judged.drain()
                if sha256 and judged.sha256 != sha256:
                    raise ChangedError("it has changed since it was verified")

    def _close(self) -> None:
        if self._film is None:
            return
        film, self._film = self._film, None
        film.close()
        done = Exported(
            film.path,
            self._recording,
            film.counts[Track.VIDEO],
            film.counts[Track.AUDIO],
            film.duration_ns // 1_000_000,
            [str(row["status"]) for row in film.verified],
            list(self._changed),
        )
        self._sidecar(film, done)
        self._done.append(done)

    def _sidecar(self, film: _Film, done: Exported) -> None:
        head = self._report.head
        content = {
            "recording": self._recording,
            "device": self._report.device,
            "ledger_verified": self._report.ok,
            # None: no root was given to check against.
            "certificate_leads_to_agency_root": self._report.ok if self._report.rooted else None,
            "ledger_head": head._asdict() if head else None,
            "start": film.init.metadata["time"],
            "video_units": done.video_units,
            "audio_units": done.audio_units,
            "sha256": film.sha256,
            "segments": film.verified,
            "not_exported": [{"name": name, "reason": why} for name, why in self.left_out],
        }
        path = film.path.with_suffix(".json")
        with path.with_suffix(".json.part").open("wb") as file:
            file.write(json.dumps(content, indent=2).encode())
            _finish(file, path)

    def _still(self, verdict: Verdict) -> None:
        if verdict.status is not FileStatus.SEALED:
            self.left_out.append((verdict.name, verdict.status.value))
            return
        path = self._out / verdict.name.removesuffix(".age")
        with path.with_suffix(".jpg.part").open("wb") as file:
            file.write(b"".join(self._open(verdict)))
            _finish(file, path)


class JudgedFile(io.RawIOBase):
    """A sealed file on its way to being opened; `sha256` is that of its first `length` bytes as
    they were given out. Each byte is read from the disk once: who reads a header again gets the
    same."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file, self._left = file, length
        self._digest = hashlib.sha256()
        self._head = self._take(age.HEADER_LIMIT)
        self._at = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def read(self, size: int = -1) -> bytes:
        data = self._head[self._at : self._at + size]
        self._at += len(data)
        if len(data) < size:
            data += self._take(size - len(data))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Within what was read first."""
        if whence or not 0 <= offset <= len(self._head):
            raise ValueError("only the head of a file is read twice")
        self._at = offset
        return offset

    def drain(self) -> None:
        while self._left and self._take(READ_BLOCK):
            pass

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        self._digest.update(data[: self._left])
        self._left -= min(self._left, len(data))
        return data


class _Film:
    """One MP4 being written. Times count from its first segment's first picture. Samples go to a
    file of their own first: the tables that stand before them are known at the end."""

    def __init__(self, path: Path, init: InitSegment) -> None:
        self.path, self.init = path, init
        self.counts = {Track.VIDEO: 0, Track.AUDIO: 0}
        self.verified: list[dict[str, Any]] = []
        self.sha256 = ""
        # Without a name: footage in clear does not stay behind if this process is killed.
        self._media = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115
        self._length = 0
        self._origin_ns = int(init.metadata["first_pts_ns"])
        self._tables = {
            Track.VIDEO: TrackTables(VIDEO_TRACK, VIDEO_TIMESCALE, []),
            Track.AUDIO: TrackTables(AUDIO_TRACK, init.audio_rate_hz, []),
        }
        # The middle of the newest sample of each track: real samples come a little early or late,
        # so where one ends says nothing about the next; a sample written twice begins before this.
        self._middle_ns = {Track.VIDEO: -1, Track.AUDIO: -1}
        self._end_ns = 0

    @property
    def duration_ns(self) -> int:
        return self._end_ns

    def add(self, data: bytes, init: InitSegment) -> None:
        """A segment's plaintext, whole or cut off."""
        start_ns = int(init.metadata["first_pts_ns"]) - self._origin_ns
        for moof, mdat in fragments(data):
            described = runs(data, moof)
            if mdat.whole and self._continues(described, start_ns):
                self._copy(data, mdat, described, start_ns)
            else:
                self._rebuild(units(data, moof, mdat, self.init.audio_rate_hz), start_ns)

    def close(self) -> None:
        """Tables, then samples, under the final name."""
        head = film_head(self.init.data, list(self._tables.values()), self._length)
        digest = hashlib.sha256(head)
        self._media.seek(0)
        with self.path.with_suffix(".mp4.part").open("wb") as file:
            file.write(head)
            while block := self._media.read(READ_BLOCK):
                digest.update(block)
                file.write(block)
            self._media.close()
            _finish(file, self.path)
        self.sha256 = digest.hexdigest()

    def _continues(self, described: list[TrackRun], start_ns: int) -> bool:
        """Whether nothing of a fragment was written before, out of an earlier segment."""
        return all(
            self._time_ns(run, run.decode_time, start_ns) > self._middle_ns[run.track]
            for run in described
        )

    def _copy(self, data: bytes, mdat: Box, described: list[TrackRun], start_ns: int) -> None:
        """A whole fragment: its samples in one piece."""
        media_at = mdat.start + BOX_HEADER
        for run in described:
            time = run.decode_time + _ticks(start_ns, self._rate(run.track))
            samples = []
            for lasts, size, key in zip(run.durations, run.sizes, run.keyframes, strict=True):
                samples.append(Sample(time, time + lasts, size, key))
                time += lasts
            if not samples:
                continue
            chunk = Chunk(self._length + run.offset - media_at, samples)
            self._tables[run.track].chunks.append(chunk)
            end = run.decode_time + sum(run.durations)
            self._wrote(
                run.track,
                self._time_ns(run, end - run.durations[-1], start_ns),
                self._time_ns(run, end, start_ns),
            )
            self.counts[run.track] += len(run.sizes)
        self._write(memoryview(data)[media_at : mdat.end])

    def _rebuild(self, whole: list[AccessUnit], start_ns: int) -> None:
        """The samples that are there and were not written before, one by one."""
        for unit in whole:
            moved = unit._replace(pts_ns=unit.pts_ns + start_ns)
            if moved.pts_ns <= self._middle_ns[moved.track]:
                continue
            rate = self._rate(moved.track)
            time, end = _ticks(moved.pts_ns, rate), _ticks(moved.end_ns, rate)
            sample = Sample(time, end, len(moved.data), moved.keyframe)
            self._tables[moved.track].chunks.append(Chunk(self._length, [sample]))
            self._write(moved.data)
            self._wrote(moved.track, moved.pts_ns, moved.end_ns)
            self.counts[moved.track] += 1

    def _write(self, data: bytes | memoryview) -> None:
        self._media.write(data)
        self._length += len(data)

    def _wrote(self, track: Track, pts_ns: int, end_ns: int) -> None:
        """The newest sample of a track."""
        self._middle_ns[track] = (pts_ns + end_ns) // 2
        self._end_ns = max(self._end_ns, end_ns)

    def _time_ns(self, run: TrackRun, ticks: int, start_ns: int) -> int:
        return start_ns + ticks * SECOND_NS // self._rate(run.track)

    def _rate(self, track: Track) -> int:
        return VIDEO_TIMESCALE if track is Track.VIDEO else self.init.audio_rate_hz


# Below this there is not even a whole chunk: nothing that could hold a picture.
SHORTEST = 1024


def _verified(verdict: Verdict, claim: Claim, plaintext: bytes) -> dict[str, Any]:
    """What the sidecar says of one segment."""
    row: dict[str, Any] = {
        "name": verdict.name,
        "status": verdict.status.value,
        "detail": verdict.detail,
        "sealed_sha256": claim.sha256,
    }
    if claim.plaintext_sha256:
        digest = hashlib.sha256(plaintext).hexdigest()
        row["plaintext_matches_ledger"] = digest == claim.plaintext_sha256
    return row


def _absent(verdict: Verdict) -> str:
    """Why a file that the ledger names can't be in a film; "" if it may be."""
    if verdict.status is FileStatus.MISSING:
        return "it is missing"
    if verdict.status is FileStatus.DELIVERED and not verdict.length:
        return "it was delivered, and removed from the camera"
    return "" if verdict.length else "it is empty"


def _shorter(claim: Claim, plaintext: bytes, damaged: int) -> str:
    """How much of a segment does not open; "" if all of it does, or its length is not known."""
    missing = claim.plaintext_length - len(plaintext)
    where = f"in {damaged} places" if damaged > 1 else "in one place" if damaged else "at its end"
    if claim.plaintext_length and missing > 0:
        return f"{missing} of {claim.plaintext_length} bytes do not open, {where}"
    return f"something does not open, {where}" if damaged else ""


def without_film(report: Report, done: Sequence[Exported]) -> list[tuple[str, str]]:
    """Files of recordings of which nothing could be exported, each with why."""
    with_film = {item.recording for item in done}
    return [
        (v.name, _absent(v) or "it does not open")
        for v in report.segments
        if v.recording and v.recording not in with_film
    ]


def _ticks(time_ns: int, rate: int) -> int:
    return (time_ns * rate + SECOND_NS // 2) // SECOND_NS


def _finish(file: BinaryIO, path: Path) -> None:
    """Sync, rename, sync the folder: a file under its final name is whole."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    os.replace(file.name, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
