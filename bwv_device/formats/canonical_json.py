"""Canonical JSON (docs/format.md): one byte sequence per value, so that signatures have no slack.

Keys sorted, no white space, ASCII, integers of 64 bits only, at most 16 levels deep.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def encode(value: Mapping[str, Any]) -> bytes:
    """The canonical bytes. Raises `TypeError` for a float or anything JSON does not know, and
    `ValueError` for an integer beyond 64 bits."""
    _refuse_numbers(value)
    return _ENCODER.encode(value).encode("ascii")


def decode(data: bytes) -> dict[str, Any]:
    """The object, if `data` is exactly its canonical form; else `ValueError`."""
    if _depth(data) > DEPTH_LIMIT:
        raise ValueError("not canonical JSON: nested too deeply")
    try:
        value = json.loads(data.decode("ascii"))
        if isinstance(value, dict) and encode(value) == data:
            return value
    except (UnicodeDecodeError, TypeError, RecursionError) as error:
        raise ValueError(f"not canonical JSON: {error}") from None
    raise ValueError("not canonical JSON")


# How deep a parser can go depends on the interpreter; what is accepted must not.
DEPTH_LIMIT = 16
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')


def _depth(data: bytes) -> int:
    """Levels of nesting, strings left aside."""
    deepest = level = 0
    for byte in re.findall(rb"[\[{\]}]", STRING.sub(b"", data)):
        level += 1 if byte in b"[{" else -1
        deepest = max(deepest, level)
    return deepest


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


# Databases and most languages end there; a reader in any of them must come to the same verdict.
INTEGERS = range(-(1 << 63), 1 << 63)


def _refuse_numbers(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("a float has no single form; use an integer of a smaller unit")
    if isinstance(value, int) and value not in INTEGERS:
        raise ValueError("an integer is longer than 64 bits")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("an object's keys are strings")
        for item in value.values():
            _refuse_numbers(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_numbers(item)
