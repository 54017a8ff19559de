"""Findings of a field test."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Grade(enum.Enum):
    GOOD = "good"
    POOR = "poor"  # it records, but should be looked at
    BAD = "bad"  # do not take it out
    NOT_TESTED = "not tested"


class Finding(NamedTuple):
    """`remedy` stands wherever the status is not good."""

    part: str
    what: str
    status: Grade
    measured: str
    remedy: str = ""


def judged(
    part: str, what: str, measured: str, *, good: bool, remedy: str, poor: bool = False
) -> Finding:
    """Good, or what it is instead, with its remedy."""
    if good:
        return Finding(part, what, Grade.GOOD, measured)
    return Finding(part, what, Grade.POOR if poor else Grade.BAD, measured, remedy)
