"""Which recordings a request from the public asks for: by the request's own line.

A request that came in time protects what it asks for from the moment its line stands, whatever
happens to the process that wrote it. The `hold` lines that follow only make that visible.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

# A recording whose clock was further off may be of any time.
UNSURE_NS = 86_400 * 1_000_000_000
# One whose clock was no further off is found between bounds that an index can use.
SURE_NS = 3600 * 1_000_000_000
LAST_NS = (1 << 63) - 1


class Condition(NamedTuple):
    """Of recordings, in SQL, with its values."""

    sql: str
    values: tuple[int, ...]


def of_a_time(db: sqlite3.Connection, from_ns: int | None, to_ns: int | None) -> list[Condition]:
    """Recordings that may be of a time: those whose clock knew the hour, between bounds that an
    index can use, and the few others by themselves. Each recording fits one of both at most."""
    row = db.execute("SELECT value FROM meta WHERE name = 'longest'").fetchone()
    first_ns = 0 if from_ns is None else from_ns
    last_ns = LAST_NS if to_ns is None else to_ns
    bounds = (max(0, first_ns - int(row["value"] if row else 0)), min(LAST_NS, last_ns + SURE_NS))
    sure = (
        # The plus keeps the database from walking along all later ends instead.
        f"error_ns <= {SURE_NS} AND start_ns BETWEEN ? AND ? AND +latest_ns >= ? AND "
        "start_ns - error_ns <= ?"
    )
    unsure = (
        f"error_ns > {SURE_NS} AND +latest_ns >= ? AND (error_ns > {UNSURE_NS} OR "
        "start_ns - error_ns <= ?)"
    )
    return [
        Condition(sure, (*bounds, first_ns, last_ns)),
        Condition(unsure, (first_ns, last_ns)),
    ]


class Asked(NamedTuple):
    """What a request asks for; `n` is its line. No camera or officer means any."""

    id: str
    n: int
    from_ns: int
    to_ns: int
    devices: frozenset[str]
    officers: frozenset[str]

    def asks_for(self, recording: Mapping[str, Any]) -> bool:
        """Whether a recording, a row of the index, may show it."""
        unsure = recording["error_ns"] > UNSURE_NS
        in_time = self.from_ns <= recording["latest_ns"]
        in_time &= unsure or recording["start_ns"] - recording["error_ns"] <= self.to_ns
        return (
            in_time
            and (not self.devices or recording["device"] in self.devices)
            and (not self.officers or recording["officer"] in self.officers)
        )


def asked(row: Mapping[str, Any]) -> Asked:
    """Of a row of the index's requests."""
    return Asked(
        row["id"],
        row["n"],
        row["from_ns"],
        row["to_ns"],
        frozenset(json.loads(row["devices"])),
        frozenset(json.loads(row["officers"])),
    )


def open_requests(db: sqlite3.Connection, after: int = 0) -> list[Asked]:
    """Those that came in time and are not answered yet, of lines behind `after`."""
    found = "SELECT * FROM requests WHERE closed IS NULL AND in_time = 1 AND n > ? ORDER BY n"
    return [asked(row) for row in db.execute(found, (after,)).fetchall()]


def asking(db: sqlite3.Connection, recording: Mapping[str, Any]) -> list[str]:
    """Open requests that ask for a recording, a row of the index; not those whose hold on it two
    people released."""
    found = (
        "SELECT * FROM requests WHERE closed IS NULL AND in_time = 1 AND from_ns <= ? AND "
        "(to_ns >= ? OR ? > ?) ORDER BY n"
    )
    error_ns = recording["error_ns"]
    began_ns = recording["start_ns"] - min(error_ns, UNSURE_NS)
    times = (recording["latest_ns"], began_ns, error_ns, UNSURE_NS)
    meant = [asked(row) for row in db.execute(found, times).fetchall()]
    names = [request.id for request in meant if request.asks_for(recording)]
    if not names:
        return []
    found = "SELECT request FROM holds WHERE recording = ? AND released IS NOT NULL"
    released = {row["request"] for row in db.execute(found, (recording["id"],)).fetchall()}
    return [name for name in names if name not in released]
