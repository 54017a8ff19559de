"""Canonical JSON (docs/format.md): one byte sequence per value, so that signatures have no slack.

Keys sorted, no white space, ASCII, integers only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def encode(value: Mapping[str, Any]) -> bytes:
    """The canonical bytes. Raises `TypeError` for a float or anything JSON does not know."""
    _refuse_floats(value)
    return _ENCODER.encode(value).encode("ascii")


def decode(data: bytes) -> dict[str, Any]:
    """The object, if `data` is exactly its canonical form; else `ValueError`."""
    try:
        value = json.loads(data.decode("ascii"))
        if isinstance(value, dict) and encode(value) == data:
            return value
    except (UnicodeDecodeError, TypeError, RecursionError) as error:
        raise ValueError(f"not canonical JSON: {error}") from None
    raise ValueError("not canonical JSON")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("a float has no single form; use an integer of a smaller unit")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("an object's keys are strings")
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_floats(item)
