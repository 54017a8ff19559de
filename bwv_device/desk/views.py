"""What the screens show, as JSON. A browser does not take our word for what counts: it holds films,
lines and acts against what cameras and people have signed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from bwv_device.custody import quarantine, search
from bwv_device.custody.disclosure.camera_lines import camera_lines
from bwv_device.custody.key_desk import cases
from bwv_device.custody.key_desk.consultations import consultations
from bwv_device.custody.requests import public_requests, steps
from bwv_device.custody.requests.steps import existing_request
from bwv_device.custody.retention.holds import existing
from bwv_device.custody.search import MARKERS, Wanted
from bwv_device.custody.session import CustodySession
from bwv_device.desk.acts import LETTER_LIMIT
from bwv_device.formats import store_keys
from hal.ports import SECOND_NS

DAY_NS = 86_400 * SECOND_NS
ROWS = 200
# A camera that has not docked for so long is worth a question.
SILENT_DAYS = 7
SOON_DAYS = 3

Json = dict[str, Any]


def about(session: CustodySession) -> Json:
    """What forms offer."""
    return {
        "store": session.index.store_id,
        "categories": sorted({"unreviewed", *session.retention.categories}),
        "markers": list(MARKERS),
        "cameras": [
            row["device"]
            for row in session.index.rows("SELECT device FROM cameras ORDER BY device LIMIT 5000")
        ],
        "now_ns": session.now_ns(),
    }


# --- inbox ------------------------------------------------------------------------------------


def inbox(session: CustodySession) -> Json:
    """What waits for somebody, the most urgent first in each part."""
    index, now_ns = session.index, session.now_ns()
    today = session.retention.day(now_ns)
    requests = index.rows(
        "SELECT * FROM requests WHERE closed IS NULL ORDER BY due = '', due LIMIT ?", ROWS
    )
    releases = index.rows(
        "SELECT holds.*, signers.name AS proposed_by FROM holds LEFT JOIN signers ON "
        "signers.person = proposer WHERE proposed IS NOT NULL AND released IS NULL "
        "GROUP BY holds.n ORDER BY proposed LIMIT ?", ROWS
    )  # fmt: skip
    open_quarantine = [row for row in quarantine.listed(session) if row["discarded"] is None]
    absent = index.rows(
        "SELECT recording, count(*) AS files FROM files WHERE status = 'absent' GROUP BY recording "
        "ORDER BY recording LIMIT ?", ROWS
    )  # fmt: skip
    silent = index.rows(
        "SELECT device, officer, docked_ns FROM cameras WHERE officer != '' AND revoked = '' AND "
        "(docked_ns IS NULL OR docked_ns < ?) ORDER BY docked_ns LIMIT ?",
        now_ns - SILENT_DAYS * DAY_NS, ROWS,
    )  # fmt: skip
    going = index.rows(
        "SELECT * FROM recordings WHERE erased_ns IS NULL AND erasing IS NULL AND due_day <= ? AND "
        "id NOT IN (SELECT recording FROM holds WHERE released IS NULL) ORDER BY due_day LIMIT ?",
        today.toordinal() + SOON_DAYS, ROWS,
    )  # fmt: skip
    return {
        "requests": [_request(session, row) for row in requests],
        "releases": [
            {
                "hold": row["n"], "recording": row["recording"], "reason": row["reason"],
                "case": row["case_"], "proposer": row["proposer"],
                "proposed_by": row["proposed_by"] or row["proposer"],
                "mine": row["proposer"] == session.person,
            }
            for row in releases
        ],
        "quarantine": [
            {**_only(row, "n", "device", "segment", "reason", "owner", "state", "review_ns"),
             "mine": row["proposer"] == session.person}
            for row in open_quarantine[:ROWS]
        ],
        "not_delivered": absent,
        "silent": silent,
        "going": [
            {**_recording(session, row), "due": str(session.due(row).erased)} for row in going
        ],
    }  # fmt: skip


# --- recordings -------------------------------------------------------------------------------


def found(session: CustodySession, wanted: Wanted, words: str = "") -> Json:
    """The newest first."""
    if words:
        rows = _by_words(session, words)
        total = len(rows)
    else:
        rows = search.find(session, wanted)[::-1]
        total = search.count(session, wanted)
    return {"recordings": [_recording(session, row) for row in rows], "total": total}


def _by_words(session: CustodySession, words: str) -> list[Json]:
    """By what stands in a name, or in what people wrote: of holds and cases."""
    like = f"%{words.replace('%', '')}%"
    return session.index.rows(
        "SELECT * FROM recordings WHERE erased_ns IS NULL AND (id LIKE ?1 OR id IN (SELECT "
        "recording FROM holds WHERE case_ LIKE ?1 OR reason LIKE ?1)) ORDER BY start_ns DESC LIMIT "
        "?2", like, ROWS
    )  # fmt: skip


def recording(session: CustodySession, name: str) -> Json:
    """Everything about one. Raises `CustodyError`."""
    row = existing(session, name)
    index = session.index
    files = "SELECT * FROM files WHERE recording = ? ORDER BY segment"
    due = session.due(row)
    return {
        **_recording(session, row),
        "due": {"hidden": str(due.hidden), "erased": str(due.erased), "rule": due.rule},
        "files": [
            _only(f, "segment", "length", "sha256", "status", "lost")
            for f in index.rows(files, name)
        ],
        "markers": index.rows(
            "SELECT marker, at_ns FROM markers WHERE recording = ? ORDER BY at_ns", name
        ),
        "holds": [
            _hold(hold)
            for hold in index.rows("SELECT * FROM holds WHERE recording = ? ORDER BY n", name)
        ],
        "lines": [_line(line) for line in search.lines_about(session, name)],
        "before": _neighbour(session, row, "<", "DESC"),
        "after": _neighbour(session, row, ">", "ASC"),
    }


def lines_of_camera(session: CustodySession, name: str) -> bytes:
    """What the camera signed about it, for whoever verifies. Raises `CustodyError`."""
    row = existing(session, name)
    return camera_lines(session, row["device"], row["recording"])


def _neighbour(session: CustodySession, row: Mapping[str, Any], side: str, order: str) -> str:
    """Of the same camera, so that a shift can be watched in a row."""
    found = session.index.row(
        f"SELECT id FROM recordings WHERE device = ? AND start_ns {side} ? AND erased_ns IS NULL "  # noqa: S608
        f"ORDER BY start_ns {order} LIMIT 1", row["device"], row["start_ns"]
    )  # fmt: skip
    return str(found["id"]) if found else ""


def _recording(session: CustodySession, row: Mapping[str, Any]) -> Json:
    return {
        **_only(row, "id", "device", "recording", "officer", "start_ns", "end_ns", "error_ns",
                "category", "flagged", "received_ns", "late"),
        "trigger": row["trigger_"],
        "state": _state(session, row),
    }  # fmt: skip


def _state(session: CustodySession, row: Mapping[str, Any]) -> str:
    index, name = session.index, row["id"]
    if row["erased_ns"]:
        return "erased"
    if index.row("SELECT 1 FROM holds WHERE recording = ? AND released IS NULL", name):
        return "held"
    if row["hidden_ns"]:
        return "hidden"
    lost = "SELECT 1 FROM files WHERE recording = ? AND lost != '' AND status = 'received'"
    if index.row(lost, name):
        return "not whole"
    if index.row("SELECT 1 FROM files WHERE recording = ? AND status = 'absent'", name):
        return "not delivered"
    return "kept" if row["received_ns"] else "on the camera"


def _hold(row: Mapping[str, Any]) -> Json:
    state = "released" if row["released"] else "release proposed" if row["proposed"] else "in force"
    return {
        **_only(row, "n", "reason", "request", "proposer"), "case": row["case_"], "state": state,
    }  # fmt: skip


# What is long, or says nothing to a reader.
UNSHOWN = (
    "certificate",
    "prev",
    "by",
    "v",
    "pieces",
    "statement",
    "approval",
    "list",
    "body",
    "files",
)


def _line(line: Mapping[str, Any]) -> Json:
    shown = {key: value for key, value in line.items() if key not in UNSHOWN}
    return {key: value for key, value in shown.items() if value not in ("", None)}


# --- cases, requests, cameras, audit ----------------------------------------------------------


def case(session: CustodySession, name: str) -> Json:
    """What is held for it, and who is on it; of "" the names of all."""
    index = session.index
    if not name:
        rows = index.rows(
            "SELECT case_ AS name, count(DISTINCT recording) AS recordings FROM holds WHERE case_ "
            "!= '' AND released IS NULL GROUP BY case_ ORDER BY case_ LIMIT ?", ROWS
        )  # fmt: skip
        return {"cases": rows}
    rows = index.rows(
        "SELECT * FROM recordings WHERE id IN (SELECT recording FROM holds WHERE case_ = ? AND "
        "released IS NULL) ORDER BY start_ns LIMIT ?", name, ROWS
    )  # fmt: skip
    return {
        "name": name,
        "recordings": [_recording(session, row) for row in rows],
        "members": [row["person"] for row in cases.members(session, name)],
    }


def requests(session: CustodySession) -> Json:
    """All, the open ones first."""
    rows = public_requests.all_requests(session.index)
    ordered = sorted(rows, key=lambda row: (row["closed"] is not None, row["due"] or "9"))
    return {"requests": [_request(session, row) for row in ordered[: 5 * ROWS]]}


def request(session: CustodySession, name: str) -> Json:
    """One, with its steps, what is held for it and what might be. Raises `CustodyError`."""
    row = existing_request(session.index, name)
    held = session.index.rows(
        "SELECT * FROM holds WHERE request = ? AND released IS NULL ORDER BY n", name
    )
    to_hold = public_requests.to_hold(session, name) if row["closed"] is None else []
    of_it = {hold["recording"] for hold in held}
    return {
        **_request(session, row),
        "steps": [
            {"step": step.what, "about": step.about, "day": str(step.day)}
            for step in steps.steps_of(session.index, name)
        ],
        "held": [{**_hold(hold), "recording": hold["recording"]} for hold in held],
        "to_hold": [recording for recording in to_hold if recording not in of_it],
        "searches": [
            _line(line)
            for line in session.index.lines("kind = 'search'")
            if line["request"] == name
        ],
    }


def letter(session: CustodySession, name: str) -> bytes:
    """What the public wrote. Raises `CustodyError`; `StoreError` where it is gone."""
    row = existing_request(session.index, name)
    return session.store.read(store_keys.letter(row["letter"]), LETTER_LIMIT)


def _request(session: CustodySession, row: Mapping[str, Any]) -> Json:
    return {
        **_only(row, "id", "kind", "letter", "received", "due", "place", "description", "outcome",
                "from_ns", "to_ns", "incident_ns"),
        "in_time": bool(row["in_time"]),
        "closed": row["closed"] is not None,
        "devices": json.loads(row["devices"]),
        "officers": json.loads(row["officers"]),
        "days_left": _days_left(session, row),
    }  # fmt: skip


def _days_left(session: CustodySession, row: Mapping[str, Any]) -> int | None:
    """None while its clock stands still, or it is answered."""
    if row["closed"] is not None or not row["due"]:
        return None
    today = session.retention.day(session.now_ns())
    return (type(today).fromisoformat(row["due"]) - today).days


def cameras(session: CustodySession) -> Json:
    rows = session.index.rows("SELECT * FROM cameras ORDER BY device LIMIT 5000")
    return {
        "cameras": [
            {
                **_only(row, "device", "officer", "profile", "docked_ns", "battery", "clock",
                        "waiting", "revoked"),
                "forked": bool(row["forked_from"]),
            }
            for row in rows
        ]
    }  # fmt: skip


def looks(session: CustodySession, recording: str, person: str) -> Json:
    """Who looked at what, the newest first."""
    rows = consultations(session, session.roots, recording, person)
    return {"looks": [row._asdict() for row in reversed(rows[-1000:])], "total": len(rows)}


SAMPLE_MOST = 200


def scrutiny(session: CustodySession, from_ns: int, to_ns: int, seed: str, count: int) -> Json:
    """A sample that nobody can choose: of the recordings that began between two times, those whose
    SHA-256 of `seed LF id` is the least. Whoever has the seed draws the same."""
    rows = session.index.rows(
        "SELECT * FROM recordings WHERE start_ns >= ? AND start_ns < ? AND erased_ns IS NULL",
        from_ns, to_ns,
    )  # fmt: skip
    drawn = sorted(rows, key=lambda row: _drawn(seed, row["id"]))[: min(count, SAMPLE_MOST)]
    reviewed = {
        row["recording"]
        for row in session.index.rows(
            "SELECT DISTINCT recording FROM mentions JOIN lines USING (n) WHERE kind = 'review'"
        )
    }
    return {
        "recordings": [
            {**_recording(session, row), "reviewed": row["id"] in reviewed} for row in drawn
        ],
        "total": len(rows),
    }


def _drawn(seed: str, name: str) -> str:
    return hashlib.sha256(f"{seed}\n{name}".encode()).hexdigest()


def number(text: str) -> int:
    """0 for what is none."""
    return int(text) if text.lstrip("-").isdecimal() and len(text) < 20 else 0


def _only(row: Mapping[str, Any], *names: str) -> Json:
    return {name: row[name] for name in names}


def wanted(given: Mapping[str, str]) -> Wanted:
    """From what stands in an address; what is no number is not looked for."""

    def number(name: str) -> int | None:
        text = given.get(name, "")
        return int(text) if text.lstrip("-").isdecimal() and len(text) < 20 else None

    def either(name: str) -> bool | None:
        return {"yes": True, "no": False}.get(given.get(name, ""))

    return Wanted(
        number("from_ns"), number("to_ns"), given.get("device", ""), given.get("officer", ""),
        given.get("category", ""), given.get("marker", ""), either("held"), either("hidden"), ROWS,
    )  # fmt: skip
