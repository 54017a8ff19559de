"""Checks a camera's ledger with public keys: continuity, claims, and each recording's times."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509

from bwv_device.custody.history import standing
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.session import CustodySession
from bwv_device.formats import canonical_json, statement, store_keys
from bwv_device.formats.grammar.ledger_kinds import (
    Boot,
    FlagLine,
    Marker,
    Open,
    Seal,
    Still,
    Sync,
    TimeLine,
)
from bwv_device.formats.grammar.ledger_kinds import Greeting as GreetingLine
from bwv_device.formats.grammar.statements import FILES_LIMIT, Docking, LedgerLength
from bwv_device.formats.ledger_lines import Head, Line, ledger_path
from bwv_device.verification.footage_claims import Claim
from bwv_device.verification.ledger_chain import LedgerWalk, Walked
from bwv_device.verification.signed_heads import recorded
from bwv_device.verification.tlog.checkpoint import read_signed
from hal.ports import SECOND_NS, Anchor, EvidenceStore

# The error of a clock that was never set.
UNKNOWN_NS = 1 << 60
# So much may custody's own clock be wrong when it bounds a recording's end: what bounds it must
# not end it before it ended.
CUSTODY_CLOCK_NS = 900 * SECOND_NS
# A boot's ledger: some hundred times that of a ten-hour shift. Of a docking, all that are new.
LEDGER_LIMIT, LEDGERS_LIMIT = 64 << 20, 256 << 20


class LedgerPiece(NamedTuple):
    boot: int
    offset: int
    length: int
    key: str


class Pieces:
    """The parts of a camera's ledger in the store: accepted pieces, and those of this
    docking."""

    def __init__(self, index: Index, store: EvidenceStore, device: str, nonce: str) -> None:
        self._store = store
        camera = index.row("SELECT * FROM cameras WHERE device = ?", device)
        self.number = camera["number"] if camera else 0
        # A camera may be issued, or revoked, before it ever docks.
        docked = camera if camera and camera["number"] else None
        self.start = Head(docked["start_number"], docked["start_digest"]) if docked else None
        self.first_boot = camera["boot"] if camera else 0
        rows = index.rows(
            "SELECT * FROM pieces WHERE device = ? AND boot >= ?", device, self.first_boot
        )
        self._old = [LedgerPiece(r["boot"], r["offset"], r["length"], r["key"]) for r in rows]
        self.new = list(self._arrived(device, nonce))
        self.read: list[LedgerPiece] = []

    def _arrived(self, device: str, nonce: str) -> list[LedgerPiece]:
        found = []
        for stored in self._store.entries(store_keys.ledger_pieces(device, nonce)):
            boot, _, offset = stored.key.rpartition("/")[2].partition("-")
            ours = len(boot) == 8 and len(offset) == 12 and (boot + offset).isascii()
            if ours and (boot + offset).isdigit() and stored.length <= LEDGER_LIMIT:
                found.append(LedgerPiece(int(boot), int(offset), stored.length, stored.key))
        return found

    def lengths(self) -> dict[int, int]:
        """How far each boot's file is covered from its start."""
        covered: dict[int, int] = {}
        for piece in sorted([*self._old, *self.new]):
            if piece.offset <= covered.get(piece.boot, 0):
                end = piece.offset + piece.length
                covered[piece.boot] = max(covered.get(piece.boot, 0), end)
        return covered

    def complete(self, ledgers: Sequence[LedgerLength]) -> bool:
        """Whether everything that the docking names, from the newest known boot on, is here."""
        covered = self.lengths()
        return all(
            covered.get(file.boot, 0) >= file.length
            for file in ledgers
            if file.boot >= self.first_boot
        )

    def write(self, vault: Path, ledgers: Sequence[LedgerLength]) -> None:
        """The ledger files from the newest known boot on, as the camera has them. `read` are the
        new pieces that they are made of: nothing else was looked at."""
        (vault / "ledger").mkdir()
        for boot, length in ((file.boot, file.length) for file in ledgers):
            if boot < self.first_boot:
                continue
            data = bytearray()
            for piece in sorted(p for p in [*self._old, *self.new] if p.boot == boot):
                if piece.offset <= len(data) < min(piece.offset + piece.length, length):
                    content = self._store.read(piece.key, piece.length)
                    data += content[len(data) - piece.offset :]
                    if piece in self.new:
                        self.read.append(piece)
            (vault / ledger_path(boot)).write_bytes(bytes(data[:length]))


