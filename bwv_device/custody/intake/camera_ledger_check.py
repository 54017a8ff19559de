"""Checks a camera's ledger with public keys: continuity, and what it claims of files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509

from bwv_device.custody.history import standing
from bwv_device.custody.intake.ledger_pieces import LEDGER_LIMIT, LedgerPiece, Pieces
from bwv_device.custody.intake.recording_times import Heard, Stories, times, unknown
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.session import CustodySession
from bwv_device.formats import canonical_json, statement, store_keys
from bwv_device.formats.grammar.statements import FILES_LIMIT, Docking
from bwv_device.formats.ledger_lines import Head
from bwv_device.verification.footage_claims import Claim
from bwv_device.verification.ledger_chain import LedgerWalk, Walked
from bwv_device.verification.signed_heads import Recorded, all_recorded, fork_proof
from bwv_device.verification.tlog.checkpoint import read_signed
from hal.ports import SECOND_NS, Anchor

# Of the ledgers that a docking brings, all that are new.
LEDGERS_LIMIT = 256 << 20


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
        older += _said_over_mqtt(docking, pieces, heads, roots, _settled(session, device))
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


class Settled(NamedTuple):
    """What a person decided of a fork: which proof it was, and how many kept heads it covers."""

    proof: str
    heads: int


def _settled(session: CustodySession, device: str) -> Settled:
    row = session.index.row("SELECT * FROM cameras WHERE device = ?", device)
    return Settled(row["settled_proof"], row["settled_heads"]) if row else Settled("", 0)


def _said_over_mqtt(
    docking: Docking,
    pieces: Pieces,
    heads: Path | None,
    roots: Sequence[x509.Certificate],
    settled: Settled,
) -> list[Anchor]:
    """Heads that a watch heard and that this docking must hold: each that is not newer than its
    end, whenever it was said. Of newer ones what the camera said after this docking can't be judged
    yet: the next one is held against it. Raises `ValueError` where it is behind what it said, and
    where its ledger forked, until a person decides."""
    if heads is None:
        return []
    if fork_proof(heads, docking.device) not in ("", settled.proof):
        raise ValueError(
            "its ledger has forked, and the proof is kept: a person must decide (bwv custody "
            "camera settle)"
        )
    said = all_recorded(heads, docking.device, roots, pieces.number, settled.heads)
    held = [one.anchor for one in said if one.anchor.number <= docking.anchor.number]
    newer = [one for one in said if one.anchor.number > docking.anchor.number]
    for one in newer:
        _refuse_behind(docking, one)
    return held


def _refuse_behind(docking: Docking, said: Recorded) -> None:
    """Raises `ValueError` where the camera said before this docking what the docking lacks."""
    docked_ms = docking.time.utc_ns // 1_000_000
    error_ms = docking.time.error_ns // 1_000_000
    anchor = said.anchor
    if said.utc_ms + said.error_ms > docked_ms - error_ms and anchor.boot >= docking.boot:
        return  # said later, or it can't be told: the next docking is held against it
    raise ValueError(
        f"the camera is behind what it said over MQTT (boot {anchor.boot}, line "
        f"{anchor.number}): rolled back, or a copy"
    )


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
    written_s = session.store.written_utc_s(store_keys.docking(docking.device, docking.nonce))
    heard = Heard(now_ns, min(now_ns, written_s * SECOND_NS))
    recordings = [
        times(name, stories, docking, heard) for name in names if name in stories.recordings
    ]
    known = {r["recording"] for r in recordings}
    for name in names:
        row = session.index.row("SELECT 1 FROM recordings WHERE id = ?", f"{docking.device}/{name}")
        if name not in known and row is None:  # its `open` line was lost in a power cut
            recordings.append(unknown(name, docking, now_ns))
    return files, recordings
