"""Walks a vault's ledger: form, chain, signatures, torn ends, and what is claimed of each file."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bwv_device.formats import signature
from bwv_device.formats.certificates import chain_leads_to
from bwv_device.formats.grammar.decode import GrammarError
from bwv_device.formats.grammar.ledger_kinds import Boot, typed
from bwv_device.formats.ledger_lines import (
    DIRECTORY,
    LINE_LIMIT,
    START,
    SUFFIX,
    Head,
    Line,
    boot_of,
    parse_line,
)
from bwv_device.verification.boot_key import (
    OTHER_DEVICE,
    BootKeyError,
    read_keys,
    require_certified,
)
from bwv_device.verification.chain_ends import ChainEnds, Link
from bwv_device.verification.footage_claims import Claim, ClaimError, follow
from bwv_device.verification.receipts import Deliveries
from hal.ports import Anchor

UNROOTED = (
    "the device certificate does not lead to the root given: another agency's camera, "
    "a forged vault, or the wrong root file"
)


# Of a line that was not accepted: nobody hears what it says.
REFUSED = object()


@dataclass(slots=True)
class Walked:
    """What a walk over the ledger found. `problems` are signs of change or loss; `remarks` are what
    a power cut leaves behind. `boot_heads` are where each boot's file begins. The boots from
    `forked_from` to the one before `whole_since` are branches of a fork (0 for none)."""

    device: str = ""
    boots: int = 0
    lines: int = 0
    head: Anchor | None = None
    rooted: bool = False
    stopped: bool = False  # the last line says that the camera stopped in order
    closed: bool = False  # and nothing stands behind it
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    claims: dict[str, Claim] = field(default_factory=dict)
    boot_heads: dict[int, Head] = field(default_factory=dict)
    forked_from: int = 0
    whole_since: int = 0
    branches: list[dict[str, Any]] = field(default_factory=list)

    def in_branch(self, boot: int) -> bool:
        return self.forked_from <= boot < self.whole_since


class LedgerWalk:
    """Walks the chain over all ledger files of a vault, or over the newest ones from `start` on:
    then `report` brings the device and the claims of what came before."""

    def __init__(
        self,
        vault: Path,
        roots: Sequence[x509.Certificate],
        anchors: Sequence[Anchor],
        report: Walked,
        start: Head = START,
        judged: int = 0,
        seen: Callable[[int, Line, Any], None] = lambda boot, line, said: None,
    ) -> None:
        """`seen` is called with each line that was accepted, its boot, and its typed value: None
        where its kind is not known. `judged` is the number of the
        last line that was judged before: of it and what stands before it only the chain
        counts."""
        self._folder, self._roots, self._report = vault / DIRECTORY, roots, report
        self._anchors = anchors
        self._head: Head = start
        self._judged = judged
        self._boot = 0
        self._key: ec.EllipticCurvePublicKey | None = None
        self._torn: list[dict[str, Any]] = []
        self._last: Line | None = None
        self._deliveries = Deliveries(roots)
        self._seen = seen
        self.device_keys: list[ec.EllipticCurvePublicKey] = []
        self._ends = ChainEnds(start)
        self._conflicts: list[str] = []  # of branches; problems unless a later boot names them all
        self._named_as_torn: dict[str, list[dict[str, Any]]] = {}

    def run(self) -> None:
        report = self._report
        report.rooted = bool(self._roots)
        names: list[str] = []
        for path in sorted(self._folder.iterdir()):
            if boot_of(path.name) is None or not is_plain_file(path):
                report.problems.append(f"{DIRECTORY}/{path.name} is not a ledger file")
            else:
                names.append(path.name)
        for name in names:
            self._note_torn_names(self._folder / name)
        for name in names:
            self._read_file(name, int(name.removesuffix(SUFFIX)))
        if self._torn:
            report.remarks += [
                f"{torn['file']}: {torn['length']} bytes at the end are torn or altered"
                for torn in self._torn
            ]
        report.problems += self._conflicts
        report.stopped = self._last is not None and self._last.kind == "stop"
        report.closed = report.stopped and not self._torn
        if not report.stopped:
            report.remarks.append("the ledger was not closed in order")
        elif not report.closed:
            report.remarks.append("bytes stand behind the ledger's last line, a signed stop")
        if self._last is None:
            report.problems.append("the ledger has no valid line")
        else:
            head = self._head
            report.head = Anchor(report.device, self._boot, head.number, head.digest)
        self._check_anchors()

    def _read_file(self, name: str, boot: int) -> None:
        path = self._folder / name
        size = path.stat().st_size
        with path.open("rb") as file:
            torn = self._named_torn(name, file, size)
            length = self._read_lines(name, boot, file, size - (torn["length"] if torn else 0))
            if torn and length == size - torn["length"]:
                self._torn.append(torn)
            elif length is not None and (length < size or length == 0):
                digest, _ = _digest_from(file, length)
                rest = {"file": name, "length": size - length, "sha256": digest}
                self._torn.append(rest)

    def _read_lines(self, name: str, boot: int, file: BinaryIO, whole: int) -> int | None:
        """Lines up to `whole` bytes; gives where the last valid one ends, or None where a line is
        out of the chain."""
        position = 0
        file.seek(0)
        while position < whole:
            raw = file.readline(min(LINE_LIMIT, whole - position))
            try:
                line = parse_line(raw[:-1]) if raw.endswith(b"\n") else None
            except ValueError:
                line = None
            if line is None:
                break
            if not self._linked(name, boot, line, first=position == 0):
                self._report.problems.append(
                    f"{name}: line {line.number} does not continue line {self._head.number}"
                )
                if position:
                    self._ends.ended(boot, self._head)
                return None
            self._take(name, boot, line, first=position == 0)
            position += len(raw)
        if position:
            self._ends.ended(boot, self._head)
        return position

    def _linked(self, name: str, boot: int, line: Line, *, first: bool) -> bool:
        """Whether a line stands where it may. A branch is a conflict until a boot heals it."""
        if not first:
            return (line.number, line.fields["prev"]) == (self._head.number + 1, self._head.digest)
        report, before = self._report, Head(line.number - 1, line.fields["prev"])
        link = self._ends.link(line)
        if link is Link.BREAKS:
            return False
        if link is Link.BRANCHES:
            self._conflicts.append(
                f"{name}: the ledger forks: line {line.number} is there twice, in two branches"
            )
        elif link is Link.HEALS:
            self._conflicts.clear()
            report.forked_from, report.whole_since = self._ends.forked_from, boot
            report.branches = line.fields["branches"]
            report.remarks.append(
                f"the ledger had forked; whole since boot {boot}, "
                f"{len(report.branches)} branches before"
            )
        self._head = before
        return True

    def _note_torn_names(self, path: Path) -> None:
        """What a boot's first line says is torn in older files; compared when those are read."""
        named = _first_line(path).get("torn")
        for torn in named if isinstance(named, list) else []:
            if isinstance(torn, dict) and str(torn.get("file")) < path.name:
                self._named_as_torn.setdefault(str(torn.get("file")), []).append(torn)

    def _named_torn(self, name: str, file: BinaryIO, size: int) -> dict[str, Any] | None:
        """What a later boot says is torn at the end of this file, if that is what stands there. A
        failed sync may leave one whole line in doubt, never more. The naming line is checked when
        the walk gets to it."""
        for torn in self._named_as_torn.get(name, []):
            length = torn.get("length")
            if type(length) is not int or not 0 < length <= size:
                continue
            digest, newlines = _digest_from(file, size - length)
            if digest == torn.get("sha256") and newlines <= 1:
                return torn
        return None

    def _take(self, name: str, boot: int, line: Line, *, first: bool) -> None:
        report = self._report
        said = self._accepted(name, boot, line, first=first)
        self._head, self._last = Head(line.number, line.digest), line
        self._ends.passed(boot, line)
        report.lines += 1
        if said is not REFUSED:
            self._seen(boot, line, said)

    def _accepted(self, name: str, boot: int, line: Line, *, first: bool) -> Any:
        """A line's typed value, once its place, its signature and what it claims were judged;
        `REFUSED` where any of them is wrong."""
        if first and line.kind != "boot":
            self._begin(boot)
        if (line.kind == "boot") != first:
            return self._refuse(f"{name}: line {line.number} is a boot line out of place", line)
        try:
            said = typed(line.kind, line.fields)
        except GrammarError as error:
            if first:
                self._begin(boot)
            return self._refuse(f"{name}: line {line.number} ({line.kind}) {error}", line)
        if isinstance(said, Boot):
            self._boot_line(name, boot, line, said)
        if self._key is None or not signature.verifies(self._key, line.signature, line.signed):
            return self._refuse(f"{name}: the signature of line {line.number} does not hold", line)
        try:
            follow(self._report.claims, boot, said)
            self._deliveries.follow(self._report.device, said, self._report.claims, self._ends)
        except ClaimError as error:
            self._claim_problem(f"{name}: line {line.number} {error}", line)
            return REFUSED
        return said

    def _refuse(self, text: str, line: Line) -> object:
        self._problem(text, line)
        return REFUSED

    def _problem(self, text: str, line: Line) -> None:
        if line.number > self._judged:
            self._report.problems.append(text)

    def _claim_problem(self, text: str, line: Line) -> None:
        """Branches may contradict each other."""
        if self._ends.forked_now:
            self._conflicts.append(text)
        else:
            self._problem(text, line)

    def _begin(self, boot: int) -> None:
        report = self._report
        report.boots += 1
        report.boot_heads[boot] = self._head
        self._deliveries = Deliveries(self._roots)
        self._boot, self._key = boot, None

    def _boot_line(self, name: str, boot: int, line: Line, said: Boot) -> None:
        """The boot key is certified by the device key, the device by the agency."""
        report = self._report
        self._begin(boot)
        problem = self._certify(boot, said)
        if problem:
            self._problem(f"{name}: {problem}", line)
        named = line.fields.get("torn", [])
        if self._ends.forked_now:
            self._torn = [torn for torn in self._torn if torn not in named]
            return
        if named != self._torn:
            self._problem(f"{name}: what it found torn at boot is not what stands there now", line)
        elif self._torn:
            report.remarks += [
                f"{torn['file']}: {torn['length']} torn bytes, named at the next boot"
                for torn in self._torn
            ]
        self._torn = []

    def _certify(self, boot: int, said: Boot) -> str:
        report = self._report
        try:
            named = read_keys(boot, said)
            if report.device not in ("", named.device):
                return OTHER_DEVICE
            report.device = named.device
            require_certified(named, said, self._head)
        except BootKeyError as error:
            return str(error)
        self._key = named.boot_key
        self.device_keys.append(named.device_key)  # comparing damaged keys can raise
        if self._roots and not any(chain_leads_to(named.chain, root) for root in self._roots):
            return UNROOTED
        return ""

    def _check_anchors(self) -> None:
        for anchor in self._anchors:
            if anchor.device != self._report.device:
                self._report.problems.append(f"the anchor is of the device {anchor.device!r}")
            elif not self._ends.holds(anchor.number, anchor.digest):
                self._report.problems.append(
                    f"the ledger does not contain line {anchor.number} of the anchor: its end was "
                    "cut off, or it is another ledger"
                )


def is_plain_file(path: Path) -> bool:
    """No link, folder, pipe or device: those have no bytes of their own, or no end."""
    return stat.S_ISREG(path.lstat().st_mode)


def _digest_from(file: BinaryIO, position: int) -> tuple[str, int]:
    """SHA-256 of the rest of a file, and how many newlines it holds."""
    file.seek(position)
    digest, newlines = hashlib.sha256(), 0
    while block := file.read(LINE_LIMIT):
        digest.update(block)
        newlines += block.count(b"\n")
    return digest.hexdigest(), newlines


def _first_line(path: Path) -> dict[str, Any]:
    """The fields of a file's first line; nothing where there is none."""
    with path.open("rb") as file:
        try:
            return parse_line(file.readline(LINE_LIMIT).removesuffix(b"\n")).fields
        except ValueError:
            return {}
