"""What the oracle judges: the vault as it was left, in the world's time, and the episodes in which
somebody had told the camera to record."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bwv_device.errors import SealedFileError
from bwv_device.formats import age
from bwv_device.formats.age_payload import Opener
from hal.ports import SECOND_NS
from hal.simulated.capture import StubVideo
from hal.simulated.store import MemoryStore
from sim.oracle.sealed_media import samples, sealed_end
from sim.oracle.signed_groups import without_statements
from sim.world.observations import BootLife, Witness
from sim.world.test_keys import BenchAgency
from sim.world.world import World

IN_RECORDING = ("recording", "post-event")
# How long a disk that was in trouble may need until all that waited is durable: the last sync that
# was begun may take ten seconds.
RECOVERED_NS = 12 * SECOND_NS
STORAGE_TROUBLE = (
    "io-error", "no-space", "short-write", "read-only", "slow-sync", "storage-full", "lying-sync",
    "read-only-for-good", "files-refused", "folder-damaged", "inodes-used-up",
)  # fmt: skip
CAPTURE_TROUBLE = (
    "camera-stall", "camera-stops-late", "missing-keyframe", "malformed-units", "wrong-times",
    "parameter-sets-only", "dropped-pictures",
)  # fmt: skip
UNREADABLE = (SealedFileError, ValueError, KeyError, IndexError, struct.error)


class Finding(NamedTuple):
    """A promise that was broken."""

    promise: str
    at_ns: int
    text: str

    def __str__(self) -> str:
        return f"{self.at_ns / SECOND_NS:10.3f} s  {self.promise}: {self.text}"


class Episode(NamedTuple):
    """From a press that was obeyed to the end, in the world's time."""

    life: BootLife
    start_ns: int
    end_ns: int
    orderly: bool


class Said(NamedTuple):
    """A ledger line, and when the world heard it."""

    life: BootLife
    at_ns: int
    fields: dict[str, Any]

    def world_ns(self, name: str) -> int:
        return int(self.fields[name]) + self.life.origin_ns

    def when_ns(self) -> int:
        """When it was noted: a line that waited says so."""
        return (
            self.world_ns("delayed_since_ns") if "delayed_since_ns" in self.fields else self.at_ns
        )


class TakenPicture(NamedTuple):
    """A picture of a segment: when it claims to have been taken, its content, how long the sealed
    file has to be for it to be readable, and what the camera signed inside of its sample: in front
    of the picture, and behind it."""

    number: int
    at_ns: int
    data: bytes
    sealed_end: int
    before: tuple[bytes, ...] = ()
    behind: tuple[bytes, ...] = ()


class SegmentPiece(NamedTuple):
    """What a segment holds. `sounds_ns` are the times of its sound frames."""

    name: str
    recording: str
    pictures: list[TakenPicture]
    sounds_ns: list[int]


@dataclass(slots=True)
class Record:
    """Everything, once."""

    world: World
    witness: Witness
    lines: list[Said]
    pieces: list[SegmentPiece]
    episodes: list[Episode]
    stills: dict[str, bytes]  # opened, by name

    def of_kind(self, kind: str) -> Iterator[Said]:
        return (said for said in self.lines if said.fields["kind"] == kind)

    def intervals(self, kind: str) -> list[tuple[int, int]]:
        """From each line of this kind that says `on` to the one that ends it, or to the end of that
        life."""
        found: list[tuple[int, int]] = []
        for life in self.witness.lives:
            since_ns = -1
            for said in self.of_kind(kind):
                if said.life is not life:
                    continue
                if said.fields["on"] and since_ns < 0:
                    since_ns = said.when_ns()
                elif not said.fields["on"] and since_ns >= 0:
                    found.append((since_ns, said.when_ns()))
                    since_ns = -1
            if since_ns >= 0:
                found.append((since_ns, life.ended_ns))
        return found

    def stored_until_ns(self, life: BootLife) -> int:
        """Before this everything must be durable when the life ends: the loss bound, and further
        back where the disk was in trouble."""
        bound_ns = self.world.settings.recording.loss_bound_ms * 1_000_000
        until_ns = life.ended_ns - bound_ns
        troubles = self.witness.troubled(*STORAGE_TROUBLE)
        for trouble in sorted(troubles, key=lambda t: t.to_ns, reverse=True):
            if trouble.from_ns <= life.ended_ns and trouble.to_ns + RECOVERED_NS >= until_ns:
                until_ns = min(until_ns, trouble.from_ns - bound_ns)
        return until_ns

    def in_trouble(self, names: Sequence[str], at_ns: int, grace_ns: int = RECOVERED_NS) -> bool:
        """Whether one of these faults was there, or just over."""
        return any(
            trouble.from_ns <= at_ns <= trouble.to_ns + grace_ns
            for trouble in self.witness.troubled(*names)
        )


