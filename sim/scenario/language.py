"""Sentences: a table of phrases with places for words and numbers, and how a line is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from bwv_device.errors import BwvError
from hal.ports import SECOND_NS
from sim.faults import KINDS


class ScenarioError(BwvError):
    """A scenario file that can't be used."""

    exit_code = 3


class Phrase(NamedTuple):
    """A form such as `press {button} {times}`, what it means, and what it does."""

    form: str
    meaning: str
    call: Callable[..., Any]
    pattern: re.Pattern[str]


class Sentence(NamedTuple):
    """A line of a scenario; `at_ns` is None for what is expected at the end."""

    at_ns: int | None
    text: str
    expected: bool
    phrase: Phrase
    words: dict[str, Any]


UNITS_S = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "years": 365 * 86_400}
TIMES = {"once": 1, "twice": 2, "three times": 3}


def clock_ns(text: str) -> int:
    """`mm:ss`, `h:mm:ss`, with a fraction of a second where wanted."""
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return round(total * SECOND_NS)


def span_s(text: str) -> float:
    number, unit = text.split()
    return float(number) * UNITS_S[unit]


def fields(text: str) -> dict[str, str]:
    """`name = value and name = value`."""
    pairs = [pair.partition(" = ") for pair in text.split(" and ")]
    return {name.strip(): value.strip() for name, _, value in pairs}


# What stands in braces: how it looks, and what it becomes.
PLACES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "button": (r"record|marker", str),
    "times": (r"once|twice|three times", TIMES.__getitem__),
    "span": (r"-?\d+(?:\.\d+)? (?:ms|s|min|h|years)", span_s),
    "error": (r"EIO|ENOSPC|EROFS", str),
    "verb": (r"create|append|sync|rename", str),
    "output": (r"front light|status light|beeper|vibration", str),
    "number": (r"-?\d+", int),
    "word": (r"[a-z]+(?:-[a-z]+)*", str),
    "clock": (r"(?:\d+:)?\d+:\d\d(?:\.\d+)?", lambda text: clock_ns(text) / SECOND_NS),
    "fields": (r"\w+ = .+", fields),
    "fault": ("|".join(kind.name for kind in KINDS), str),
    "words": (r".+?", str),
}


def phrase(form: str, meaning: str, call: Callable[..., Any]) -> Phrase:
    """Places are named by their kind, or `kind:name`; square brackets hold what may be left out."""
    pattern = re.escape(form).replace(r"\ ", " ")
    pattern = re.sub(r"\\\[(.*?)\\\]", r"(?:\1)?", pattern)
    return Phrase(form, meaning, call, re.compile(re.sub(r"\\\{(.+?)\\\}", _place, pattern)))


def _place(found: re.Match[str]) -> str:
    kind, _, name = found[1].replace("\\", "").partition(":")
    return f"(?P<{name or kind}__{kind}>{PLACES[kind][0]})"


AT = re.compile(r"at (?P<at>(?:\d+:)?\d+:\d\d(?:\.\d+)?) (?P<rest>.+)")
FINALLY = re.compile(r"finally (?P<rest>expect .+)")


def read(text: str, acts: list[Phrase], expectations: list[Phrase]) -> Sentence:
    """One line. Raises `ScenarioError` that names the nearest sentence there is."""
    timed, final = AT.fullmatch(text.strip()), FINALLY.fullmatch(text.strip())
    found = timed or final
    if found is None:
        raise ScenarioError(
            f"{text!r} does not start with 'at mm:ss' or 'finally expect'.",
            "Write for example: at 00:40 press record twice",
        )
    rest, at_ns = found["rest"], clock_ns(timed["at"]) if timed else None
    expected = rest.startswith("expect ")
    known = expectations if expected else acts
    rest = rest.removeprefix("expect ")
    for candidate in known:
        matched = candidate.pattern.fullmatch(rest)
        if matched:
            return Sentence(at_ns, text.strip(), expected, candidate, _words(matched))
    raise ScenarioError(f"{text!r} says nothing that is known.", _nearest(rest, known))


def _words(matched: re.Match[str]) -> dict[str, Any]:
    words = {}
    for group, text in matched.groupdict().items():
        name, kind = group.split("__")
        if text is not None:
            words[name] = PLACES[kind][1](text)
    return words


def _nearest(text: str, known: list[Phrase]) -> str:
    def likeness(candidate: Phrase) -> int:
        return len(set(candidate.form.split()) & set(text.split()))

    if not known:
        return "Nothing is expected here."
    best = max(known, key=likeness)
    return f"Nearest: {best.form}. All: bwv-sim scenario --phrases."
