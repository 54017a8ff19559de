"""What a browser may ask for, parsed once at the border into types.

Everything else is refused with a sentence. Whether the camera obeys is the camera's own business.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

STRICT = ConfigDict(extra="forbid", strict=True)
LONGEST_SENTENCE = 200


class ActError(ValueError):
    """A message of a browser that is none of ours."""


@checked(frozen=True, config=STRICT)
class Button:
    """A finger's edge."""

    act: Literal["button"]
    button: Literal["record", "marker"]
    pressed: bool


@checked(frozen=True, config=STRICT)
class Sentence:
    """Something that people, machines or faults do, as a scenario would say it."""

    act: Literal["sentence"]
    text: str = Field(min_length=1, max_length=LONGEST_SENTENCE, pattern=r"^[ -~]+$")


@checked(frozen=True, config=STRICT)
class Rate:
    """How much faster than real time; 0 is a pause."""

    act: Literal["rate"]
    rate: int = Field(ge=0, le=60)


@checked(frozen=True, config=STRICT)
class Step:
    """So much time, in a pause."""

    act: Literal["step"]
    ms: int = Field(ge=10, le=60_000)


@checked(frozen=True, config=STRICT)
class Verify:
    """Look at the vault now."""

    act: Literal["verify"]


@checked(frozen=True, config=STRICT)
class Report:
    """Make the page of this session."""

    act: Literal["report"]


Act = Button | Sentence | Rate | Step | Verify | Report
_ACT: TypeAdapter[Act] = TypeAdapter(Act)


def parse(text: str) -> Act:
    """Raises `ActError`."""
    try:
        return _ACT.validate_json(text)
    except ValidationError as error:
        raise ActError(error.errors()[0]["msg"]) from None


def from_table(table: dict[str, Any]) -> Act:
    """The same, behind the border. Raises `ActError`."""
    return parse(json.dumps(table))


@dataclass(frozen=True)
class Heard:
    """An act, and the browser it came from: one that goes away lets its buttons go."""

    browser: int
    act: Act
