"""Lists the vault's files that the evidence store has not received yet, from the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from bwv_device.camera.vault.signed_lines import SignedLines
from bwv_device.camera.vault.vault import part_digest
from bwv_device.formats.grammar.decode import GrammarError
from bwv_device.formats.grammar.ledger_kinds import typed
from bwv_device.formats.grammar.statements import FILES_LIMIT
from bwv_device.formats.ledger_lines import DIRECTORY, SUFFIX, Line, boot_of, ledger_path
from bwv_device.formats.vault_layout import FOOTAGE, PART, SegmentName
from bwv_device.verification.footage_claims import Claim, ClaimError, follow
from hal.ports import Anchor, Disk


class Deliverable(NamedTuple):
    """A settled file. `urgent`: its recording was flagged as evidence."""

    segment: str
    length: int
    sha256: str
    urgent: bool


class Inventory(NamedTuple):
    """Files in the order in which they are to be delivered, how many can't be yet (they met an
    error, and the next boot explains them), how long each boot's ledger file is, the current one
    up to the anchor, and what a `wipe` line names that is still there."""

    files: list[Deliverable]
    unsettled: int
    ledgers: dict[int, int]
    wiped: list[str]


def take(disk: Disk, certificate_pem: bytes, anchor: Anchor) -> Inventory:
    """Reads the ledger files of the boots whose footage is still there, and of later ones, which
    may have recovered it."""
    names = {name.removesuffix(PART) for name in disk.names(FOOTAGE)}
    present = {name for name in names if SegmentName.parse(name)}
    named = filter(None, map(boot_of, disk.names(DIRECTORY)))
    # What is numbered beyond this boot is none of ours.
    boots = sorted(boot for boot in named if boot <= anchor.boot)
    oldest = min((int(name[:8]) for name in present), default=anchor.boot)
    claims: dict[str, Claim] = {}
    flagged: set[str] = set()
    wiped: set[str] = set()
    ledgers = {boot: disk.size(ledger_path(boot)) for boot in boots}
    for boot in [boot for boot in boots if boot >= oldest]:
        for line, end in _lines(disk, certificate_pem, boot):
            _claim(claims, boot, line)
            if line.kind == "wipe":
                wiped.add(str(line.fields.get("segment")))
            if line.kind == "flag":
                flagged.add(str(line.fields.get("recording")))
            if line.number == anchor.number:
                ledgers[boot] = end
                break
    left_over = sorted(present & wiped)
    present -= wiped
    settled = [claims[name] for name in sorted(present) if _settled(claims.get(name))]
    files = [
        Deliverable(claim.name, claim.length or 0, claim.sha256, claim.recording in flagged)
        for claim in settled
    ]
    # Stable: among equals the oldest, as their names say.
    files.sort(key=lambda file: not file.urgent)
    later = max(0, len(files) - FILES_LIMIT)  # more than one docking names
    return Inventory(files[:FILES_LIMIT], len(present) - len(settled) + later, ledgers, left_over)


def waiting(disk: Disk) -> tuple[int, str]:
    """How many files wait to be delivered, and the oldest's name, "" for none."""
    names = {name.removesuffix(PART) for name in disk.names(FOOTAGE)}
    ours = sorted(name for name in names if SegmentName.parse(name))
    return len(ours), ours[0] if ours else ""


def recorded_ns(disk: Disk, certificate_pem: bytes, name: str) -> int | None:
    """When a file began, UTC, by the camera's clock then; None if the clock was not set."""
    boot = int(name[:8])
    if f"{boot:08d}{SUFFIX}" not in disk.names(DIRECTORY):
        return None
    for line, _ in _lines(disk, certificate_pem, boot):
        if line.kind == "open" and line.fields.get("segment") == name:
            time = line.fields.get("time")
            known = isinstance(time, dict) and time.get("source") != "none"
            return int(time["utc_ns"]) if known and isinstance(time, dict) else None
    return None


def ledger_digest(disk: Disk, boot: int, offset: int, length: int) -> str:
    return part_digest(disk, ledger_path(boot), offset, length)


def _lines(disk: Disk, certificate_pem: bytes, boot: int) -> Iterator[tuple[Line, int]]:
    read = SignedLines(disk, certificate_pem).file(boot, whole=True)
    return read.lines() if read.trusted else iter(())


def _claim(claims: dict[str, Claim], boot: int, line: Line) -> None:
    """A line that breaks the rules is for the verifiers; here it claims nothing."""
    with suppress(ClaimError, GrammarError):
        follow(claims, boot, typed(line.kind, line.fields))


def _settled(claim: Claim | None) -> bool:
    return claim is not None and bool(claim.settled) and bool(claim.length)
