"""What of a card's ledger this camera wrote itself. A card can be written by anybody, so nothing
else is acted on (docs/format.md, 3.8).

A line holds the digest of the line before it, signature included. So the last line whose signature
holds vouches for all before it, and a few verifications find it, however long the file is. Files
are walked, never held: a boot may last for weeks.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bwv_device.camera.vault import checkpoint
from bwv_device.camera.vault.vault import read_blocks
from bwv_device.formats import signature
from bwv_device.formats.grammar.decode import GrammarError
from bwv_device.formats.grammar.ledger_kinds import Boot, typed
from bwv_device.formats.ledger_lines import (
    LINE_LIMIT,
    START,
    Head,
    Line,
    boot_statement,
    chain_of_blocks,
    ledger_path,
    parse_line,
)
from bwv_device.formats.statement import StatementError, camera_of, chain_of
from bwv_device.formats.vault_layout import READ_BLOCK
from hal.ports import Disk

RECOVERY = "recovery"
# Whoever can write the card can write any number of false checkpoints: then all is walked.
CHECKPOINTS_TRIED = 16
_MARK = b'"kind":"checkpoint"'


class Start(NamedTuple):
    """Where a walk begins, and what the line there continues."""

    offset: int
    before: Head


class LedgerFile:
    """A boot's file. Its `lines` continue each other up to the offset `end` of `size` bytes. Only
    where they are `trusted` did this camera sign them; else they only show where the chain ends.
    `head` is their end, None for no line; `complete`: what stands before them need not be known."""

    def __init__(self, disk: Disk, path: str, size: int, first: Line | None, start: Start) -> None:
        self._disk, self._path, self._start = disk, path, start
        self.size, self.first = size, first
        self.trusted = False
        self.end = start.offset
        self.head: Head | None = None
        self.complete = start.offset > 0

    def lines(self) -> Iterator[tuple[Line, int]]:
        """Each with the offset behind it: the boot line, and those from the checkpoint on."""
        if self._start.offset and self.first is not None:
            yield self.first, len(self.first.signed) + len("\t\n") + 2 * len(self.first.signature)
        yield from self._chain(self.end)

    def walk(self, until: int | None) -> array[int]:
        """To the end of the chain, or to line number `until`. Returns the offsets behind its
        lines."""
        ends = array("Q")
        for line, end in self._chain(self.size):
            if until is not None and line.number > until:
                break
            ends.append(end)
            self.head = Head(line.number, line.digest)
            self.complete = self.complete or line.kind == RECOVERY
            self.end = end
        return ends

    def cut(self, ends: array[int], count: int) -> None:
        """Only the first `count` lines that were walked count."""
        self.end = ends[count - 1] if count else self._start.offset
        self.head, self.complete = None, self._start.offset > 0
        for line, _ in self._chain(self.end):
            self.head = Head(line.number, line.digest)
            self.complete = self.complete or line.kind == RECOVERY

    def line(self, ends: array[int], index: int) -> Line:
        begin = ends[index - 1] if index else self._start.offset
        return parse_line(self._disk.read(self._path, begin, ends[index] - begin - 1))

    def _chain(self, until: int) -> Iterator[tuple[Line, int]]:
        blocks = read_blocks(self._disk, self._path, self._start.offset, until)
        return chain_of_blocks(blocks, self._start.before, self._start.offset)


class SignedLines:
    """`certificate_pem`: this camera's own certificate and its issuer. A camera that was given a
    new key still knows what it wrote with the old one: the same CA certified both for its name."""

    def __init__(self, disk: Disk, certificate_pem: bytes) -> None:
        self._disk = disk
        self._own = chain_of(certificate_pem)
        self._name = camera_of(self._own)

    def file(
        self,
        boot: int,
        until: int | None = None,
        length: int | None = None,
        *,
        whole: bool = False,
    ) -> LedgerFile:
        """The first `length` bytes, up to the line of the number `until`; from the newest
        checkpoint on, unless the `whole` file is asked for. Read twice where the first reading
        holds less than stands there: what a bad moment of memory or card gives must cost nothing
        lasting."""
        read = self._file(boot, until, length, whole=whole)
        if read.end == read.size:
            return read
        again = self._file(boot, until, length, whole=whole)
        return max(read, again, key=lambda r: (r.trusted, r.end))

    def _file(self, boot: int, until: int | None, length: int | None, *, whole: bool) -> LedgerFile:
        path = ledger_path(boot)
        size = self._disk.size(path) if length is None else length
        first, before = self._first(path, size)
        key = self._boot_key(boot, first, before) if first else None
        start = Start(0, before)
        if key is not None and not whole:
            start = self._checkpoint(path, size, key, until) or start
        file = LedgerFile(self._disk, path, size, first, start)
        ends = file.walk(until)
        if key is None:
            return file
        file.trusted = True
        good, bad = self._signed(file, ends, key), len(ends)
        if good < bad:
            file.cut(ends, good)
        return file

    def _signed(self, file: LedgerFile, ends: array[int], key: ec.EllipticCurvePublicKey) -> int:
        """How many lines the last one whose signature holds vouches for."""
        good, bad = 0, len(ends)
        middle = bad  # nearly always the last one
        while good < bad:
            line = file.line(ends, middle - 1)
            if signature.verifies(key, line.signature, line.signed):
                good = middle
            else:
                bad = middle - 1
            middle = (good + bad + 1) // 2
        return good

    def _first(self, path: str, size: int) -> tuple[Line | None, Head]:
        """The first line, and what it says it continues. Whether it does is for the verifier."""
        raw, newline, _ = self._disk.read(path, 0, min(size, LINE_LIMIT)).partition(b"\n")
        try:
            first = parse_line(raw) if newline else None
        except ValueError:
            first = None
        return first, START if first is None else Head(first.number - 1, first.fields["prev"])

    def _checkpoint(
        self, path: str, size: int, key: ec.EllipticCurvePublicKey, until: int | None
    ) -> Start | None:
        """The newest that this boot signed for the place where it stands."""
        for tried, offset in enumerate(found_backwards(self._disk, path, size, _MARK)):
            if tried == CHECKPOINTS_TRIED:
                return None
            raw, newline, _ = self._disk.read(path, offset, LINE_LIMIT).partition(b"\n")
            try:
                line = parse_line(raw)
                said = typed(line.kind, line.fields)
            except (ValueError, GrammarError):
                continue
            if not newline or line.kind != checkpoint.KIND or said.offset != offset:
                continue
            if offset + len(raw) >= size or (until is not None and line.number > until):
                continue
            if signature.verifies(key, line.signature, line.signed):
                return Start(offset, Head(line.number - 1, line.fields["prev"]))
        return None

    def _boot_key(self, boot: int, line: Line, before: Head) -> ec.EllipticCurvePublicKey | None:
        """The key of this boot of this camera; None for anybody else's, or under another name."""
        try:
            said = typed(line.kind, line.fields)
            if not isinstance(said, Boot) or said.boot != boot:
                return None
            chain = chain_of(said.certificate.encode())
            if camera_of(chain) != self._name or not self._same_ca(chain):
                return None
            statement = boot_statement(self._name, said.boot, said.boot_key, before)
            key = chain[0].public_key()
            certified = isinstance(key, ec.EllipticCurvePublicKey) and signature.verifies(
                key, bytes.fromhex(said.device_signature), statement
            )
            return signature.public_key(bytes.fromhex(said.boot_key)) if certified else None
        except (GrammarError, StatementError, ValueError):
            return None

    def _same_ca(self, chain: list[x509.Certificate]) -> bool:
        return chain[1] == self._own[1]


def found_backwards(disk: Disk, path: str, size: int, mark: bytes) -> Iterator[int]:
    """Where the lines begin that hold `mark`, the last one first. Ends at what is longer than a
    line may be."""
    held, begin = b"", size
    while begin > 0 and len(held) <= LINE_LIMIT:
        step = min(READ_BLOCK, begin)
        begin -= step
        held = disk.read(path, begin, step) + held
        # The beginning of the first line may be in the block before.
        cut = held.find(b"\n") + 1 if begin else 0
        if begin and not cut:
            continue
        at = len(held)
        while (at := held.rfind(mark, cut, at)) >= 0:
            at = max(cut, held.rfind(b"\n", 0, at) + 1)
            yield begin + at
        held = held[:cut]
