"""Requests from the public: three separate clocks, holds at once, and what "nothing found" rests
on.

A subject access request has one calendar month (UK GDPR, article 12(3), counted as the Information
Commissioner's Office does: to the corresponding day of the next month, or its last; a day that is
no working day moves to the next one). A freedom of information request has twenty working days
(FOIA 2000, section 10). Whether it places a hold is decided by a third: 31 days from the incident
to the request.
"""

from __future__ import annotations

import calendar
import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import holidays

from bwv_device.custody.intake.voice import create_once
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.request_matching import OF_A_TIME, asked, open_requests
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.formats import store_keys
from bwv_device.formats.grammar.forms import Name
from bwv_device.formats.upload_body import BytesBody

SUBJECT_ACCESS, FREEDOM_OF_INFORMATION = "subject-access", "freedom-of-information"
KINDS = (SUBJECT_ACCESS, FREEDOM_OF_INFORMATION)
FOI_WORKING_DAYS = 20
HOLD_DAYS = 31
OUTCOMES = ("disclosed", "partly-disclosed", "refused", "not-found", "withdrawn")


class RequestDetails(NamedTuple):
    """A request as received. The times are of the footage asked for; `received` is the day on
    which the letter came."""

    kind: str
    letter: bytes
    letter_name: str
    received: datetime.date
    incident_ns: int
    from_ns: int
    to_ns: int
    place: str
    description: str
    devices: tuple[str, ...] = ()
    officers: tuple[str, ...] = ()


class Opened(NamedTuple):
    request: str
    due: datetime.date
    in_time: bool
    held: list[str]


def due_date(kind: str, received: datetime.date, region: str = "ENG") -> datetime.date:
    """When the answer is due. `region` is one of the UK's as `holidays` names them."""
    if kind == SUBJECT_ACCESS:
        return _working_day_from(_a_month_later(received), region)
    due = received
    for _ in range(FOI_WORKING_DAYS):
        due = _working_day_from(due + datetime.timedelta(1), region)
    return due


