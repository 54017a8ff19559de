"""Opens a vault with an identity and writes playable MP4s, one per recording.

A film is joined from the segments of a recording; a segment that was cut off gives every sample
that is wholly there. Or each segment is given as the camera wrote it, byte for byte what its ledger
names. Beside each lies a sidecar that says what was verified, of the very bytes that were opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Self

from bwv_device.errors import SealedFileError, VaultError
from bwv_device.files import sync_folder
from bwv_device.formats import age
from bwv_device.formats.age_payload import CHUNK
from bwv_device.formats.grammar.decode import decode
from bwv_device.formats.grammar.segment_info import SegmentInfo
from bwv_device.formats.media.mp4_film import head_room
from bwv_device.formats.media.mp4_reader import InitSegment, read_init
from bwv_device.formats.vault_layout import PART
from bwv_device.verification.film import Film, Mark
from bwv_device.verification.footage_claims import Claim
from bwv_device.verification.footage_reading import FileDigests, FootageReading
from bwv_device.verification.fragment_stream import SHORTEST, TooShortError, opened_fragments
from bwv_device.verification.vault_report import (
    FileStatus,
    FoundFile,
    Report,
    Survey,
    Verdict,
    digests,
    judge,
)
from hal.ports import SECOND_NS, Track

# Errors of a file that is sealed to another recipient, damaged, or malicious.
UNREADABLE = (
    *(SealedFileError, ValueError, KeyError, IndexError, struct.error, TypeError),
    *(ArithmeticError, AttributeError, MemoryError, RecursionError),
)
# Digests and ciphers leave the interpreter to others meanwhile.
RECORDINGS_AT_ONCE = min(2, os.cpu_count() or 1)
# The most that a camera gives in a second; a film with more is written twice.
SAMPLES_A_SECOND, CHUNKS_A_SECOND = 110, 10
# What a segment lasts where nothing says it.
SEGMENT_S = 60
PAGE, LEAST_ROOM, ROOM_LIMIT = 4096, 64 << 10, 64 << 20


class Exported(NamedTuple):
    """One MP4, and how many pictures and sound frames went into a film."""

    path: Path
    recording: str
    video_units: int
    audio_units: int
    duration_ms: int
    statuses: list[str]


class Export(NamedTuple):
    """`changed`: segments that are left out because the ledger names other content."""

    report: Report
    films: list[Exported]
    changed: list[str]


def export(
    surveyed: Survey,
    identities: Sequence[age.Identity],
    out: Path,
    recording: str | None = None,
    *,
    judged: Report | None = None,
    native: bool = False,
) -> Export:
    """Every recording of a vault, or one, and the verdicts. Each file is read once: what is
    exported is what was judged. A file that does not open is named in the sidecar and left out;
    raises `SealedFileError` when nothing opens at all. `judged`: of this vault, a moment ago; other
    recordings are not read then. `native`: the segments, as the camera wrote them."""
    out.mkdir(parents=True, exist_ok=True)
    names = surveyed.recordings()
    if recording is not None and recording not in names:
        known = ", ".join(names) or "none"
        raise VaultError(f"There is no recording {recording}.", f"The vault has: {known}.")
    jobs = [
        (_NativeSegments if native else _OneFilm)(surveyed, identities, out, name)
        for name in (names if recording is None else [recording])
    ]
    with ThreadPoolExecutor(RECORDINGS_AT_ONCE) as threads:
        try:
            list(threads.map(_Job.run, jobs))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    report = judged or _judge_the_rest(surveyed, jobs)
    done = [item for job in jobs for item in job.write_sidecars(report)]
    unread = [error for job in jobs for error in job.unread]
    changed = [name for job in jobs for name in job.changed]
    if unread and not done and not changed:
        raise unread[0]
    return Export(report, done, changed)


def _judge_the_rest(surveyed: Survey, jobs: Sequence[_Job]) -> Report:
    read = {found.name: judged for job in jobs for found, judged in job.read}
    report = surveyed.report
    report.segments = [
        judge(report, found, read[found.name] if found.name in read else digests(found))
        for found in surveyed.files
    ]
    return report


@dataclass(slots=True)
class _Made:
    """A file that was written, and what its sidecar will say."""

    item: Exported
    sha256: str
    start: dict[str, Any]
    verified: list[dict[str, Any]]
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class _Job(ABC):
    """One recording on its way out."""

    surveyed: Survey
    identities: Sequence[age.Identity]
    out: Path
    recording: str
    read: list[tuple[FoundFile, FileDigests | None]] = field(default_factory=list)
    unread: list[Exception] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    made: list[_Made] = field(default_factory=list)

    def run(self) -> None:
        """Reads, judges and opens each file of the recording."""
        for found in self.surveyed.of_recording(self.recording):
            if found.path is None or found.claim is None:
                self._judged(found, None)
                continue
            try:
                reading = FootageReading(found.path, found.claim)
            except OSError as error:
                self._judged(found, FileDigests(0, b"", "", "", str(error.strerror)))
                continue
            with reading:
                try:
                    if not reading.size:
                        self._judged(found, reading.digests())
                    elif ".jpg." in found.name:
                        self._still(found, found.claim, reading)
                    else:
                        self._segment(found, found.claim, reading)
                except UNREADABLE as error:
                    self._failed(found.name, error)
        self._finish()

    @abstractmethod
    def _segment(self, found: FoundFile, claim: Claim, reading: FootageReading) -> None:
        """Opens a segment and judges it."""

    @abstractmethod
    def _finish(self) -> None:
        """After the last file."""

    def write_sidecars(self, report: Report) -> list[Exported]:
        for made in self.made:
            self._sidecar(made, report)
        return [made.item for made in self.made]

    def _failed(self, name: str, error: Exception) -> None:
        self.left_out.append((name, str(error)))
        if not isinstance(error, TooShortError):
            self.unread.append(error)

    def _judged_whole(self, found: FoundFile, claim: Claim, reading: FootageReading) -> Verdict:
        """After a segment was opened, whatever came of it. Where the sealed bytes are those of the
        ledger and their content is not, raises `SealedFileError`."""
        verdict = self._judged(found, reading.digests())
        # Without the right key nothing is known of its content.
        other = claim.plaintext_sha256 and reading.unlocked and not _matches(claim, reading)
        if verdict.status is FileStatus.SEALED and other:
            self.changed.append(verdict.name)
            raise SealedFileError("what is inside is not what the ledger says")
        return verdict

    def _judged(self, found: FoundFile, read: FileDigests | None) -> Verdict:
        self.read.append((found, read))
        verdict = judge(self.surveyed.report, found, read)
        if read is not None and read.trouble:
            self.left_out.append((verdict.name, verdict.detail))
        elif reason := absent(verdict):
            self.left_out.append((verdict.name, reason))
        return verdict

    def _row(self, verdict: Verdict, claim: Claim, reading: FootageReading) -> dict[str, Any]:
        """What the sidecar says of a segment that was opened."""
        row: dict[str, Any] = {
            "name": verdict.name,
            "status": verdict.status.value,
            "detail": verdict.detail,
            "sealed_sha256": claim.sha256,
        }
        if claim.plaintext_sha256:
            row["plaintext_matches_ledger"] = _matches(claim, reading)
        if not reading.trouble and (short := _shorter(claim, reading)):
            self.left_out.append((verdict.name, short))
        return row

    def _still(self, found: FoundFile, claim: Claim, reading: FootageReading) -> None:
        """Only one that is whole: half a picture is no evidence of anything."""
        with _PlainFile(self.out / found.name.removesuffix(".age")) as target:
            try:
                for length in reading.opened(self.identities, target.room):
                    target.take(length)
            finally:
                verdict = self._judged(found, reading.digests())
            if verdict.status is FileStatus.SEALED and reading.opened_whole:
                target.keep()
            elif verdict.length:
                said = "" if reading.opened_whole else ", and does not open"
                self.left_out.append((found.name, verdict.status.value + said))

    def _sidecar(self, made: _Made, report: Report) -> None:
        head = report.head
        content = {
            "recording": self.recording,
            "device": report.device,
            "ledger_verified": report.ok,
            # None: no root was given to check against.
            "certificate_leads_to_agency_root": report.ok if report.rooted else None,
            "ledger_head": head._asdict() if head else None,
            "start": made.start,
            **made.counts,
            "sha256": made.sha256,
            "segments": made.verified,
            "not_exported": [{"name": name, "reason": why} for name, why in self.left_out],
        }
        with _PlainFile(made.item.path.with_suffix(".json")) as target:
            target.write(json.dumps(content, indent=2).encode())
            target.keep()


class _OneFilm(_Job):
    """Joins the segments. A change of format begins another file."""

    _film: Film | None = None

    def _segment(self, found: FoundFile, claim: Claim, reading: FootageReading) -> None:
        """A segment that can't be used is taken out of the film again, whole."""
        film: Film | None = None
        mark: Mark | None = None
        try:
            try:
                for init, fragment in opened_fragments(reading, self.identities):
                    if film is None:
                        film = self._film_for(init)
                        mark = film.mark()
                    film.add(fragment, film.starts_at(init))
            finally:
                verdict = self._judged_whole(found, claim, reading)
            row = self._row(verdict, claim, reading)
            if film is None:
                raise TooShortError
        except UNREADABLE:
            if film is not None and film is not self._film:
                film.discard()
            elif film is not None and mark is not None:
                film.go_back(mark)
            raise
        film.verified.append(row)
        if film is not self._film:
            self._finish()
            self._film = film

    def _film_for(self, init: InitSegment) -> Film:
        decode(SegmentInfo, init.metadata)
        if self._film is not None and self._film.init.data == init.data:
            return self._film
        number = len(self.made) + (self._film is not None)
        name = f"{self.recording}.{number + 1}.mp4" if number else f"{self.recording}.mp4"
        return Film(self.out / name, init, _room(self.surveyed.of_recording(self.recording)))

    def _finish(self) -> None:
        if self._film is None:
            return
        film, self._film = self._film, None
        try:
            film.close()
        except UNREADABLE as error:
            film.discard()
            for row in film.verified:
                self._failed(row["name"], error)
            return
        item = Exported(
            film.path,
            self.recording,
            film.count(Track.VIDEO),
            film.count(Track.AUDIO),
            film.duration_ns // 1_000_000,
            [str(row["status"]) for row in film.verified],
        )
        counts = {"video_units": item.video_units, "audio_units": item.audio_units}
        start = film.init.metadata["time"]
        self.made.append(_Made(item, film.sha256, start, film.verified, counts))


