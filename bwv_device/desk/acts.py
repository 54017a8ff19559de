"""What people do from the desk. Each act is one line, written by the function that the command line
calls; the rules are there, and nothing is decided here.
"""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bwv_device.custody import quarantine, search
from bwv_device.custody.key_desk import cases
from bwv_device.custody.ledger.ledger import Decided
from bwv_device.custody.requests import public_requests, search_certificate, steps
from bwv_device.custody.requests.law import Figures, Step
from bwv_device.custody.retention import holds
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.formats import canonical_json

Arguments = Mapping[str, Any]
LETTER_LIMIT = 8 << 20
TEXT_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Act:
    """`parameters`: names and types, all of them. `does` writes one line."""

    parameters: Mapping[str, type]
    does: Callable[[CustodySession, Arguments, Figures], object]

    def carry_out(self, session: CustodySession, given: Arguments, figures: Figures) -> None:
        """Raises `CustodyError`, and `SignatureNeededError` of a session that drafts."""
        if {name: type(value) for name, value in given.items()} != dict(self.parameters):
            raise CustodyError("This is no act as the desk knows it.", "Load the page again.")
        for name, value in given.items():
            if isinstance(value, int) and value not in canonical_json.INTEGERS:
                raise CustodyError("This is no act as the desk knows it.", "Load the page again.")
            if isinstance(value, str) and len(value) > TEXT_LIMIT and name != "letter":
                raise CustodyError("That is too long to be written down.", "Say it in fewer words.")
        self.does(session, given, figures)


def _audit_read(session: CustodySession, said: Arguments, figures: Figures) -> None:
    def decide() -> Decided:
        return "audit-read", {"recording": said["recording"], "person": said["person"]}

    session.append(decide)


def _open_request(session: CustodySession, said: Arguments, figures: Figures) -> None:
    try:
        letter = base64.b64decode(said["letter"], validate=True)
    except binascii.Error:
        letter = b""
    if len(letter) > LETTER_LIMIT:
        raise CustodyError("The letter is longer than 8 MiB.", "Scan it smaller.")
    details = public_requests.RequestDetails(
        said["type"],
        letter,
        said["letter_name"],
        _day(said["received"]),
        said["incident_ns"],
        said["from_ns"],
        said["to_ns"],
        said["place"],
        said["description"],
        tuple(said["devices"].split()),
        tuple(filter(None, (name.strip() for name in said["officers"].split(",")))),
    )
    public_requests.file_request(session, details, figures)


def _step(session: CustodySession, said: Arguments, figures: Figures) -> None:
    step = Step(said["step"], said["about"], _day(said["day"]))
    steps.take_step(session, said["request"], step, said["reason"])


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise CustodyError(f"Invalid day {text!r}.", "Write it as 2026-11-22.") from None


ACTS: dict[str, Act] = {
    "hold": Act(
        {"recording": str, "reason": str, "case": str},
        lambda it, a, _: holds.place(it, a["recording"], a["reason"], a["case"]),
    ),
    "hold-for-request": Act(
        {"recording": str, "request": str},
        lambda it, a, _: public_requests.hold_for(it, a["recording"], a["request"]),
    ),
    "propose-release": Act(
        {"hold": int, "reason": str},
        lambda it, a, _: holds.propose_release(it, a["hold"], a["reason"]),
    ),
    "approve-release": Act({"hold": int}, lambda it, a, _: holds.approve_release(it, a["hold"])),
    "category": Act(
        {"recording": str, "category": str},
        lambda it, a, _: search.categorize(it, a["recording"], a["category"]),
    ),
    "review": Act(
        {"recording": str, "words": str},
        lambda it, a, _: search.review(it, a["recording"], a["words"]),
    ),
    "case-member": Act(
        {"case": str, "person": str, "member": bool},
        lambda it, a, _: cases.put(it, a["case"], a["person"], member=a["member"]),
    ),
    "open-request": Act(
        {
            **dict.fromkeys(("type", "letter", "letter_name", "received", "place"), str),
            **dict.fromkeys(("description", "devices", "officers"), str),
            **dict.fromkeys(("incident_ns", "from_ns", "to_ns"), int),
        },
        _open_request,
    ),
    "request-step": Act(dict.fromkeys(("request", "step", "about", "day", "reason"), str), _step),
    "search": Act({"request": str}, lambda it, a, _: search_certificate.search(it, a["request"])),
    "close-request": Act(
        {"request": str, "outcome": str, "reason": str},
        lambda it, a, _: public_requests.close_request(it, a["request"], a["outcome"], a["reason"]),
    ),
    "own-quarantine": Act(
        {"quarantine": int, "owner": str},
        lambda it, a, _: quarantine.give(it, a["quarantine"], a["owner"]),
    ),
    "take-in-again": Act(
        {"quarantine": int, "reason": str},
        lambda it, a, _: quarantine.take_in_again(it, a["quarantine"], a["reason"]),
    ),
    "propose-discard": Act(
        {"quarantine": int, "reason": str},
        lambda it, a, _: quarantine.propose_discard(it, a["quarantine"], a["reason"]),
    ),
    "approve-discard": Act(
        {"quarantine": int}, lambda it, a, _: quarantine.approve_discard(it, a["quarantine"])
    ),
    "audit-read": Act({"recording": str, "person": str}, _audit_read),
}