def _a_month_later(day: datetime.date) -> datetime.date:
    year, month = divmod(day.year * 12 + day.month, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return day.replace(year=year, month=month + 1, day=min(day.day, last))


def _working_day_from(day: datetime.date, region: str) -> datetime.date:
    free = holidays.country_holidays("GB", subdiv=region)
    while day.weekday() >= 5 or day in free:
        day += datetime.timedelta(1)
    return day


def open_request(session: CustodySession, details: RequestDetails, region: str = "ENG") -> Opened:
    """Files the letter, writes the request down, and holds what matches. Raises `CustodyError`."""
    _check(session, details)
    incident = session.retention.day(details.incident_ns)
    in_time = details.received <= incident + datetime.timedelta(HOLD_DAYS)
    due = due_date(details.kind, details.received, region)
    number: list[str] = []

    def decide() -> tuple[str, Mapping[str, Any]]:
        count = session.index.row("SELECT count(*) AS n FROM requests")
        name = f"{details.received.year}-{(count['n'] if count else 0) + 1:05d}"
        number[:] = [name]
        return "request", {
            "request": name,
            "type": details.kind,
            "received": details.received.isoformat(),
            "due": due.isoformat(),
            "in_time": in_time,
            "incident_ns": details.incident_ns,
            "from_ns": details.from_ns,
            "to_ns": details.to_ns,
            "place": details.place,
            "description": details.description,
            "devices": list(details.devices),
            "officers": list(details.officers),
            "letter": letter.sha256,
            "letter_name": details.letter_name,
        }

    letter = BytesBody(details.letter)
    create_once(session.store, store_keys.letter(letter.sha256), letter)
    session.append(decide)
    name = number[0]
    held = [
        recording
        for recording in candidates(session.index, name)
        if in_time and session.hold(recording, f"request {name}", request=name)
    ]
    return Opened(name, due, in_time, held)


def _check(session: CustodySession, details: RequestDetails) -> None:
    today = session.retention.day(session.now_ns())
    session.index.catch_up()
    cameras = {row["device"] for row in session.index.rows("SELECT device FROM cameras")}
    unknown = [device for device in details.devices if device not in cameras]
    problems = {
        f"no camera {' or '.join(unknown)} is known here": bool(unknown),
        "it names no place": not details.place.strip(),
        "it does not say what happened": not details.description.strip(),
        f"unknown kind of request {details.kind!r}": details.kind not in KINDS,
        "the letter is empty": not details.letter,
        "the letter's name can't be written down": not Name(200).fits(details.letter_name),
        "the footage's time ends before it begins": details.from_ns > details.to_ns,
        "the incident lies after the request": session.retention.day(details.incident_ns)
        > details.received,
        "the request was received in the future": details.received > today,
    }
    for problem, there in problems.items():
        if there:
            raise CustodyError(f"The request can't be opened: {problem}.", "Correct it.")


def existing_request(index: Index, request: str) -> Mapping[str, Any]:
    """Raises `CustodyError` if there is no such request."""
    row = index.row("SELECT * FROM requests WHERE id = ?", request)
    if row is None:
        raise CustodyError(f"There is no request {request!r}.", "See 'bwv custody request list'.")
    return row


def candidates(index: Index, request: str) -> list[str]:
    """Recordings that may show what is asked for: their time may overlap, and camera and officer
    are among those named, where any are. Erased ones are not among them."""
    index.catch_up()
    wanted = asked(existing_request(index, request))
    rows = index.rows(
        f"SELECT * FROM recordings WHERE erasing IS NULL AND {OF_A_TIME} ORDER BY start_ns",  # noqa: S608
        *wanted.time,
    )
    return [row["id"] for row in rows if wanted.asks_for(row)]


def unheld(session: CustodySession, after: int = 0) -> list[tuple[str, str]]:
    """Recordings with the open request, of a line behind `after`, that asks for them in time and of
    which no hold says so: whoever opened it did not come to an end."""
    index, found = session.index, []
    for request in open_requests(index.db, after):
        rows = index.rows(
            f"SELECT * FROM recordings WHERE erasing IS NULL AND {OF_A_TIME} AND id NOT IN "  # noqa: S608
            "(SELECT recording FROM holds WHERE request = ?)",
            *request.time,
            request.id,
        )
        found += [(row["id"], request.id) for row in rows if request.asks_for(row)]
    return found


def close_request(
    session: CustodySession, request: str, outcome: str, reason: str
) -> Sequence[Mapping[str, Any]]:
    """The answer was given. Holds stay until two people release them: those that are in force are
    returned, as rows of the index."""
    if outcome not in OUTCOMES:
        raise CustodyError(f"Unknown outcome {outcome!r}.", f"Choose one of {', '.join(OUTCOMES)}.")

    def decide() -> tuple[str, Mapping[str, Any]]:
        row = session.index.row("SELECT closed FROM requests WHERE id = ?", request)
        if row is None or row["closed"]:
            raise CustodyError(
                f"There is no open request {request!r}.", "See 'bwv custody request list'."
            )
        return "request-closed", {"request": request, "outcome": outcome, "reason": reason}

    session.append(decide)
    return session.index.rows(
        "SELECT * FROM holds WHERE request = ? AND released IS NULL ORDER BY n", request
    )


def reminders(session: CustodySession, days: int = 5) -> list[str]:
    """Sentences about open requests whose answer is due soon, or late."""
    session.index.catch_up()
    today = session.retention.day(session.now_ns())
    said = []
    for row in session.index.rows("SELECT * FROM requests WHERE closed IS NULL ORDER BY due"):
        left = (datetime.date.fromisoformat(row["due"]) - today).days
        if left < 0:
            said.append(f"request {row['id']} was due on {row['due']}, {-left} days ago")
        elif left <= days:
            said.append(f"request {row['id']} is due on {row['due']}, in {left} days")
    return said


class Coverage(NamedTuple):
    """What a search looked at, and what it can't have seen. `not_delivered` are recordings among
    those found of which files were recorded and never came."""

    request: str
    found: list[str]
    searched: list[str]
    not_docked: list[str]
    erased: int
    not_delivered: list[str]


def search(session: CustodySession, request: str) -> Coverage:
    """Looks, and writes down where: a certificate that "nothing found" can be held against. Cameras
    that have not docked since the time asked for may still hold it."""
    session.check()
    found = candidates(session.index, request)
    row = session.index.row("SELECT * FROM requests WHERE id = ?", request)
    assert row is not None
    named = json.loads(row["devices"])
    cameras = {r["device"]: r["docked_ns"] for r in session.index.rows("SELECT * FROM cameras")}
    meant = named or sorted(cameras)
    not_docked = [d for d in meant if (cameras.get(d) or 0) <= row["to_ns"] or _awaits(session, d)]
    erased = session.index.row(
        "SELECT count(*) AS n FROM recordings WHERE erasing IS NOT NULL AND latest_ns >= ? "
        "AND start_ns - error_ns <= ?",
        row["from_ns"], row["to_ns"],
    )  # fmt: skip
    coverage = Coverage(
        request,
        found,
        [d for d in meant if d not in not_docked],
        not_docked,
        erased["n"] if erased else 0,
        [name for name in found if _is_not_delivered(session, name)],
    )
    session.append(
        lambda: (
            "search",
            {
                "request": request,
                "from_ns": row["from_ns"],
                "to_ns": row["to_ns"],
                "searched": coverage.searched,
                "not_docked": coverage.not_docked,
                "found": coverage.found,
                "erased": coverage.erased,
                "not_delivered": coverage.not_delivered,
            },
        )
    )
    return coverage


def _is_not_delivered(session: CustodySession, recording: str) -> bool:
    row = session.index.row(
        "SELECT 1 FROM files WHERE recording = ? AND (status = 'absent' OR lost != '') LIMIT 1",
        recording,
    )
    return row is not None


def _awaits(session: CustodySession, device: str) -> bool:
    """Whether a camera announced footage that has not come yet."""
    row = session.index.row(
        "SELECT 1 FROM files WHERE device = ? AND status = 'expected' LIMIT 1", device
    )
    return row is not None


def all_requests(index: Index) -> Sequence[Mapping[str, Any]]:
    index.catch_up()
    return index.rows("SELECT * FROM requests ORDER BY n")
