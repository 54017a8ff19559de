"""Requests from the public: held at once, answered in time, and what "nothing found" rests on.

When an answer is due is the statutes' (`law`). Whether a request places a hold is decided by
another clock: 31 days from the incident to the request.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bwv_device.custody.intake.voice import create_once
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.request_matching import Asked, asked, of_a_time, open_requests
from bwv_device.custody.requests.law import KINDS, Figures, deadline
from bwv_device.custody.requests.steps import existing_request, figures_as_said
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.formats import store_keys
from bwv_device.formats.grammar.forms import Name
from bwv_device.formats.upload_body import BytesBody

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


class Filed(NamedTuple):
    """A request that is written down. `alike`: earlier requests that may be the same, in words."""

    request: str
    due: datetime.date
    in_time: bool
    alike: list[str]


class Opened(NamedTuple):
    """The same, and what is `held` for it."""

    request: str
    due: datetime.date
    in_time: bool
    held: list[str]
    alike: list[str]


def open_request(
    session: CustodySession, details: RequestDetails, figures: Figures | None = None
) -> Opened:
    """Files the letter, writes the request down, and holds what matches. Raises `CustodyError`."""
    name, due, in_time, alike = file_request(session, details, figures)
    held = [recording for recording in to_hold(session, name) if hold_for(session, recording, name)]
    return Opened(name, due, in_time, held, alike)


def to_hold(session: CustodySession, request: str) -> list[str]:
    """What a request in time asks for."""
    row = existing_request(session.index, request)
    return candidates(session.index, request) if row["in_time"] else []


def hold_for(session: CustodySession, recording: str, request: str) -> bool:
    """False where it is held for this request already."""
    return session.hold(recording, f"request {request}", request=request)


def file_request(
    session: CustodySession, details: RequestDetails, figures: Figures | None = None
) -> Filed:
    """Files the letter and writes the request down. Raises `CustodyError`."""
    figures = figures or Figures()
    _check(session, details)
    alike = _alike(session.index, details)
    incident = session.retention.day(details.incident_ns)
    in_time = details.received <= incident + datetime.timedelta(HOLD_DAYS)
    due = deadline(details.kind, details.received, (), figures).due
    assert due is not None
    number: list[str] = []

    def decide() -> tuple[str, Mapping[str, Any]]:
        name = _free_number(session.index, details.received.year)
        number[:] = [name]
        return "request", {
            "request": name,
            "type": details.kind,
            "received": details.received.isoformat(),
            "due": due.isoformat(),
            "in_time": in_time,
            "figures": figures_as_said(figures),
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
    return Filed(number[0], due, in_time, alike)


def _free_number(index: Index, year: int) -> str:
    row = index.row("SELECT count(*) AS n FROM requests")
    for number in itertools.count((row["n"] if row else 0) + 1):
        name = f"{year}-{number:05d}"
        if index.row("SELECT 1 FROM requests WHERE id = ?", name) is None:
            return name
    raise AssertionError


def _alike(index: Index, details: RequestDetails) -> list[str]:
    """Requests with the same letter, or of the same kind, time and place: they may be one."""
    letter = BytesBody(details.letter).sha256
    same = index.rows("SELECT * FROM requests WHERE letter = ? ORDER BY n", letter)
    near = index.rows(
        "SELECT * FROM requests WHERE kind = ? AND letter != ? AND from_ns <= ? AND to_ns >= ? "
        "ORDER BY n", details.kind, letter, details.to_ns, details.from_ns
    )  # fmt: skip
    place = " ".join(details.place.casefold().split())
    there = [row for row in near if " ".join(row["place"].casefold().split()) == place]
    return [
        *(f"request {row['id']} has the same letter" for row in same),
        *(f"request {row['id']} is of the same time and place" for row in there),
    ]


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


def candidates(index: Index, request: str) -> list[str]:
    """Recordings that may show what is asked for: their time may overlap, and camera and officer
    are among those named, where any are. Erased ones are not among them."""
    index.catch_up()
    wanted = asked(existing_request(index, request))
    rows = _of_its_time(index, wanted, "erasing IS NULL")
    return [row["id"] for row in rows if wanted.asks_for(row)]


def _of_its_time(index: Index, wanted: Asked, condition: str, *values: Any) -> list[dict[str, Any]]:
    """Rows in the order of their beginnings."""
    rows = [
        row
        for of in of_a_time(index.db, wanted.from_ns, wanted.to_ns)
        for row in index.rows(
            f"SELECT * FROM recordings WHERE {of.sql} AND {condition}",  # noqa: S608
            *of.values,
            *values,
        )
    ]
    return sorted(rows, key=lambda row: int(row["start_ns"]))


def unheld(session: CustodySession, after: int = 0) -> list[tuple[str, str]]:
    """Recordings with the open request, of a line behind `after`, that asks for them in time and of
    which no hold says so: whoever opened it did not come to an end."""
    index, found = session.index, []
    for request in open_requests(index.db, after):
        unheld_by_it = "id NOT IN (SELECT recording FROM holds WHERE request = ?)"
        rows = _of_its_time(index, request, f"erasing IS NULL AND {unheld_by_it}", request.id)
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
        if outcome == "not-found" and not _was_searched(session.index, request):
            raise CustodyError(
                f"Nobody searched for request {request}: 'not found' rests on nothing.",
                f"Search first: bwv custody request search {request}.",
            )
        return "request-closed", {"request": request, "outcome": outcome, "reason": reason}

    session.append(decide)
    return session.index.rows(
        "SELECT * FROM holds WHERE request = ? AND released IS NULL ORDER BY n", request
    )


def _was_searched(index: Index, request: str) -> bool:
    return any(line["request"] == request for line in index.lines("kind = 'search'"))


def reminders(session: CustodySession, days: int = 5) -> list[str]:
    """Sentences about open requests whose answer is due soon, or late."""
    session.index.catch_up()
    today = session.retention.day(session.now_ns())
    said = []
    open_ = "SELECT * FROM requests WHERE closed IS NULL AND due != '' ORDER BY due"
    for row in session.index.rows(open_):
        left = (datetime.date.fromisoformat(row["due"]) - today).days
        if left < 0:
            said.append(f"request {row['id']} was due on {row['due']}, {-left} days ago")
        elif left <= days:
            said.append(f"request {row['id']} is due on {row['due']}, in {left} days")
    return said


def all_requests(index: Index) -> Sequence[Mapping[str, Any]]:
    index.catch_up()
    return index.rows("SELECT * FROM requests ORDER BY n")
