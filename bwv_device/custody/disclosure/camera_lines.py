"""The lines of a camera's ledger that are about one recording, and no others (format.md, 11.3).

Each is signed by its boot's key, which the boot's first line certifies: so a line can stand without
its neighbours, which speak of other recordings, officers and dockings.
"""

from __future__ import annotations

from itertools import chain, takewhile

from bwv_device.custody.intake.ledger_pieces import boot_ledger
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.formats.ledger_lines import Head, Line, parse_line, read_chain

# What is written while a recording lasts, from its beginning to its end.
WHILE = ("open", "sync", "seal", "still", "close")
# What was seen, heard and went wrong while it was recorded: of any recording, within its time.
AROUND = (
    *("cue", "mute", "covert", "public-informed", "state", "power", "storage", "time"),
    *("fault", "refused", "capture"),
)


def camera_lines(session: CustodySession, device: str, recording: str) -> bytes:
    """As they stand in the ledger, in order, each boot's first line in front. Raises
    `CustodyError`."""
    own_boot, raw = int(recording[:8]), b""
    boots = "SELECT DISTINCT boot FROM pieces WHERE device = ? AND boot >= ? ORDER BY boot"
    for row in session.index.rows(boots, device, own_boot):
        lines = _lines(boot_ledger(session.index, session.store, device, row["boot"]))
        if not lines:
            continue
        kept = _own(lines, recording) if row["boot"] == own_boot else _later(lines, recording)
        if kept:
            raw += b"".join(_raw(line) for line in (lines[0], *kept))
    if not raw:
        raise CustodyError(
            f"The ledger of {device} says nothing of {recording}.", "See 'bwv custody audit'."
        )
    return raw


def _lines(data: bytes) -> list[Line]:
    try:
        first = parse_line(data.partition(b"\n")[0])
    except ValueError:
        return []
    head = Head(first.number - 1, str(first.fields["prev"]))
    return [line for line, _ in read_chain(data, head)]


def _own(lines: list[Line], recording: str) -> list[Line]:
    """Of the boot in which it was recorded."""
    mine = [line for line in lines if is_about(line, recording)]
    if not mine:
        return []
    # A mark that was made later says nothing of what happened in between.
    its_own = [line.number for line in mine if line.kind in WHILE]
    first, last = min(its_own, default=0), max(its_own, default=0)
    signals = _signals(lines, first, last) if its_own else set()
    return [
        line
        for line in lines
        if is_about(line, recording)
        or line.number in signals
        or (first < line.number < last and _around(line))
    ]


def _signals(lines: list[Line], first: int, last: int) -> set[int]:
    """The light and the sound of its begin and its end. Without a pre-event buffer a press is
    answered before there is a first picture."""
    before = (line for line in reversed(lines) if line.number < first)
    after = (line for line in lines if line.number > last and line.kind != "checkpoint")
    ends = (takewhile(lambda line: line.kind == "cue", side) for side in (before, after))
    return {line.number for line in chain(*ends)}


def _around(line: Line) -> bool:
    return line.kind in AROUND and "recording" not in line.fields


def _later(lines: list[Line], recording: str) -> list[Line]:
    """Of later boots only what recovery found, and how it ended."""
    kinds = ("recovered", "close", "gap")
    return [line for line in lines if line.kind in kinds and is_about(line, recording)]


def is_about(line: Line, recording: str) -> bool:
    """Removals and receipts are dockings' business."""
    if line.kind in ("receipt", "wipe"):
        return False
    segment = str(line.fields.get("segment", ""))
    return line.fields.get("recording") == recording or segment.startswith(f"{recording}-")


def _raw(line: Line) -> bytes:
    return line.signed + b"\t" + line.signature.hex().encode() + b"\n"
