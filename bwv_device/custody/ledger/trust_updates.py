"""What lines about the trust list change in the index: the root signs, two persons put in force."""

from __future__ import annotations

import sqlite3
from typing import Any

from bwv_device.custody.ledger.ledger import CustodyLine, EffectError
from bwv_device.custody.ledger.signers import signer_person
from bwv_device.verification.trust_list import Trust


def first(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """When the store is made."""
    trust: Trust = fields["trust"]
    if db.execute("SELECT 1 FROM trust").fetchone() is not None or trust.version != 1:
        raise EffectError("a new trust list is proposed by one person and approved by another")
    values = (1, line.number, fields["list"], signer_person(db, line), line.number)
    db.execute("INSERT INTO trust VALUES (?, ?, ?, ?, ?)", values)


def proposed(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    trust: Trust = fields["trust"]
    newest = "SELECT max(version) AS n FROM trust WHERE approved IS NOT NULL"
    before = db.execute(newest).fetchone()["n"] or 0
    if trust.version != before + 1:
        raise EffectError(f"version {trust.version} does not follow version {before}")
    values = (trust.version, line.number, fields["list"], signer_person(db, line))
    db.execute("INSERT OR REPLACE INTO trust VALUES (?, ?, ?, ?, NULL)", values)


def approved(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    found = "SELECT * FROM trust WHERE version = ? AND n = ? AND approved IS NULL"
    row = db.execute(found, (fields["version"], fields["proposed"])).fetchone()
    if row is None:
        raise EffectError("nobody proposed this trust list, or it is in force")
    if row["proposer"] == signer_person(db, line):
        raise EffectError("who proposes a trust list can't approve it")
    values = (line.number, fields["version"])
    db.execute("UPDATE trust SET approved = ? WHERE version = ?", values)