@dataclass(slots=True)
class Judged:
    """The result of the check; `fields` are those of custody's `docking` line."""

    problems: list[str]
    judged_from: int
    fields: dict[str, Any] = field(default_factory=dict)


def judge(
    docking: Docking,
    pieces: Pieces,
    session: CustodySession,
    roots: Sequence[x509.Certificate],
    heads: Path | None = None,
) -> Judged:
    """Holds the ledger that came with a docking against everything known of this camera, also of
    what it said over MQTT (`heads`)."""
    device = docking.device
    new = [file.length for file in docking.ledgers if file.boot >= pieces.first_boot]
    if max(new, default=0) > LEDGER_LIMIT or sum(new) > LEDGERS_LIMIT:
        return Judged(["its ledger is longer than a camera writes"], pieces.number)
    anchor = Anchor(device, docking.boot, docking.anchor.number, docking.anchor.digest)
    older = _anchors(session, device)
    try:
        older += _said_over_mqtt(docking, pieces, heads, roots)
    except ValueError as error:
        return Judged([str(error)], pieces.number)
    stories = Stories()
    report = Walked(device=device, claims=_known_claims(session.index, device, pieces.first_boot))
    with tempfile.TemporaryDirectory() as folder:
        pieces.write(Path(folder), docking.ledgers)
        LedgerWalk(
            Path(folder), roots, [anchor, *older], report,
            pieces.start or Head(0, "0" * 64), pieces.number, stories.hear,
        ).run()  # fmt: skip
    _remember_checkpoints(session, device, stories.checkpoints)
    problems = list(report.problems)
    if report.head is not None and report.head.number != anchor.number:
        problems.append("the ledger does not end at the docking's anchor")
    if anchor.number < pieces.number or anchor.boot < pieces.first_boot:
        problems.append("the camera is behind what it showed before: rolled back, or a copy")
    if problems:
        return Judged(problems, pieces.number)
    start = report.boot_heads.get(anchor.boot, Head(0, ""))
    absent = _absent(docking, report, session.index)
    files, recordings = _listed(docking, report, stories, session, absent)
    lengths = {file.boot: file.length for file in docking.ledgers}
    fields = {
        "anchor": {"boot": anchor.boot, "number": anchor.number, "digest": anchor.digest},
        "start": {"number": start.number, "digest": start.digest},
        "length": lengths.get(anchor.boot, 0),
        "pieces": [piece._asdict() for piece in [*pieces.read, *_empty(docking)]],
        "files": files,
        "recordings": recordings,
        "clock": docking.time.source,
        "battery": docking.battery,
    }
    if report.whole_since:
        since, branches = report.whole_since, report.branches
        fields["fork"] = {"from": report.forked_from, "since": since, "branches": branches}
    if stories.flags:
        fields["flagged"] = list(stories.flags)
    if absent:
        fields["absent"] = absent
    if lost := _lost(device, report, session.index):
        fields["lost"] = lost
    return Judged([], pieces.number, fields)


def _remember_checkpoints(session: CustodySession, device: str, greetings: Sequence[str]) -> None:
    """What custody itself said to this camera, the newest of this store's log: each camera is a
    witness. What the log did not sign, or another store's did, is nothing to us."""
    trust, newest = session.trust(), None
    for text in greetings if trust is not None else ():
        try:
            fields = canonical_json.decode(statement.split(text.encode())[0])
            note = str(fields.get("checkpoint", ""))
            signed = read_signed(note.encode(), trust.log) if trust and note else None
        except ValueError:
            continue
        if signed is not None and (newest is None or signed.checkpoint.size > newest.size):
            newest = signed.checkpoint
    if newest is not None:
        standing.remember(session.index, newest, f"the camera {device}")


def _absent(docking: Docking, report: Walked, index: Index) -> list[dict[str, Any]]:
    """Files that the ledger says were finished, and that are neither announced, nor removed on a
    receipt, nor here: somebody took them off the card, or it lost them."""
    announced = {file.segment for file in docking.files}
    if len(announced) >= FILES_LIMIT:
        return []  # more than one docking names
    rows = index.rows("SELECT segment, status FROM files WHERE device = ?", docking.device)
    known = {row["segment"]: row["status"] for row in rows}
    return [
        {
            "segment": claim.name,
            "length": claim.length,
            "sha256": claim.sha256,
            "recording": claim.recording or claim.name[:13],
        }
        for claim in sorted(report.claims.values(), key=lambda claim: claim.name)
        if claim.settled
        and claim.length
        and not claim.wiped
        and claim.name not in announced
        and known.get(claim.name, "expected") == "expected"
        and not report.in_branch(int(claim.name[:8]))
    ]


