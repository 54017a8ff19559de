"""Canonical JSON (docs/format.md, 3.1): one byte sequence per value, so that signatures have no
slack.

Keys sorted, no white space, ASCII, integers of 64 bits only, no lone surrogates, at most 16 levels
deep. Reading takes time and memory in proportion to the bytes, whoever wrote them: no step goes
over them twice, and a parser that meets something deep or long stops there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# How deep a parser can go depends on the interpreter; what is accepted must not.
DEPTH_LIMIT = 16
# Databases and most languages end there; a reader in any of them must come to the same verdict.
INTEGERS = range(-(1 << 63), 1 << 63)
# "-9223372036854775808": nothing longer is even converted.
DIGITS = 20


def encode(value: Mapping[str, Any]) -> bytes:
    """The canonical bytes. Raises `TypeError` for a float or anything JSON does not know, and
    `ValueError` for an integer beyond 64 bits, a lone surrogate, or too many levels."""
    _check(value, 1)
    return _ENCODER.encode(value).encode("ascii")


def decode(data: bytes) -> dict[str, Any]:
    """The object, if `data` is exactly its canonical form; else `ValueError`."""
    try:
        value = json.loads(
            data.decode("ascii"), parse_int=_integer, parse_float=_refuse, parse_constant=_refuse
        )
        # What was read from ASCII holds no float, no other type, and text beyond ASCII only where
        # it was escaped: the rest of `_check` is only needed then.
        if isinstance(value, dict):
            (_check if b"\\u" in data else _check_depth)(value, 1)
            if _ENCODER.encode(value).encode("ascii") == data:
                return value
    except (UnicodeDecodeError, TypeError, RecursionError) as error:
        raise ValueError(f"not canonical JSON: {error}") from None
    raise ValueError("not canonical JSON")


def without_surrogates(text: str) -> str:
    """`text` with a question mark for each half of a character, as a file's name may hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _integer(digits: str) -> int:
    if len(digits) > DIGITS or (value := int(digits)) not in INTEGERS:
        raise ValueError("not canonical JSON: an integer is longer than 64 bits")
    return value


def _refuse(text: str) -> None:
    raise ValueError(f"not canonical JSON: {text[:20]} is no integer")


def _check(value: Any, level: int) -> None:
    """`level` is that of `value`'s own members, 1 at the top."""
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, float):
        raise TypeError("a float has no single form; use an integer of a smaller unit")
    elif isinstance(value, int):
        if value not in INTEGERS:
            raise ValueError("an integer is longer than 64 bits")
    elif isinstance(value, (dict, list, tuple)):
        if level > DEPTH_LIMIT:
            raise ValueError("not canonical JSON: nested too deeply")
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    raise TypeError("an object's keys are strings")
                _check_text(key)
        for item in value.values() if isinstance(value, dict) else value:
            _check(item, level + 1)


def _check_depth(value: Any, level: int) -> None:
    """The same of a value that needs no more than that."""
    if level > DEPTH_LIMIT:
        raise ValueError("not canonical JSON: nested too deeply")
    for item in value.values() if type(value) is dict else value:
        if type(item) is dict or type(item) is list:
            _check_depth(item, level + 1)


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a text holds half a character (a lone surrogate)") from None
