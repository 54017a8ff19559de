"""The rules of retention in force, and the day on which each recording goes by them: two persons
put them in force (docs/format.md, 8.6)."""

from __future__ import annotations

import json
import re
import sqlite3
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from bwv_device.custody.ledger.ledger import CustodyLine, EffectError
from bwv_device.custody.ledger.signers import signer_person
from bwv_device.custody.retention_dates import BUILT_IN, Due, Retention

# Names that mean the same on every machine.
ZONE = re.compile(r"UTC|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_+-]+)+")
DAYS_LIMIT, CATEGORIES_LIMIT, CATEGORY_DAYS_LIMIT = 3650, 100, 36_500


def in_force(db: sqlite3.Connection) -> Retention:
    """What is built in, before any were approved."""
    said = newest(db)
    return _read(said) if said else BUILT_IN


def newest(db: sqlite3.Connection) -> str:
    """The rules that were approved last, as they were proposed; "" for none."""
    found = "SELECT json FROM rules WHERE approved IS NOT NULL ORDER BY version DESC LIMIT 1"
    row = db.execute(found).fetchone()
    return str(row["json"]) if row else ""


def fields_of(rules: Retention, version: int) -> dict[str, Any]:
    """As a line proposes them."""
    return {
        "version": version,
        "zone": rules.zone.key,
        "days": rules.days,
        "hidden_days": rules.hidden_days,
        "late_days": rules.late_days,
        "categories": dict(rules.categories),
        "words_days": rules.words_days,
    }


@lru_cache(maxsize=16)
def _read(said: str) -> Retention:
    return read(json.loads(said))


def read(fields: dict[str, Any]) -> Retention:
    """Raises `EffectError`, or what a malformed field raises."""
    days, hidden, late = fields["days"], fields["hidden_days"], fields["late_days"]
    categories = fields["categories"]
    words_days = fields["words_days"]
    numbers = [days, hidden, late, words_days, *categories.values()]
    if any(type(number) is not int for number in numbers):
        raise EffectError("days are whole numbers")
    if not (1 <= days <= DAYS_LIMIT and 0 <= hidden <= days and 0 <= late <= 365):
        raise EffectError("its days are out of bounds")
    if len(categories) > CATEGORIES_LIMIT or not all(
        1 <= number <= CATEGORY_DAYS_LIMIT for number in categories.values()
    ):
        raise EffectError("its categories are out of bounds")
    if not 1 <= words_days <= CATEGORY_DAYS_LIMIT:
        raise EffectError("its days for words are out of bounds")
    if not ZONE.fullmatch(fields["zone"]):
        raise EffectError("its zone is not of the form Area/City")
    return Retention(ZoneInfo(fields["zone"]), days, hidden, late, categories, words_days)


def due(db: sqlite3.Connection, recording: dict[str, Any]) -> Due:
    """Of a row of the index."""
    return in_force(db).due(recording["latest_ns"], recording["received_ns"], recording["category"])


def refuse_early(db: sqlite3.Connection, line: CustodyLine, name: str, *, hide: bool) -> None:
    """Raises `EffectError` where the line is dated before the recording's day."""
    row = db.execute("SELECT * FROM recordings WHERE id = ?", (name,)).fetchone()
    goes = due(db, row)
    day = goes.hidden if hide else goes.erased
    if in_force(db).day(line.utc_ns) < day:
        word = "hidden" if hide else "erased"
        raise EffectError(f"{name} is not to be {word} before {day}: {goes.rule}")


def set_due(db: sqlite3.Connection, where: str, *values: Any) -> None:
    """Writes down the day on which recordings go. `where` is a condition on recordings."""
    found = f"SELECT * FROM recordings WHERE erased_ns IS NULL AND ({where})"  # noqa: S608
    erased_on = in_force(db).erased_on
    days = [
        (erased_on(row["latest_ns"], row["received_ns"], row["category"]).toordinal(), row["id"])
        for row in db.execute(found, values).fetchall()
    ]
    db.executemany("UPDATE recordings SET due_day = ? WHERE id = ?", days)


def proposed(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    version = fields["version"]
    if version != _version(db) + 1:
        raise EffectError(f"version {version} does not follow version {_version(db)}")
    said = json.dumps(fields_of(read(fields), version))
    values = (version, line.number, said, signer_person(db, line))
    db.execute("INSERT OR REPLACE INTO rules VALUES (?, ?, ?, ?, NULL)", values)


def approved(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    found = "SELECT * FROM rules WHERE version = ? AND n = ? AND approved IS NULL"
    row = db.execute(found, (fields["version"], fields["proposed"])).fetchone()
    if row is None:
        raise EffectError("nobody proposed these rules, or they are in force")
    if row["proposer"] == signer_person(db, line):
        raise EffectError("who proposes rules can't approve them")
    values = (line.number, fields["version"])
    db.execute("UPDATE rules SET approved = ? WHERE version = ?", values)
    set_due(db, "1")


def _version(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT max(version) AS n FROM rules WHERE approved IS NOT NULL").fetchone()
    return int(row["n"] or 0)