def _lost(device: str, report: Walked, index: Index) -> list[str]:
    """Files that the camera removed on a receipt of custody's which custody knows nothing of: its
    store was set back to an older state, and what came since is gone from it."""
    rows = index.rows("SELECT segment FROM files WHERE device = ? AND status != 'expected'", device)
    known = {row["segment"] for row in rows}
    return sorted(
        name for name, claim in report.claims.items() if claim.wiped and name not in known
    )


def _empty(docking: Docking) -> list[LedgerPiece]:
    """Files that a power cut left empty: the next boot names them, and there is nothing to send."""
    return [LedgerPiece(file.boot, 0, 0, "") for file in docking.ledgers if file.length == 0]


def _anchors(session: CustodySession, device: str) -> list[Anchor]:
    """The newest head that this camera showed before."""
    camera = session.index.row("SELECT * FROM cameras WHERE device = ?", device)
    if camera is None or not camera["number"]:
        return []
    return [Anchor(device, camera["boot"], camera["number"], camera["digest"])]


def _said_over_mqtt(
    docking: Docking, pieces: Pieces, heads: Path | None, roots: Sequence[x509.Certificate]
) -> list[Anchor]:
    """The newest head that a watch heard, where this docking must hold it. What the camera said
    after this docking can't be judged yet: the next one is held against it. Raises `ValueError`
    where it is behind what it said."""
    said = recorded(heads, docking.device, roots) if heads else None
    if said is None or said.anchor.number < pieces.number:
        return []
    docked_ms = docking.time.utc_ns // 1_000_000
    error_ms = docking.time.error_ns // 1_000_000
    anchor = said.anchor
    if said.utc_ms + said.error_ms > docked_ms - error_ms and anchor.boot >= docking.boot:
        return []  # said later, or it can't be told: the next docking is held against it
    if anchor.boot > docking.boot:
        raise ValueError(
            f"the camera is behind what it said over MQTT (boot {anchor.boot}, line "
            f"{anchor.number}): rolled back, or a copy"
        )
    if anchor.boot == docking.boot and anchor.number > docking.anchor.number:
        return []
    return [anchor]


def _known_claims(index: Index, device: str, first_boot: int) -> dict[str, Claim]:
    """Files of boots before the first that is walked: judged when they were announced."""
    return {
        row["segment"]: Claim(
            row["segment"],
            row["recording"].partition("/")[2],
            length=row["length"],
            sha256=row["sha256"],
            settled="sealed",
        )
        for row in index.rows("SELECT * FROM files WHERE device = ?", device)
        if int(row["segment"][:8]) < first_boot
    }


# --- recordings ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Story:
    """What the ledger says of a recording."""

    boot: int
    officer: str = ""
    trigger: str = ""
    first_ns: int | None = None
    last_ns: int = 0
    flagged: bool = False
    markers: list[tuple[str, int]] = field(default_factory=list)


class Reading(NamedTuple):
    """Wall clock and monotonic time, at once: the truth is within ± error."""

    t_ns: int
    utc_ns: int
    error_ns: int


