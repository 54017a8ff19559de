"""Runs first at each boot: finds the end of the ledger, and explains the files that were open.

It needs no key and changes no segment. It may be interrupted at any point; the next boot does the
same again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from typing import Any, NamedTuple

from bwv_device.camera.vault.fork import find_fork, named_branches
from bwv_device.camera.vault.ledger_writer import Ledger
from bwv_device.camera.vault.signed_lines import SignedLines
from bwv_device.camera.vault.vault import Vault, file_digest
from bwv_device.errors import VaultError
from bwv_device.formats import canonical_json
from bwv_device.formats.grammar.decode import GrammarError
from bwv_device.formats.grammar.ledger_kinds import TORN_LIMIT, typed
from bwv_device.formats.ledger_lines import (
    DIRECTORY,
    START,
    Head,
    Line,
    Torn,
    boot_of,
    branches_head,
    ledger_path,
)
from bwv_device.formats.vault_layout import FOOTAGE, PART, SegmentName
from bwv_device.verification.chain_ends import End
from hal.ports import Anchor, Disk, Identity

LAST_BOOT = 99_999_999
# Further ahead of a camera's own newest file, another's name is not taken for a boot's.
BOOTS_AHEAD = 1000


class OpenSegment(NamedTuple):
    """A file that the ledger has not closed."""

    name: str
    recording: str
    attested_length: int


class Found(NamedTuple):
    """The state of a vault before this boot. `wiped` are files that receipts let the camera forget;
    `assignment` is the newest, and `officer` the command that named one since; each boot writes
    them again. `commands` is the largest counter of a command that was accepted."""

    boot: int
    head: Head
    torn: list[Torn]
    open_segments: list[OpenSegment]
    open_recording: str | None
    orderly: bool
    wiped: list[str]
    assignment: dict[str, str] | None
    officer: dict[str, str] | None = None
    commands: int = 0
    branches: Sequence[End] = ()  # where the ledger has forked: what this boot names and ends


class Recovered(NamedTuple):
    """What was recovered: (name, length, attested length) per segment."""

    found: Found
    segments: list[tuple[str, int, int]]
    anchor: Anchor


class OpeningError(OSError):
    """The disk failed while a vault was opened. What was acknowledged until then is where the next
    attempt continues."""

    def __init__(self, error: OSError, acknowledged: Head) -> None:
        super().__init__(error.errno, error.strerror)
        self.acknowledged = acknowledged


def boot_vault(
    disk: Disk,
    identity: Identity,
    key_entropy: bytes,
    t_ns: int,
    fields: Mapping[str, Any],
    cause: str,
    acknowledged: Head | None = None,
) -> tuple[Vault, Recovered]:
    """Opens the vault for a new boot: boot line, `recovered` lines, `recovery` line. `cause` is
    what ended the last boot, unless that one stopped in order. Lines behind `acknowledged`, which a
    failed sync left in doubt, count as torn."""
    found = survey(disk, identity.certificate_pem, acknowledged)
    cause = "fork" if found.branches else "start" if found.orderly else cause
    begins = {**fields, **_seen(found, cause)}
    for boot in range(found.boot + 1, LAST_BOOT + 1):
        vault = Vault(disk, Ledger(identity, key_entropy, boot, found.head))
        try:
            vault.begin(t_ns, begins)
            anchor, segments = _explain(disk, vault, found, t_ns, cause)
        except FileExistsError:
            continue  # something that is not a ledger has this boot's name
        except OSError as error:
            raise OpeningError(error, vault.acknowledged) from error
        return vault, Recovered(found, segments, anchor)
    raise VaultError("No boot has a free name.", "Look at the ledger folder.")


def _seen(found: Found, cause: str) -> dict[str, Any]:
    """What the boot line says of what was there."""
    seen: dict[str, Any] = {"cause": cause}
    if found.torn:
        # The newest, if there are more than a line may name: whoever has the card can add files.
        seen["torn"] = [torn._asdict() for torn in found.torn[-TORN_LIMIT:]]
    if found.branches:
        seen["branches"] = [end._asdict() for end in found.branches]
    return seen


def _explain(
    disk: Disk, vault: Vault, found: Found, t_ns: int, cause: str
) -> tuple[Anchor, list[tuple[str, int, int]]]:
    segments = []
    for segment in found.open_segments:
        length, digest = _digest(disk, segment.name)
        line = {"recording": segment.recording, "attested_length": segment.attested_length}
        line |= {"segment": segment.name, "length": length, "sha256": digest, "cause": cause}
        vault.note("recovered", t_ns, line)
        segments.append((segment.name, length, segment.attested_length))
    _finish_removals(disk, found.wiped)
    if found.open_recording:
        vault.note("close", t_ns, {"recording": found.open_recording, "reason": cause})
    # Before `recovery`: the next boot looks no further back than to that line.
    for kind, kept in (("assignment", found.assignment), ("officer", found.officer)):
        if kept is not None:
            vault.note(kind, t_ns, kept)
    counter = {"commands": found.commands} if found.commands else {}
    return vault.note("recovery", t_ns, {"segments": len(segments), **counter}), segments


def survey(disk: Disk, certificate_pem: bytes, acknowledged: Head | None = None) -> Found:
    """Reads the newest ledger files, back to the last completed recovery. What is read is synced
    first: the next line must not continue one that a power cut takes away. Only what this camera
    signed counts; `certificate_pem` is its own certificate and its issuer."""
    signed = SignedLines(disk, certificate_pem)
    names = map(boot_of, disk.names(DIRECTORY))
    boots = _plausible(signed, sorted(boot for boot in names if boot is not None))
    if boots and boots[-1] >= LAST_BOOT:
        raise VaultError("The ledger's boot counter is used up.", "Look at the ledger folder.")
    if boots:
        disk.sync(ledger_path(boots[-1]))
        disk.sync(DIRECTORY)
    fork = find_fork(disk, signed, boots, acknowledged)
    oldest = fork.oldest_boot if fork else LAST_BOOT
    head, torn, lines, first_boot = _read_back(signed, boots, acknowledged, oldest)
    boot = boots[-1] if boots else 0
    whole_since = max([_healed(lines), boot + 1 if fork else 0])
    first_boot = max(first_boot, whole_since)
    opened: dict[str, OpenSegment] = {}
    settled: set[str] = set()
    recording: str | None = None
    for line in lines:
        recording = _follow(line, opened, settled, recording)
    if recording is not None and int(recording[:8]) < whole_since:
        recording = None
    # Nothing is said of what stands in the branches of a fork.
    waiting = [o for o in opened.values() if o.name not in settled and _boot(o) >= whole_since]
    waiting += _unacknowledged(disk, first_boot, opened.keys() | settled)
    orderly = not boots or (bool(lines) and lines[-1].kind == "stop" and not torn)
    wiped = _wiped(lines)
    assigned, commands = _assigned(lines), _commands(lines)
    if fork:
        head, torn = branches_head(fork.ends), fork.torn
        return Found(boot, head, torn, [], None, False, wiped, *assigned, commands, fork.ends)
    return Found(boot, head, torn, waiting, recording, orderly, wiped, *assigned, commands)


def _plausible(signed: SignedLines, boots: list[int]) -> list[int]:
    """Without what stands far ahead of this camera's own files: a name alone must not use up the
    boot counter. Files are read for that only where numbers are far ahead of how many there are."""
    if not boots or boots[-1] <= len(boots) + BOOTS_AHEAD:
        return boots
    own = next((boot for boot in reversed(boots) if signed.file(boot).trusted), len(boots))
    return [boot for boot in boots if boot <= own + BOOTS_AHEAD]


def _wiped(lines: Sequence[Line]) -> list[str]:
    """Files that may be removed: a receipt stands before, in the same boot."""
    receipted: set[str] = set()
    wiped = []
    for line in lines:
        if line.kind == "boot":
            receipted = set()
        elif line.kind == "receipt":
            receipted.add(str(line.fields["segment"]))
        elif line.kind == "wipe" and line.fields["segment"] in receipted:
            wiped.append(str(line.fields["segment"]))
    return wiped


def _boot(segment: OpenSegment) -> int:
    return int(segment.name[:8])


def _healed(lines: Sequence[Line]) -> int:
    """The newest boot that named the branches of a fork; 0 for none."""
    healed = [line.fields.get("boot") for line in lines if named_branches(line)]
    return max((boot for boot in healed if type(boot) is int), default=0)


def _assigned(lines: Sequence[Line]) -> tuple[dict[str, str] | None, dict[str, str] | None]:
    """The newest assignment, and the officer that a command named since."""
    assignment = officer = None
    for line in lines:
        if line.kind in ("assignment", "officer"):
            kept = {name: str(line.fields[name]) for name in ("statement", "certificate")}
            if line.kind == "assignment":
                assignment, officer = kept, None
            else:
                officer = kept
    return assignment, officer


def _commands(lines: Sequence[Line]) -> int:
    """The largest counter of a command."""
    largest = 0
    for line in lines:
        counter = line.fields.get("commands")
        if line.kind == "command":
            with suppress(ValueError):
                said = canonical_json.decode(line.fields["statement"].rpartition("\t")[0].encode())
                counter = said.get("counter")
        if line.kind in ("command", "recovery") and type(counter) is int:
            largest = max(largest, counter)
    return largest


def _read_back(
    signed: SignedLines, boots: list[int], acknowledged: Head | None, oldest: int
) -> tuple[Head, list[Torn], list[Line], int]:
    """Lines of the newest files, back to the boot whose recovery was completed, and that boot. Of a
    fork, all branches are read: back to such a boot not newer than `oldest`.

    A boot that was cut off before its first sync leaves a file without any valid line: its bytes
    are named as torn, like every tail behind the last valid line.
    """
    lines: list[Line] = []
    torn: list[Torn] = []
    head: Head | None = None
    others = 0
    for boot in reversed(boots):
        read = signed.file(boot)
        chain = read.lines
        if acknowledged is not None:
            chain = [item for item in chain if item[0].number <= acknowledged.number]
        length = chain[-1][1] if chain else 0
        if head is None and (length < len(read.data) or not chain):
            rest = read.data[length:]
            name = ledger_path(boot).rpartition("/")[2]
            torn.insert(0, Torn(name, len(rest), hashlib.sha256(rest).hexdigest()))
        if head is None and chain:
            head = Head(chain[-1][0].number, chain[-1][0].digest)
        if not read.trusted:
            # It shows where the chain ends; nothing that it says is acted on, nor is anything
            # said of its footage.
            others = max(others, boot if chain else 0)
            continue
        # A line of ours that says what it may not still is where the chain goes on.
        lines = [line for line, _ in chain if _of_the_grammar(line)] + lines
        for end in named_branches(chain[0][0]) if chain else ():
            oldest = min(oldest, end.boot)
        if boot <= oldest and any(line.kind == "recovery" for line, _ in chain):
            return head or START, torn, lines, max(boot, others + 1)
    return head or START, torn, lines, others + 1 if others else 0


def _of_the_grammar(line: Line) -> bool:
    """Whether a line says what its kind must: only then it is acted on."""
    try:
        typed(line.kind, line.fields)
    except GrammarError:
        return False
    return True


def _follow(
    line: Line, opened: dict[str, OpenSegment], settled: set[str], recording: str | None
) -> str | None:
    fields, name = line.fields, str(line.fields.get("segment", ""))
    if line.kind == "open":
        opened[name] = OpenSegment(name, fields["recording"], 0)
        return str(fields["recording"])
    if line.kind == "sync" and name in opened:
        opened[name] = opened[name]._replace(attested_length=fields["length"])
    elif line.kind in ("seal", "recovered", "still", "wipe"):
        settled.add(name)
    elif line.kind == "close" and fields["recording"] == recording:
        return None
    return recording


def _finish_removals(disk: Disk, wiped: list[str]) -> None:
    """Removes files that a `wipe` line names and a power cut brought back. Where the disk refuses,
    recording must go on: the next docking tries it again (`undelivered`)."""
    names = disk.names(FOOTAGE)
    paths = [n for name in wiped for n in (name, name + PART) if n in names]
    with suppress(OSError):
        for path in paths:
            disk.remove(f"{FOOTAGE}/{path}")
        if wiped:
            disk.sync(FOOTAGE)


def _unacknowledged(disk: Disk, first_boot: int, known: Set[str]) -> list[OpenSegment]:
    """Files of the boots in question whose `open` line was lost. Foreign files are left alone: the
    verifier reports them."""
    names = dict.fromkeys(name.removesuffix(PART) for name in disk.names(FOOTAGE))
    return [
        OpenSegment(name, "", 0)
        for name in names
        if name not in known and (ours := SegmentName.parse(name)) and ours.boot >= first_boot
    ]


def _digest(disk: Disk, name: str) -> tuple[int, str]:
    path = f"{FOOTAGE}/{name}"
    if name + PART in disk.names(FOOTAGE):
        path += PART
    elif name not in disk.names(FOOTAGE):
        return 0, hashlib.sha256(b"").hexdigest()
    # What a line attests must be on the disk. After a failed sync, or where only the process ended,
    # it may be in the page cache alone.
    disk.sync(path)
    disk.sync(FOOTAGE)
    disk.sync("")
    return file_digest(disk, path)
