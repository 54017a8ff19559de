"""Which recordings a request from the public asks for: by the request's own line.

A request that came in time protects what it asks for from the moment its line stands, whatever
happens to the process that wrote it. The `hold` lines that follow only make that visible.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

# A recording whose clock was further off may be of any time.
UNSURE_NS = 86_400 * 1_000_000_000


def asks_for(request: Mapping[str, Any], recording: Mapping[str, Any]) -> bool:
    """Whether a recording may show what is asked for: rows of the index. Its time may overlap, and
    camera and officer are among those named, where any are."""
    unsure = recording["error_ns"] > UNSURE_NS
    earliest_ns = recording["start_ns"] - recording["error_ns"]
    in_time = request["from_ns"] <= recording["latest_ns"]
    in_time &= unsure or earliest_ns <= request["to_ns"]
    devices, officers = json.loads(request["devices"]), json.loads(request["officers"])
    return (
        in_time
        and (not devices or recording["device"] in devices)
        and (not officers or recording["officer"] in officers)
    )


def asking(db: sqlite3.Connection, name: str) -> list[str]:
    """Open requests, received in time, that ask for a recording; not those whose hold on it two
    people released."""
    recording = db.execute("SELECT * FROM recordings WHERE id = ?", (name,)).fetchone()
    if recording is None:
        return []
    found = db.execute(
        "SELECT * FROM requests WHERE closed IS NULL AND in_time = 1 AND from_ns <= ? AND id NOT "
        "IN (SELECT request FROM holds WHERE recording = ? AND released IS NOT NULL)",
        (recording["latest_ns"], name),
    ).fetchall()
    return [request["id"] for request in found if asks_for(request, recording)]