class Stories:
    """Collects recordings, markers and clock readings while a ledger is read."""

    def __init__(self) -> None:
        self.recordings: dict[str, Story] = {}
        self.readings: dict[int, list[Reading]] = {}
        self.of_segment: dict[str, str] = {}
        self.flags: dict[str, None] = {}
        self.checkpoints: list[str] = []

    def hear(self, boot: int, line: Line, said: Any) -> None:
        """Each line that was accepted, with its typed value."""
        t_ns = line.fields["t"]
        if isinstance(said, Open):
            self._opened(boot, said)
        elif isinstance(said, Sync | Seal):
            self._lasted(said)
        elif isinstance(said, Marker | FlagLine | Still) and said.recording in self.recordings:
            self._told(said)
        elif isinstance(said, FlagLine):  # told of one that came before
            self.flags[said.recording] = None
        elif isinstance(said, GreetingLine):
            self.checkpoints.append(said.statement)
        if isinstance(said, Boot | Open | TimeLine) and said.time is not None:
            at_ns = said.first_pts_ns if isinstance(said, Open) else t_ns
            reading = Reading(at_ns, said.time.utc_ns, said.time.error_ns)
            self.readings.setdefault(boot, []).append(reading)

    def _opened(self, boot: int, said: Open) -> None:
        self.of_segment[said.segment] = said.recording
        story = self.recordings.setdefault(said.recording, Story(boot))
        story.officer = story.officer or said.officer or ""
        story.trigger = story.trigger or said.trigger or ""
        story.first_ns = said.first_pts_ns if story.first_ns is None else story.first_ns
        story.last_ns = max(story.last_ns, said.first_pts_ns)

    def _lasted(self, said: Sync | Seal) -> None:
        ended_ns = said.end_pts_ns if isinstance(said, Seal) else said.video_until_ns
        story = self.recordings.get(self.of_segment.get(said.segment, ""))
        if story is not None and ended_ns is not None:
            story.last_ns = max(story.last_ns, ended_ns)

    def _told(self, said: Marker | FlagLine | Still) -> None:
        story = self.recordings[said.recording]
        if isinstance(said, FlagLine):
            story.flagged = True
        elif isinstance(said, Marker):
            story.markers.append((said.marker, said.at_ns))
        else:
            self.of_segment[said.segment] = said.recording
            story.markers.append(("snapshot", said.pts_ns))


def _listed(
    docking: Docking,
    report: Walked,
    stories: Stories,
    session: CustodySession,
    absent: Sequence[Mapping[str, Any]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The files that the docking announces and the ledger claims; and their recordings, with those
    of files that are `absent`."""
    files, names = [], dict.fromkeys(str(file["recording"]) for file in absent)
    for file in docking.files:
        claim = report.claims.get(file.segment)
        if claim is None or not claim.settled or claim.wiped:
            continue
        if report.in_branch(int(file.segment[:8])):
            continue
        if (claim.length, claim.sha256) != (file.length, file.sha256):
            continue
        recording = claim.recording or file.segment[:13]
        names[recording] = None
        files.append(
            {
                "segment": file.segment,
                "length": file.length,
                "sha256": file.sha256,
                "recording": recording,
            }
        )
    now_ns = session.now_ns()
    recordings = [
        _times(name, stories, docking, now_ns) for name in names if name in stories.recordings
    ]
    known = {r["recording"] for r in recordings}
    for name in names:
        row = session.index.row("SELECT 1 FROM recordings WHERE id = ?", f"{docking.device}/{name}")
        if name not in known and row is None:  # its `open` line was lost in a power cut
            recordings.append(_unknown(name, docking, now_ns))
    return files, recordings


def _times(name: str, stories: Stories, docking: Docking, now_ns: int) -> dict[str, Any]:
    """When it began and ended, by the best reading of its boot; and the latest possible end, which
    no reading moves behind the moment when the store heard of it."""
    story = stories.recordings[name]
    first_ns = story.first_ns or 0
    readings = list(stories.readings.get(story.boot, []))
    heard_ns = now_ns
    if story.boot == docking.boot:
        readings.append(Reading(docking.t, docking.time.utc_ns, docking.time.error_ns))
        heard_ns -= max(0, docking.t - story.last_ns)
    best = min(readings, key=lambda r: r.error_ns, default=Reading(0, 0, UNKNOWN_NS))
    end_ns = best.utc_ns + story.last_ns - best.t_ns
    error_ns = min(best.error_ns, UNKNOWN_NS)
    if error_ns > 86_400 * 10**9:  # the time is not known: only the bound is
        end_ns, error_ns = heard_ns, UNKNOWN_NS
    return {
        "recording": name,
        "officer": story.officer,
        "trigger": story.trigger,
        "start_ns": end_ns - (story.last_ns - first_ns),
        "end_ns": end_ns,
        "error_ns": error_ns,
        "latest_ns": min(end_ns + error_ns, heard_ns + CUSTODY_CLOCK_NS),
        "flagged": story.flagged,
        "markers": [
            {"marker": marker, "at_ns": end_ns - (story.last_ns - at_ns)}
            for marker, at_ns in story.markers
        ],
    }


def _unknown(name: str, docking: Docking, now_ns: int) -> dict[str, Any]:
    return {
        "recording": name,
        "officer": "",
        "trigger": "",
        "start_ns": now_ns,
        "end_ns": now_ns,
        "error_ns": UNKNOWN_NS,
        "latest_ns": now_ns + CUSTODY_CLOCK_NS,
        "flagged": False,
        "markers": [],
    }
