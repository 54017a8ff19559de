"""What lines about quarantine change in the index: it has an owner, a deadline, and two ways to
end: taken in after all, or discarded by two persons and erased."""

from __future__ import annotations

import sqlite3
from typing import Any

from bwv_device.custody.ledger.ledger import CustodyLine, EffectError
from bwv_device.custody.ledger.signers import signer_person
from bwv_device.formats import store_keys
from bwv_device.formats.grammar.forms import Hex

OPEN = "SELECT * FROM quarantine WHERE n = ? AND again IS NULL AND approved IS NULL"


def put(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """Its key is that of a docking, or of bytes that were set aside: nothing else is ever
    discarded by it."""
    device, segment, key = fields["device"], fields["segment"], fields["key"]
    parts = key.split("/")
    docking = store_keys.parse_docking(key) if not segment else None
    aside = len(parts) == 4 and parts[:3] == ["quarantine", device, segment]
    if (docking is None or docking.device != device) and not (
        segment and aside and Hex(64).fits(parts[3])
    ):
        raise EffectError(f"{key} is nothing that is kept in quarantine")
    db.execute(
        "INSERT INTO quarantine (n, device, segment, reason, key, review_ns) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (line.number, device, segment, fields["reason"], key, fields["review_ns"]),
    )  # fmt: skip


def refused_again(db: sqlite3.Connection, key: str) -> None:
    """A docking that was tried again, and refused again: it waits for a person once more."""
    db.execute("UPDATE quarantine SET again = NULL WHERE key = ? AND approved IS NULL", (key,))


def owned(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    _open(db, fields)
    values = (str(fields["owner"]), fields["quarantine"])
    db.execute("UPDATE quarantine SET owner = ? WHERE n = ?", values)


def again(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    row = _open(db, fields)
    if row["segment"]:
        raise EffectError("only a docking can be taken in again")
    db.execute("UPDATE quarantine SET again = ? WHERE n = ?", (line.number, row["n"]))
    _, device, nonce = row["key"].split("/")
    db.execute(
        "DELETE FROM dockings WHERE device = ? AND nonce = ? AND refused != ''", (device, nonce)
    )


def proposed(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    row = _open(db, fields)
    values = (line.number, signer_person(db, line), row["n"])
    db.execute("UPDATE quarantine SET proposed = ?, proposer = ? WHERE n = ?", values)


def approved(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    row = _open(db, fields)
    if row["proposed"] is None:
        raise EffectError(f"nobody proposed to discard quarantine {row['n']}")
    if row["proposer"] == signer_person(db, line):
        raise EffectError("who proposes to discard can't approve it")
    db.execute("UPDATE quarantine SET approved = ? WHERE n = ?", (line.number, row["n"]))


def discarded(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    changed = db.execute(
        "UPDATE quarantine SET discarded = ? WHERE n = ? AND approved IS NOT NULL AND discarded IS "
        "NULL", (line.number, fields["quarantine"])
    )  # fmt: skip
    if changed.rowcount != 1:
        raise EffectError(f"nobody decided to discard quarantine {fields['quarantine']}")


def _open(db: sqlite3.Connection, fields: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] | None = db.execute(OPEN, (fields["quarantine"],)).fetchone()
    if row is None:
        raise EffectError(f"quarantine {fields['quarantine']} is not open")
    return row
