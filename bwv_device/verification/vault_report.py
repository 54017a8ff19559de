"""Verifies a vault with public keys only. It shares only the formats with the agent.

Reads every ledger file line by line, then compares every file of footage with what the ledger says
of it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509

from bwv_device.errors import VaultError
from bwv_device.formats.ledger_lines import DIRECTORY
from bwv_device.formats.vault_layout import FOOTAGE, PART, UPDATE, UPDATE_FILES, SegmentName
from bwv_device.verification.footage_claims import Claim
from bwv_device.verification.footage_reading import FileDigests, FootageReading
from bwv_device.verification.ledger_chain import UNROOTED, LedgerWalk, Walked, is_plain_file
from bwv_device.verification.signed_heads import LedgerHead, is_signed
from hal.ports import Anchor


class FileStatus(enum.Enum):
    """The verdict on one file of footage."""

    SEALED = "sealed"
    RECOVERED = "recovered"
    DELIVERED = "delivered"
    OPEN = "unattested tail"
    MISSING = "missing"
    BRANCH = "of a branch"
    UNKNOWN = "not in the ledger"
    BAD = "bad"


GOOD = (FileStatus.SEALED, FileStatus.RECOVERED, FileStatus.DELIVERED, FileStatus.BRANCH)


class Verdict(NamedTuple):
    name: str
    recording: str
    status: FileStatus
    length: int
    attested_length: int
    detail: str


@dataclass(slots=True)
class Report(Walked):
    """The result for the ledger, and a verdict for each file."""

    segments: list[Verdict] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """No sign that anything was changed or lost."""
        return not self.problems and all(
            v.status in (*GOOD, FileStatus.OPEN) for v in self.segments
        )

    @property
    def only_root_differs(self) -> bool:
        """The one thing wrong is that the camera is not certified by the root given."""
        return (
            bool(self.problems)
            and all(problem.endswith(UNROOTED) for problem in self.problems)
            and all(v.status in (*GOOD, FileStatus.OPEN) for v in self.segments)
        )

    @property
    def complete(self) -> bool:
        """Beyond that: closed in order, nothing waits for a recovery."""
        return self.ok and self.closed and all(v.status in GOOD for v in self.segments)

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "complete": self.complete,
            "rooted": self.rooted,
            "device": self.device,
            "boots": self.boots,
            "lines": self.lines,
            "head": self.head._asdict() if self.head else None,
            "whole_since": self.whole_since,
            "branches": self.branches,
            "problems": self.problems,
            "remarks": self.remarks,
            "segments": [{**v._asdict(), "status": v.status.value} for v in self.segments],
        }


class FoundFile(NamedTuple):
    """What the ledger says of a file, and where it lies; either may be missing."""

    name: str
    claim: Claim | None
    path: Path | None
    of_branch: bool


class Survey(NamedTuple):
    """A vault whose ledger was read, and whose footage was not yet. `report` holds no verdicts."""

    report: Report
    files: list[FoundFile]

    def recordings(self) -> list[str]:
        return sorted({f.claim.recording for f in self.files if f.claim} - {""})

    def of_recording(self, name: str) -> list[FoundFile]:
        return [f for f in self.files if f.claim and f.claim.recording == name]


def verify(
    vault: Path,
    roots: Sequence[x509.Certificate] = (),
    anchors: Iterable[Anchor] = (),
    recording: str = "",
    heads: Sequence[LedgerHead] = (),
) -> Report:
    """Reads everything under `vault`, or of its footage only one recording's: what is disclosed is
    not the whole card. Raises `VaultError` only where there is no vault at all."""
    return judge_all(survey(vault, roots, anchors, recording, heads))


def survey(
    vault: Path,
    roots: Sequence[x509.Certificate] = (),
    anchors: Iterable[Anchor] = (),
    recording: str = "",
    heads: Sequence[LedgerHead] = (),
) -> Survey:
    """As `verify`, without a look into the footage."""
    if not (vault / DIRECTORY).is_dir():
        raise VaultError(
            f"{vault} is not a vault: it has no {DIRECTORY} folder.", "Name the vault."
        )
    report = Report()
    walk = LedgerWalk(vault, roots, [*anchors, *(head.anchor for head in heads)], report)
    walk.run()
    for head in heads:
        if head.signed is not None and not any(is_signed(k, head.signed) for k in walk.device_keys):
            report.problems.append("the ledger head given is not signed by this camera")
    if recording:
        own = {n: c for n, c in report.claims.items() if n.startswith(f"{recording}-")}
        report.claims = own
    return Survey(report, _found_files(vault, report))


def judge_all(surveyed: Survey) -> Report:
    """With a verdict on each file, each read once."""
    report = surveyed.report
    report.segments = [judge(report, found, digests(found)) for found in surveyed.files]
    return report


def digests(found: FoundFile) -> FileDigests | None:
    """None for what is not there, or what no line of the ledger speaks of."""
    if found.claim is None or found.path is None:
        return None
    with FootageReading(found.path, found.claim) as reading:
        return reading.digests()


def judge(report: Report, found: FoundFile, read: FileDigests | None) -> Verdict:
    """`read`: what the whole file was found to be."""
    if found.claim is None:
        return _unclaimed(found, report)
    if not found.of_branch:
        return _judge(found.claim, read)
    verdict = _judge(_of_its_own_boot(found.claim), read)
    if verdict.status is not FileStatus.OPEN:
        return verdict
    # What was not finished in its own branch may be spoken of otherwise in another.
    return verdict._replace(status=FileStatus.BRANCH, detail="not finished when the ledger forked")


# --- footage -----------------------------------------------------------------------------------


def _found_files(vault: Path, report: Report) -> list[FoundFile]:
    folder = vault / FOOTAGE
    update = vault / UPDATE
    strangers = [p.name for p in vault.iterdir() if p.name not in (DIRECTORY, FOOTAGE, UPDATE)]
    if update.is_dir() and not update.is_symlink():
        odd = (p for p in update.iterdir() if p.name not in UPDATE_FILES or not is_plain_file(p))
        strangers += [f"{UPDATE}/{path.name}" for path in odd]
    report.problems += [f"{name!r} does not belong into a vault" for name in sorted(strangers)]
    present: dict[str, Path] = {}
    for place in (folder, vault / DIRECTORY, update):
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            report.problems.append(f"{place.name} is no folder of its own")
    if folder.is_dir() and not folder.is_symlink():
        present = {path.name: path for path in sorted(folder.iterdir())}
    for name in [name for name, path in present.items() if not is_plain_file(path)]:
        del present[name]
        report.problems.append(f"{name!r} is not a plain file")
    files = [
        FoundFile(name, claim, _take_file(present, name, claim), report.in_branch(int(name[:8])))
        for name, claim in report.claims.items()
    ]
    files += [FoundFile(name, None, path, of_branch=False) for name, path in present.items()]
    return sorted(files, key=lambda found: found.name)


def _unclaimed(found: FoundFile, report: Report) -> Verdict:
    """A file that the last boot began, but could not acknowledge, waits for the next boot."""
    name, length = found.name, found.path.stat().st_size if found.path else 0
    own = SegmentName.parse(name.removesuffix(PART))
    last_boot = report.head.boot if report.head else 0
    if name.endswith(PART) and own and report.in_branch(own.boot):
        detail = "begun in a branch, and never acknowledged"
        return Verdict(name, "", FileStatus.BRANCH, length, 0, detail)
    if name.endswith(PART) and own and own.boot == last_boot:
        return Verdict(name, "", FileStatus.OPEN, length, 0, "begun, and never acknowledged")
    return Verdict(name, "", FileStatus.UNKNOWN, length, 0, "no ledger line speaks of it")


def _take_file(present: dict[str, Path], name: str, claim: Claim) -> Path | None:
    """The file of a claim. Only a sealed one must have its final name."""
    candidates = [name] if claim.settled == "sealed" else [name + PART, name]
    for candidate in candidates:
        if candidate in present:
            return present.pop(candidate)
    return None


def _of_its_own_boot(claim: Claim) -> Claim:
    """Without what another branch says it found."""
    if claim.settled != "recovered" or claim.length == 0:
        return claim
    return replace(claim, settled="", length=None, sha256="")


def _judge(claim: Claim, read: FileDigests | None) -> Verdict:
    def verdict(status: FileStatus, length: int, detail: str = "") -> Verdict:
        return Verdict(claim.name, claim.recording, status, length, claim.attested_length, detail)

    if read is None:
        if claim.wiped:
            return verdict(FileStatus.DELIVERED, 0, "removed against the store's receipt")
        # A file of which nothing was ever acknowledged may be gone after a power cut.
        if claim.settled == "recovered" and claim.length == 0:
            return verdict(FileStatus.RECOVERED, 0, "nothing of it was stored")
        return verdict(FileStatus.MISSING, 0, "the ledger speaks of it, the file is not there")
    length, head, attested, whole, trouble = read
    if trouble:
        return verdict(FileStatus.BAD, length, f"it can't be read: {trouble}")
    if head != claim.head:
        return verdict(FileStatus.BAD, length, "its header is not the one in the ledger")
    shorter = claim.settled != "sealed" and claim.attested_length > length
    if shorter or (claim.attested_length and attested != claim.attested_sha256):
        return verdict(FileStatus.BAD, length, "what was acknowledged is not what stands there")
    if claim.length is None:
        tail = length - claim.attested_length
        return verdict(FileStatus.OPEN, length, f"{tail} bytes behind the last acknowledged one")
    if (length, whole) != (claim.length, claim.sha256):
        return verdict(FileStatus.BAD, length, "length or digest differ from the ledger")
    if claim.wiped:
        return verdict(FileStatus.DELIVERED, length, "the next boot removes it")
    if claim.settled == "sealed":
        return verdict(FileStatus.SEALED, length)
    tail = length - claim.attested_length
    return verdict(FileStatus.RECOVERED, length, f"{tail} bytes were found at the boot after")
