"""What lines about looking change in the index (docs/format.md, 10.3)."""

from __future__ import annotations

import sqlite3
from typing import Any

from bwv_device.custody.ledger.ledger import CustodyLine, EffectError
from bwv_device.formats.certificates import KEY_DESK
from bwv_device.formats.grammar.forms import Hex

# What `case-member` may call a case, and `person` a person.
TEXT_LIMIT = 256


def viewed(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """One request is one line. Who is no key desk speaks for nobody else."""
    recording, person, request = fields["recording"], fields["person"], fields["request"]
    if not Hex(64).fits(request) or not Hex(64).fits(fields["key"]):
        raise EffectError("it names no request, or no key")
    segments = fields["segments"]
    if type(fields["outside"]) is not bool or not _are_texts(segments):
        raise EffectError("it names no files")
    if not _are_texts([person, fields["acts_as"], fields["approver"] or " "]):
        raise EffectError("it names nobody")
    signer = _signer(db, line)
    if signer["role"] != KEY_DESK and signer["person"] != person:
        raise EffectError("it speaks of another person than its signer")
    found = "SELECT erased_ns FROM recordings WHERE id = ?"
    row = db.execute(found, (recording,)).fetchone()
    if row is None or row["erased_ns"] is not None:
        raise EffectError(f"there is no recording {recording}")
    if db.execute("SELECT 1 FROM views WHERE request = ?", (request,)).fetchone():
        raise EffectError("its request has a line already")
    db.execute(
        "INSERT INTO views VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (line.number, recording, person, str(fields["acts_as"]), request, str(fields["approver"]),
         int(fields["outside"]), line.utc_ns),
    )  # fmt: skip


def exported(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """It says who opened what; recordings may be of a card that never docked."""
    names = fields["recordings"]
    if not _are_texts(names):
        raise EffectError("it names no recordings")
    if _signer(db, line)["person"] != fields["person"]:
        raise EffectError("it speaks of another person than its signer")


def case_member(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """On a case, or off it again."""
    case, person, member = fields["case"], fields["person"], fields["member"]
    texts = [text for text in (case, person) if isinstance(text, str)]
    if len(texts) != 2 or not all(0 < len(text) <= TEXT_LIMIT for text in texts):
        raise EffectError("it names no case, or no person")
    if type(member) is not bool:
        raise EffectError("it does not say whether they are on the case")
    if member:
        db.execute("INSERT OR IGNORE INTO case_members VALUES (?, ?)", (case, person))
    else:
        db.execute("DELETE FROM case_members WHERE case_ = ? AND person = ?", (case, person))


def audit_read(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """Who reads the history is in it."""
    for name in ("recording", "person"):
        if not isinstance(fields[name], str) or len(fields[name]) > TEXT_LIMIT:
            raise EffectError("it does not say what was read")


def _are_texts(values: Any) -> bool:
    """At least one."""
    return (
        isinstance(values, list)
        and bool(values)
        and all(isinstance(value, str) and value for value in values)
    )


def _signer(db: sqlite3.Connection, line: CustodyLine) -> Any:
    found = "SELECT role, person FROM signers WHERE fingerprint = ?"
    return db.execute(found, (line.by,)).fetchone()
