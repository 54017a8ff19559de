"""Runs first at each boot: finds the end of the ledger, and explains the files that were open.

It needs no key and changes no segment. It may be interrupted at any point; the next boot does the
same again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from bwv_device.camera.vault.checkpoint import Standing
from bwv_device.camera.vault.fork import find_fork, named_branches
from bwv_device.camera.vault.ledger_writer import Ledger
from bwv_device.camera.vault.signed_lines import LedgerFile, SignedLines
from bwv_device.camera.vault.vault import Vault, file_digest, part_digest
from bwv_device.errors import VaultError
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
    without_battery: bool = False  # how the last boot ended
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
    found: Found | None = None,
) -> tuple[Vault, Recovered]:
    """Opens the vault for a new boot: boot line, `recovered` lines, `recovery` line. `cause` is
    what ended the last boot, unless that one stopped in order. Lines behind `acknowledged`, which a
    failed sync left in doubt, count as torn. `found`: where this process has looked already, and
    nobody else can have written since."""
    found = found or survey(disk, identity.certificate_pem, acknowledged)
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
    """Reads the newest ledger files, back to the last completed recovery, or to a checkpoint since.
    What is read is synced first: the next line must not continue one that a power cut takes away.
    Only what this camera signed counts; `certificate_pem` is its own certificate and its issuer."""
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
    read = _read_back(disk, signed, boots, acknowledged, oldest)
    boot = boots[-1] if boots else 0
    story = _Story()
    for file in reversed(read.files):
        for line, _ in file.lines():
            if _of_the_grammar(line):
                story.follow(line)
    whole_since = max([story.healed, boot + 1 if fork else 0])
    recording = story.recording
    if recording is not None and int(recording[:8]) < whole_since:
        recording = None
    # Nothing is said of what stands in the branches of a fork.
    waiting = [
        segment
        for name, segment in story.opened.items()
        if name not in story.settled and _boot(segment) >= whole_since
    ]
    waiting += _unacknowledged(disk, max(read.first_boot, whole_since), story)
    kept = story.standing
    found = Found(
        boot, read.head, read.torn, waiting, recording,
        not boots or (story.stopped and not read.torn),
        story.wiped, kept.assignment, kept.officer, kept.commands, story.ended_without_battery,
    )  # fmt: skip
    if fork:
        return found._replace(
            head=branches_head(fork.ends), torn=fork.torn, open_segments=[], open_recording=None,
            orderly=False, branches=fork.ends,
        )  # fmt: skip
    return found


class _Story:
    """What lines in order tell. `wiped` are files that may be removed: a receipt stands before, in
    the same boot."""

    def __init__(self) -> None:
        self.opened: dict[str, OpenSegment] = {}
        self.settled: set[str] = set()
        self.recording: str | None = None
        self.wiped: list[str] = []
        self.healed = 0  # the newest boot that named the branches of a fork
        self.stopped = False
        self.standing = Standing()
        self._receipted: set[str] = set()
        self._battery_low = self._battery_empty = False

    @property
    def ended_without_battery(self) -> bool:
        """It stopped because the battery was empty; or without a word, when it was nearly so."""
        return self._battery_empty or (self._battery_low and not self.stopped)

    def follow(self, line: Line) -> None:
        """A line of the grammar."""
        fields, kind = line.fields, line.kind
        name = str(fields.get("segment", ""))
        self.stopped = kind == "stop"
        self.standing.follow(kind, fields)
        if kind == "boot":
            self._receipted = set()
            self._battery_low = self._battery_empty = False
            if named_branches(line):
                self.healed = max(self.healed, int(fields["boot"]))
        elif kind == "open":
            self.opened[name] = OpenSegment(name, fields["recording"], 0)
            self.recording = str(fields["recording"])
        elif kind == "sync" and name in self.opened:
            self.opened[name] = self.opened[name]._replace(attested_length=fields["length"])
        elif kind == "receipt":
            self._receipted.add(name)
        elif kind in ("seal", "recovered", "still", "wipe"):
            self.settled.add(name)
            self.opened.pop(name, None)
            if kind == "wipe" and name in self._receipted:
                self.wiped.append(name)
        elif kind == "close" and fields["recording"] == self.recording:
            self.recording = None
        elif kind == "power":
            self._battery_low = fields["band"] in ("critical", "empty")
        elif kind == "state":
            self._battery_empty = fields.get("reason") == "battery empty"


def _plausible(signed: SignedLines, boots: list[int]) -> list[int]:
    """Without what stands far ahead of this camera's own files: a name alone must not use up the
    boot counter. Files are read for that only where numbers are far ahead of how many there are."""
    if not boots or boots[-1] <= len(boots) + BOOTS_AHEAD:
        return boots
    own = next((boot for boot in reversed(boots) if signed.file(boot).trusted), len(boots))
    return [boot for boot in boots if boot <= own + BOOTS_AHEAD]


def _boot(segment: OpenSegment) -> int:
    return int(segment.name[:8])


class _Read(NamedTuple):
    """The newest files, the newest first, back to the one that is complete; the first boot whose
    footage something may be said of."""

    head: Head
    torn: list[Torn]
    files: list[LedgerFile]
    first_boot: int


def _read_back(
    disk: Disk, signed: SignedLines, boots: list[int], acknowledged: Head | None, oldest: int
) -> _Read:
    """Of a fork, all branches are read: back to a complete boot not newer than `oldest`.

    A boot that was cut off before its first sync leaves a file without any valid line: its bytes
    are named as torn, like every tail behind the last valid line.
    """
    files: list[LedgerFile] = []
    torn: list[Torn] = []
    head: Head | None = None
    others = 0
    for boot in reversed(boots):
        until = None if acknowledged is None else acknowledged.number
        read = signed.file(boot, until)
        if head is None and (read.end < read.size or read.head is None):
            path, rest = ledger_path(boot), read.size - read.end
            sha256 = part_digest(disk, path, read.end, rest)
            torn.insert(0, Torn(path.rpartition("/")[2], rest, sha256))
        head = head or read.head
        if not read.trusted:
            # It shows where the chain ends; nothing that it says is acted on, nor is anything
            # said of its footage.
            others = max(others, boot if read.head else 0)
            continue
        files.append(read)
        for end in named_branches(read.first) if read.head and read.first else ():
            oldest = min(oldest, end.boot)
        if boot <= oldest and read.complete:
            return _Read(head or START, torn, files, max(boot, others + 1))
    return _Read(head or START, torn, files, others + 1 if others else 0)


def _of_the_grammar(line: Line) -> bool:
    """Whether a line says what its kind must: only then it is acted on."""
    try:
        typed(line.kind, line.fields)
    except GrammarError:
        return False
    return True


def _finish_removals(disk: Disk, wiped: list[str]) -> None:
    """Removes files that a `wipe` line names and a power cut brought back. Where the disk refuses,
    recording must go on: the next docking tries it again (`undelivered`)."""
    names = set(disk.names(FOOTAGE))
    paths = [n for name in wiped for n in (name, name + PART) if n in names]
    with suppress(OSError):
        for path in paths:
            disk.remove(f"{FOOTAGE}/{path}")
        if wiped:
            disk.sync(FOOTAGE)


def _unacknowledged(disk: Disk, first_boot: int, story: _Story) -> list[OpenSegment]:
    """Files of the boots in question whose `open` line was lost. Foreign files are left alone: the
    verifier reports them."""
    names = dict.fromkeys(name.removesuffix(PART) for name in disk.names(FOOTAGE))
    return [
        OpenSegment(name, "", 0)
        for name in names
        if name not in story.settled
        and name not in story.opened
        and (ours := SegmentName.parse(name))
        and ours.boot >= first_boot
        and not story.standing.covers(ours)
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
