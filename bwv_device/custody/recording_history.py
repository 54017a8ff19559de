"""The history of a recording, from the press of the button to its erasure, and whether the chain is
unbroken: by what the store holds, and by what others have seen of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509

from bwv_device.custody.history.verdict import judge
from bwv_device.custody.history.witnesses import WitnessLine
from bwv_device.custody.intake.ledger_pieces import boot_ledger
from bwv_device.custody.retention.holds import existing
from bwv_device.custody.search import lines_about
from bwv_device.custody.session import CustodySession
from bwv_device.formats.ledger_lines import Line, ledger_path
from bwv_device.verification.ledger_chain import LedgerWalk, Walked
from hal.ports import Anchor

SHOWN = {
    "open", "seal", "recovered", "still", "close", "marker", "flag", "mute", "covert",
    "public-informed", "gap", "receipt", "wipe", "refused",
}  # fmt: skip


class HistoryStep(NamedTuple):
    """One line, of the camera's ledger or of custody's."""

    ledger: str
    number: int
    utc_ns: int
    who: str
    what: str
    fields: Mapping[str, Any]


@dataclass(slots=True)
class RecordingHistory:
    """`problems` are breaks of a chain; none means that it is proven unbroken. `remarks`: what was
    ignored, or could not be asked; they say nothing against this recording. `seen`: who outside
    has seen how much, in a sentence."""

    recording: str
    steps: list[HistoryStep] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    seen: str = ""


def audit(
    session: CustodySession,
    roots: Sequence[x509.Certificate],
    recording: str,
    line: WitnessLine | None = None,
) -> RecordingHistory:
    """Reads both ledgers from the store, from their first line on, and asks the witnesses over
    `line`, where there is one."""
    row = existing(session, recording)
    life = RecordingHistory(recording)
    _camera(session, roots, row, life)
    about, latest_ns = set[int](), 0
    for told in lines_about(session, recording):
        fields = {k: v for k, v in told.items() if k not in ("certificate", "prev", "by", "n")}
        who = f"{told['name']} ({told['role']})"
        # A line can't be older than the one in front of it, whatever its writer says.
        latest_ns = max(latest_ns, told["utc_ns"])
        life.steps.append(HistoryStep("custody", told["n"], latest_ns, who, told["kind"], fields))
        about.add(told["n"])
    _ledger_problems(session, about, life)
    ledger = judge(session.index, session.store, session.trust(), session.now_ns(), line)
    life.problems += ledger.problems
    life.remarks += ledger.remarks
    life.seen = ledger.seen
    life.steps.sort(key=lambda step: step.utc_ns)
    return life


def _ledger_problems(session: CustodySession, about: set[int], life: RecordingHistory) -> None:
    """A line that does not count is a remark; what is wrong with a line of this recording's that
    does, breaks it."""
    rows = session.index.rows(
        "SELECT problems.*, refused FROM problems LEFT JOIN lines USING (n) ORDER BY n"
    )
    for row in rows:
        said = f"custody line {row['n']}: {row['problem']}"
        mine = row["n"] in about and not row["refused"]
        (life.problems if mine else life.remarks).append(said)


def _camera(
    session: CustodySession,
    roots: Sequence[x509.Certificate],
    row: Mapping[str, Any],
    life: RecordingHistory,
) -> None:
    """The camera's own lines, put on the calendar by the times that intake found."""
    heard: list[tuple[int, Line]] = []
    report = Walked()
    with tempfile.TemporaryDirectory() as folder:
        write_camera_ledger(session, row["device"], Path(folder))
        anchors = [
            Anchor(row["device"], a["boot"], a["number"], a["digest"])
            for line in session.index.lines("kind = 'docking'")
            if line["device"] == row["device"] and (a := line.get("anchor"))
        ]
        LedgerWalk(
            Path(folder), roots, anchors, report,
            seen=lambda boot, line, said: heard.append((boot, line)),
        ).run()  # fmt: skip
    life.problems += [f"camera: {problem}" for problem in report.problems]
    name, own_boot = str(row["recording"]), int(row["recording"][:8])
    ends = [
        line.fields["end_pts_ns"]
        for boot, line in heard
        if boot == own_boot and line.kind == "seal" and line.fields["segment"].startswith(name)
    ]
    last_ns = max(ends, default=None)
    for boot, line in heard:
        if line.kind in SHOWN and _about(line.fields, name):
            known = boot == own_boot and last_ns is not None
            utc_ns = row["end_ns"] - last_ns + line.fields["t"] if known else row["received_ns"]
            fields = {k: v for k, v in line.fields.items() if k not in HIDDEN_FIELDS}
            step = HistoryStep("camera", line.number, utc_ns or 0, row["device"], line.kind, fields)
            life.steps.append(step)


HIDDEN_FIELDS = ("header", "nonce", "prev", "statement", "n", "kind")


def _about(fields: Mapping[str, Any], name: str) -> bool:
    return fields.get("recording") == name or str(fields.get("segment", "")).startswith(name)


def write_camera_ledger(session: CustodySession, device: str, vault: Path) -> None:
    """All that the store has of a camera's ledger, as files of a vault."""
    (vault / "ledger").mkdir(parents=True, exist_ok=True)
    boots = "SELECT DISTINCT boot FROM pieces WHERE device = ? ORDER BY boot"
    for row in session.index.rows(boots, device):
        data = boot_ledger(session.index, session.store, device, row["boot"])
        (vault / ledger_path(row["boot"])).write_bytes(data)
