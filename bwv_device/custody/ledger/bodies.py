"""Which fields of custody's lines are free text, or name people: they go into a line's body.

A body can be erased when its time is over; what is decided never rests on one: a reader that comes
later must decide the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# With what a reader takes where the body is gone.
BODIES: dict[str, Mapping[str, Any]] = {
    "hold": {"reason": "", "case": ""},
    "release-proposed": {"reason": ""},
    "review": {"words": ""},
    "revoke": {"reason": ""},
    "fork-settled": {"reason": ""},
    "quarantine-again": {"reason": ""},
    "discard-proposed": {"reason": ""},
    "request": {"place": "", "description": "", "letter": "", "letter_name": ""},
    "request-step": {"reason": ""},
    "request-closed": {"reason": ""},
    "disclosed": {"recipient": "", "reason": "", "confirmed_by": ""},
    "viewed": {"reason": "", "case": "", "statement": "", "approval": ""},
    "exported": {"reason": ""},
}


def split(kind: str, fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What stands in the line, and what in its body."""
    personal = BODIES.get(kind, {})
    line = {name: value for name, value in fields.items() if name not in personal}
    return line, {name: value for name, value in fields.items() if name in personal}


def joined(kind: str, line: Mapping[str, Any], body: Mapping[str, Any] | None) -> dict[str, Any]:
    """All that a line says; without its body what can be said without."""
    named = {name: value for name, value in (body or {}).items() if name in BODIES.get(kind, {})}
    said = {name: value for name, value in line.items() if name != "body"}
    return {**BODIES.get(kind, {}), **said, **named}
