"""What happens to a request between letter and answer: each step is a signed line with its effect
on the day when the answer is due."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bwv_device.custody.ledger.index import Index
from bwv_device.custody.requests.law import ABOUT, Deadline, Figures, Step, deadline, why_not
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError


def existing_request(index: Index, request: str) -> Mapping[str, Any]:
    """Raises `CustodyError` if there is no such request."""
    row = index.row("SELECT * FROM requests WHERE id = ?", request)
    if row is None:
        raise CustodyError(f"There is no request {request!r}.", "See 'bwv custody request list'.")
    return row


def steps_of(index: Index, request: str) -> list[Step]:
    """In the order in which they were written."""
    rows = index.rows("SELECT * FROM request_steps WHERE request = ? ORDER BY n", request)
    return [
        Step(row["step"], row["about"], datetime.date.fromisoformat(row["day"])) for row in rows
    ]


def figures_of(row: Mapping[str, Any]) -> Figures:
    """Those that counted when a request, a row of the index, was opened."""
    said = json.loads(row["figures"])
    proclaimed = frozenset(map(datetime.date.fromisoformat, said.pop("proclaimed")))
    return Figures(**said, proclaimed=proclaimed)


def figures_as_said(figures: Figures) -> dict[str, Any]:
    """As a request's line holds them."""
    return {**asdict(figures), "proclaimed": sorted(d.isoformat() for d in figures.proclaimed)}


def take_step(session: CustodySession, request: str, step: Step, reason: str) -> Deadline:
    """Writes a step down. Returns when the answer is due by now. Raises `CustodyError` where the
    statute knows no such step, or it comes too late."""
    if step.about not in ABOUT:
        raise CustodyError(f"Unknown reason {step.about!r}.", f"Choose one of {', '.join(ABOUT)}.")
    if not reason.strip():
        raise CustodyError("A step needs a reason.", "Give one with --reason.")
    session.index.catch_up()
    now: list[Deadline] = []

    def decide() -> tuple[str, Mapping[str, Any]]:
        row = existing_request(session.index, request)
        received = datetime.date.fromisoformat(row["received"])
        before, figures = steps_of(session.index, request), figures_of(row)
        why = why_not(row["kind"], received, before, step, figures)
        if row["closed"]:
            why = "it is closed"
        elif step.day > session.retention.day(session.now_ns()):
            why = f"{step.day} is not over"
        if why:
            raise CustodyError(
                f"That can't be done with request {request}: {why}.",
                "See 'bwv custody request show'.",
            )
        now[:] = [deadline(row["kind"], received, [*before, step], figures)]
        due = now[0].due
        return "request-step", {
            "request": request, "step": step.what, "about": step.about,
            "day": step.day.isoformat(), "due": due.isoformat() if due else "", "reason": reason,
        }  # fmt: skip

    session.append(decide)
    return now[0]
