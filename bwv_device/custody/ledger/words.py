"""When the words of a line go: its body, with what it says in free text and of whom. Rules that two
persons agreed on say how long after the matter was closed (docs/format.md, 8.8).
"""

from __future__ import annotations

import datetime
import json
import sqlite3
from typing import Any

from bwv_device.custody.ledger import rules
from bwv_device.custody.ledger.ledger import CustodyLine, EffectError

# Lines whose words may be in one decision.
BATCH_LIMIT = 1000
# By kind of line, where the moment is found at which its matter was closed: a request's answer, a
# hold's release, a recording's erasure, or the line itself.
CLOSED_BY_REQUEST = ("request", "request-step", "request-closed")
CLOSED_BY_RELEASE = ("hold", "release-proposed")
CLOSED_BY_ERASURE = ("review", "disclosed", "viewed")

CANDIDATES = (
    "SELECT bodies.n FROM bodies JOIN lines USING (n) WHERE refused = '' AND bodies.n NOT IN "
    "(SELECT n FROM words) AND lines.utc_ns < ? ORDER BY bodies.n"
)


def due(db: sqlite3.Connection, now_ns: int) -> list[int]:
    """Numbers of the lines whose words are to go."""
    in_force = rules.in_force(db)
    today = in_force.day(now_ns)
    oldest = today - datetime.timedelta(in_force.words_days)
    before_ns = in_force.start_utc_s(oldest + datetime.timedelta(1)) * 10**9
    found = db.execute(CANDIDATES, (before_ns,)).fetchall()
    return [row["n"] for row in found if _is_due(db, row["n"], today)]


def _is_due(db: sqlite3.Connection, number: int, today: datetime.date) -> bool:
    closed_ns, in_force = _closed_ns(db, number), rules.in_force(db)
    if closed_ns is None:
        return False
    return in_force.day(closed_ns) + datetime.timedelta(in_force.words_days) <= today


def _closed_ns(db: sqlite3.Connection, number: int) -> int | None:
    """When the matter that a line belongs to was closed; None while it is open."""
    line = db.execute("SELECT * FROM lines WHERE n = ?", (number,)).fetchone()
    if line is None:
        return None
    said, kind = json.loads(line["json"]), line["kind"]
    if kind in CLOSED_BY_REQUEST:
        found, value = "SELECT closed AS n FROM requests WHERE id = ?", said["request"]
    elif kind in CLOSED_BY_RELEASE:
        found = "SELECT released AS n FROM holds WHERE n = ?"
        value = number if kind == "hold" else said["hold"]
    elif kind in CLOSED_BY_ERASURE:
        found = "SELECT erased_ns AS ns FROM recordings WHERE id = ?"
        row = db.execute(found, (said["recording"],)).fetchone()
        return row["ns"] if row else None
    else:
        return int(line["utc_ns"])
    row = db.execute(found, (value,)).fetchone()
    if row is None or row["n"] is None:
        return None
    return int(db.execute("SELECT utc_ns FROM lines WHERE n = ?", (row["n"],)).fetchone()["utc_ns"])


def _numbers(fields: dict[str, Any]) -> list[int]:
    numbers: list[int] = fields["lines"]
    if not 0 < len(numbers) <= BATCH_LIMIT or len(set(numbers)) != len(numbers):
        raise EffectError(f"it names no lines, more than {BATCH_LIMIT}, or one twice")
    return numbers


def erasing(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """From here on nobody shows them, and that they are gone is no problem any more."""
    today = rules.in_force(db).day(line.utc_ns)
    for number in _numbers(fields):
        has = "SELECT 1 FROM lines WHERE n = ? AND body IS NOT NULL"
        if db.execute(has, (number,)).fetchone() is None:
            raise EffectError(f"line {number} has no words beside it")
        if not _is_due(db, number, today):
            raise EffectError(f"the words of line {number} are not to go yet")
        db.execute("INSERT INTO words VALUES (?, ?, NULL)", (number, line.number))
        db.execute("DELETE FROM bodies WHERE n = ?", (number,))
        db.execute("DELETE FROM problems WHERE n = ? AND problem = ?", (number, NOT_THERE))
        db.execute("UPDATE holds SET reason = '', case_ = '' WHERE n = ?", (number,))
        db.execute(
            "UPDATE requests SET place = '', description = '', letter = '' WHERE n = ?",
            (number,),
        )  # fmt: skip


def erased(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    for number in _numbers(fields):
        changed = db.execute(
            "UPDATE words SET erased = ? WHERE n = ? AND erased IS NULL", (line.number, number)
        )
        if changed.rowcount != 1:
            raise EffectError(f"nobody decided that the words of line {number} go")


NOT_THERE = "its body is not there, or was changed"
