"""Who signs custody's lines: the certificates that the ledger introduced."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cryptography import x509

from bwv_device.custody.ledger.ledger import CustodyLine
from bwv_device.formats import statement
from bwv_device.formats.statement import StatementError
from bwv_device.verification.trust_list import Trust
from hal.ports import SECOND_NS

# A role's certificate begins no later than its holder's clock says, give or take.
CLOCKS_DIFFER = datetime.timedelta(minutes=15)


class LineSigner(NamedTuple):
    """The holder of a role's certificate."""

    chain: tuple[x509.Certificate, ...]
    pem: str
    name: str
    role: str
    person: str

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]


class Signers:
    """Certificates of roles of this agency by fingerprint. What a batch introduces is known at
    once, and written down with the batch."""

    def __init__(self, roots: Sequence[x509.Certificate], beside: Callable[[str], str]) -> None:
        """`beside`: a signer's certificates as they lie beside the lines."""
        self._roots, self._known = list(roots), dict[str, LineSigner]()
        self._beside = beside

    def is_signed(self, db: sqlite3.Connection, line: CustodyLine) -> bool:
        """Whether a role of the agency signed it, whatever it may say."""
        signer = self.of(db, line.by) or self._introduced(line)
        if signer is None or not line.signed_by(signer.certificate):
            return False
        self._known[line.by] = signer
        return True

    def of(self, db: sqlite3.Connection, fingerprint: str) -> LineSigner | None:
        if fingerprint not in self._known:
            found = "SELECT certificate FROM signers WHERE fingerprint = ?"
            row = db.execute(found, (fingerprint,)).fetchone()
            if row is None:
                return None
            self._known[fingerprint] = self._read(row["certificate"])
        return self._known[fingerprint]

    def write(self, db: sqlite3.Connection, line: CustodyLine) -> LineSigner:
        """Of a line that is signed; written down with it."""
        signer = self._known[line.by]
        values = (line.by, signer.name, signer.role, signer.pem, signer.person)
        db.execute("INSERT OR IGNORE INTO signers VALUES (?, ?, ?, ?, ?)", values)
        return signer

    def _introduced(self, line: CustodyLine) -> LineSigner | None:
        pem = line.fields.get("certificate", "")
        try:
            signer = self._read(str(pem or self._beside(line.by)))
        except StatementError:
            return None
        return signer if statement.fingerprint(signer.certificate) == line.by else None

    def _read(self, pem: str) -> LineSigner:
        chain = statement.chain_of(pem.encode("utf-8", "replace"))
        who = statement.role_of(chain, self._roots)
        return LineSigner(tuple(chain), pem, who.name, who.role, statement.person_of(chain[0]))


def why_not_valid(chain: Sequence[x509.Certificate], trust: Trust | None, utc_ns: int) -> str:
    """Why a role's certificate does not count at a time, as the end of a sentence; "" where it
    does."""
    moment = datetime.datetime.fromtimestamp(utc_ns // SECOND_NS, datetime.UTC)
    for certificate in chain:
        if moment > certificate.not_valid_after_utc:
            return f"ended on {certificate.not_valid_after_utc:%Y-%m-%d}"
        if moment < certificate.not_valid_before_utc - CLOCKS_DIFFER:
            return f"begins on {certificate.not_valid_before_utc:%Y-%m-%d}"
    if trust is None:
        return ""
    since_ns = trust.revoked_since_ns(statement.fingerprint(chain[0]))
    if since_ns is not None and utc_ns >= since_ns:
        return "is revoked"
    if trust.roles_cas and statement.fingerprint(chain[-1]) not in trust.roles_cas:
        return "is of a roles CA that the trust list does not name"
    return ""


def signer_person(db: sqlite3.Connection, line: CustodyLine) -> str:
    """Of a line whose signer the index has written down: two persons are two of these."""
    found = "SELECT person FROM signers WHERE fingerprint = ?"
    return str(db.execute(found, (line.by,)).fetchone()["person"])
