"""What of a card's ledger this camera wrote itself. A card can be written by anybody, so nothing
else is acted on (docs/format.md, 3.8).

A line holds the digest of the line before it, signature included. So the last line whose signature
holds vouches for all before it, and a few verifications find it, however long the file is.
"""

from __future__ import annotations

from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bwv_device.formats import signature
from bwv_device.formats.grammar.decode import GrammarError
from bwv_device.formats.grammar.ledger_kinds import Boot, typed
from bwv_device.formats.ledger_lines import (
    LINE_LIMIT,
    START,
    Head,
    Line,
    boot_statement,
    ledger_path,
    parse_line,
    read_chain,
)
from bwv_device.formats.statement import StatementError, camera_of, chain_of
from hal.ports import Disk


class LedgerFile(NamedTuple):
    """A boot's file as read. `lines` continue each other, each with the offset behind it. Only
    where they are `trusted` did this camera sign them; else they only show where the chain ends."""

    lines: list[tuple[Line, int]]
    trusted: bool
    data: bytes


class SignedLines:
    """`certificate_pem`: this camera's own certificate and its issuer. A camera that was given a
    new key still knows what it wrote with the old one: the same CA certified both for its name."""

    def __init__(self, disk: Disk, certificate_pem: bytes) -> None:
        self._disk = disk
        self._own = chain_of(certificate_pem)
        self._name = camera_of(self._own)

    def file(self, boot: int) -> LedgerFile:
        """Read twice where the first reading holds less than stands there: what a bad moment of
        memory or card gives must cost nothing lasting."""
        path = ledger_path(boot)
        read = self.lines(boot, self._disk.read(path))
        if _end(read) == len(read.data):
            return read
        again = self.lines(boot, self._disk.read(path))
        return max(read, again, key=lambda r: (r.trusted, len(r.lines)))

    def lines(self, boot: int, data: bytes, length: int | None = None) -> LedgerFile:
        """Of the first `length` bytes of the file of `boot`."""
        before = head_before(data)
        chain = [*read_chain(data[:length], before)]
        key = self._boot_key(boot, chain[0][0], before) if chain else None
        if key is None:
            return LedgerFile(chain, False, data)
        good, bad = 0, len(chain)
        while good < bad:
            middle = (good + bad + 1) // 2
            line = chain[middle - 1][0]
            if signature.verifies(key, line.signature, line.signed):
                good = middle
            else:
                bad = middle - 1
        return LedgerFile(chain[:good], True, data)

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


def head_before(data: bytes) -> Head:
    """What the first line of a file says it continues. Whether it does is for the verifier."""
    try:
        first = parse_line(data[: data.index(b"\n", 0, LINE_LIMIT)])
    except ValueError:
        return START
    return Head(first.number - 1, first.fields["prev"])


def _end(read: LedgerFile) -> int:
    return read.lines[-1][1] if read.lines else 0