def read_record(world: World, witness: Witness, agency: BenchAgency, vault: Path) -> Record:
    lines = list(_lines(witness, vault))
    return Record(
        world,
        witness,
        lines,
        list(_pieces(lines, agency, vault, world.uplink.store)),
        _episodes(world, witness),
        dict(_stills(lines, agency, vault, world.uplink.store)),
    )


def _lines(witness: Witness, vault: Path) -> Iterator[Said]:
    """In order of writing. What stands where a later file goes on is torn, and was never said."""
    of_file = {
        name: _told(vault / "ledger" / name) for life in witness.lives for name in life.ledgers
    }
    firsts = [(name, told[0]["n"]) for name, told in sorted(of_file.items()) if told]
    for life in witness.lives:
        for name in life.ledgers:
            torn_from = min((n for other, n in firsts if other > name), default=None)
            for fields in of_file[name]:
                if torn_from is None or fields["n"] < torn_from:
                    yield Said(life, fields["t"] + life.origin_ns, fields)


def _told(path: Path) -> list[dict[str, Any]]:
    """The lines of a ledger file, as far as they can be read: an object, a tab, a signature."""
    told = []
    for raw in path.read_bytes().split(b"\n") if path.exists() else []:
        try:
            fields = json.loads(raw.partition(b"\t")[0])
        except ValueError:
            continue
        if isinstance(fields, dict):
            told.append(fields)
    return told


def _pieces(
    lines: list[Said], agency: BenchAgency, vault: Path, store: MemoryStore
) -> Iterator[SegmentPiece]:
    for said in lines:
        if said.fields["kind"] != "open":
            continue
        name = said.fields["segment"]
        for sealed in _sealed(vault, store, f"footage/{agency.device.device}/{name}/"):
            plain = _opened(sealed, agency.identities)
            head = len(said.fields["header"]) + len(said.fields["nonce"]) // 2
            pictures, sounds = _samples(plain, said.world_ns("first_pts_ns"), head, len(sealed))
            yield SegmentPiece(name, said.fields["recording"], pictures, sounds)


def _stills(
    lines: list[Said], agency: BenchAgency, vault: Path, store: MemoryStore
) -> Iterator[tuple[str, bytes]]:
    for said in lines:
        if said.fields["kind"] == "still":
            name = said.fields["segment"]
            for sealed in _sealed(vault, store, f"footage/{agency.device.device}/{name}/"):
                yield name, _opened(sealed, agency.identities)


def _sealed(vault: Path, store: MemoryStore, key: str) -> Iterator[bytes]:
    """A file as it is on the camera, or where it was delivered to."""
    name = key.split("/")[2]
    here = [vault / "footage" / name, vault / "footage" / f"{name}.part"]
    found = [path.read_bytes() for path in here if path.exists()]
    yield from found or [data for k, data in store.objects.items() if k.startswith(key)]


def _opened(sealed: bytes, identities: Sequence[age.Identity]) -> bytes:
    try:
        return b"".join(Opener(io.BytesIO(sealed), identities).whole_chunks())
    except UNREADABLE:
        return b""


def _samples(
    plain: bytes, start_ns: int, head: int, length: int
) -> tuple[list[TakenPicture], list[int]]:
    """The final chunk is shorter than a whole one: `length` is the sealed file's."""
    pictures, sounds = [], []
    try:
        for sample in samples(plain):
            at_ns = start_ns + sample.pts_ns
            if sample.video:
                number, end = StubVideo.number_of(sample.data), sealed_end(sample.end, head)
                end = min(end, length)
                before, data, behind = without_statements(sample.data)
                pictures.append(TakenPicture(number, at_ns, data, end, before, behind))
            else:
                sounds.append(at_ns)
    except UNREADABLE:
        pass  # what could be read counts
    return pictures, sounds


def _episodes(world: World, witness: Witness) -> list[Episode]:
    episodes: list[Episode] = []
    for life in witness.lives:
        start_ns: int | None = None
        for transition in world.transitions:
            if not life.started_ns <= transition.at_ns <= life.ended_ns:
                continue
            starts = transition.event.value == "start" and transition.before.value == "ready"
            if starts:
                start_ns = transition.at_ns
            elif start_ns is not None and transition.after.value not in IN_RECORDING:
                episodes.append(Episode(life, start_ns, transition.at_ns, orderly=True))
                start_ns = None
        if start_ns is not None:
            episodes.append(Episode(life, start_ns, life.ended_ns, orderly=False))
    return episodes