class _NativeSegments(_Job):
    """Each segment as a file of its own, of which anybody can compare the digest with the
    ledger's."""

    def _segment(self, found: FoundFile, claim: Claim, reading: FootageReading) -> None:
        """Up to the first damage: behind it, nothing is where the boxes say."""
        init: InitSegment | None = None
        with _PlainFile(self.out / found.name.removesuffix(".age")) as target:
            try:
                for length in reading.opened(self.identities, target.room):
                    if init is None and length < SHORTEST:
                        raise TooShortError
                    if init is None:
                        init = read_init(target.first(length))
                        decode(SegmentInfo, init.metadata)
                    target.take(length)
            finally:
                verdict = self._judged_whole(found, claim, reading)
            row = self._row(verdict, claim, reading)
            if init is None:
                raise TooShortError
            target.keep()
        item = Exported(target.path, self.recording, 0, 0, 0, [verdict.status.value])
        whole = claim.plaintext_sha256 if row.get("plaintext_matches_ledger") else target.sha256()
        self.made.append(_Made(item, whole, init.metadata["time"], [row]))

    def _finish(self) -> None:
        """Each was finished by itself."""


class _PlainFile:
    """A file in clear that gets its name if it is kept; else nothing of it stays."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = path.with_name(path.name + PART)
        self._part.unlink(missing_ok=True)
        self._file = self._part.open("xb")
        self._buffer = memoryview(bytearray(CHUNK))
        self._damaged = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)

    def room(self, length: int) -> memoryview:
        return self._buffer[:length]

    def first(self, length: int) -> bytes:
        return bytes(self._buffer[:length])

    def take(self, length: int) -> None:
        """What was written to `room`; behind a gap (0), nothing more."""
        self._damaged = self._damaged or not length
        if not self._damaged:
            self._file.write(self._buffer[:length])

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def keep(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._part, self.path)
        sync_folder(self.path.parent)

    def sha256(self) -> str:
        """Of a file that was kept."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _room(files: Sequence[FoundFile]) -> int:
    """Bytes to leave for the head of a recording's film: what its segments last, by the ledger's
    times, at the highest rates."""
    starts = [f.claim.first_pts_ns for f in files if f.claim and f.claim.first_pts_ns is not None]
    longest_ns = max((b - a for a, b in pairwise(starts)), default=SEGMENT_S * SECOND_NS)
    seconds = (max(starts, default=0) - min(starts, default=0) + longest_ns) // SECOND_NS + 1
    room = head_room(seconds * SAMPLES_A_SECOND, seconds * CHUNKS_A_SECOND)
    # Times are the ledger's word: the film itself must be in proportion.
    size = 0
    for found in files:
        with suppress(OSError):
            size += found.path.stat().st_size if found.path else 0
    return min(ROOM_LIMIT, -(-min(room, LEAST_ROOM + size // 4) // PAGE) * PAGE)


def _matches(claim: Claim, reading: FootageReading) -> bool:
    return reading.opened_whole and reading.plaintext_sha256 == claim.plaintext_sha256


def absent(verdict: Verdict) -> str:
    """Why a file that the ledger names can't be in a film; "" if it may be."""
    if verdict.status is FileStatus.MISSING:
        return "it is missing"
    if verdict.status is FileStatus.DELIVERED and not verdict.length:
        return "it was delivered, and removed from the camera"
    return "" if verdict.length else "it is empty"


def _shorter(claim: Claim, reading: FootageReading) -> str:
    """How much of a segment does not open; "" if all of it does, or its length is not known."""
    missing, gaps = claim.plaintext_length - reading.plaintext_length, reading.gaps
    where = f"in {gaps} places" if gaps > 1 else "in one place" if gaps else "at its end"
    if claim.plaintext_length and missing > 0:
        return f"{missing} of {claim.plaintext_length} bytes do not open, {where}"
    return f"something does not open, {where}" if gaps else ""


def without_film(report: Report, done: Sequence[Exported]) -> list[tuple[str, str]]:
    """Files of recordings of which nothing could be exported, each with why."""
    with_film = {item.recording for item in done}
    return [
        (v.name, absent(v) or "it does not open")
        for v in report.segments
        if v.recording and v.recording not in with_film
    ]
