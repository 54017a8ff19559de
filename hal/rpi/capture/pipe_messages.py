"""What the agent and its capture processes say to each other over a pipe.

    message = kind (1 byte), length (4 bytes), body
    UNITS   = for each unit: track, keyframe (1 byte each), pts_ns, duration_ns (8 bytes each),
              length (4 bytes), data
    others  = a JSON object

All numbers big endian. The reader believes nothing: whatever is out of shape is a `WireError`.
"""

from __future__ import annotations

import enum
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hal.ports import AccessUnit, Track

HEADER = struct.Struct(">BI")
UNIT = struct.Struct(">BBqqI")
LIMIT = 32 << 20


class Kind(enum.IntEnum):
    # from the child
    READY = 1  # what was opened: the first message
    UNITS = 2
    LOST = 3  # units, reason
    IMPAIRED = 4  # what, present
    FAILED = 5  # reason: the last message
    # from the agent
    ASKED = 16  # what is to be opened: the first message
    KEYFRAME = 17
    CAPTION = 18  # words


class WireError(ValueError):
    """A message that no child of ours would send."""


class Message(NamedTuple):
    kind: Kind
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise WireError(f"a {self.kind.name} message is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise WireError(f"a {self.kind.name} message is not an object")
        return value


def message(kind: Kind, fields: Mapping[str, Any] | None = None) -> bytes:
    body = json.dumps(fields or {}).encode()
    return HEADER.pack(kind, len(body)) + body


def units(batch: Sequence[AccessUnit]) -> bytes:
    """A UNITS message."""
    parts = []
    for unit in batch:
        head = (unit.track, unit.keyframe, unit.pts_ns, unit.duration_ns, len(unit.data))
        parts += [UNIT.pack(*head), unit.data]
    body = b"".join(parts)
    return HEADER.pack(Kind.UNITS, len(body)) + body


def parse_units(body: bytes, track: Track) -> list[AccessUnit]:
    """The units of a UNITS message, all of one track. Raises `WireError`."""
    batch, at = [], 0
    while at < len(body):
        if len(body) - at < UNIT.size:
            raise WireError("a unit is cut off")
        number, keyframe, pts_ns, duration_ns, length = UNIT.unpack_from(body, at)
        at += UNIT.size
        if number != track or keyframe > 1 or duration_ns <= 0 or length > len(body) - at:
            raise WireError("a unit says what it may not")
        data = body[at : at + length]
        batch.append(AccessUnit(track, pts_ns, duration_ns, bool(keyframe), data))
        at += length
    return batch


class Reader:
    """Bytes in, as they come; whole messages out."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Raises `WireError`; nothing that follows can be understood then."""
        self._held += data
        while len(self._held) >= HEADER.size:
            kind, length = HEADER.unpack_from(self._held)
            if kind not in KINDS or length > LIMIT:
                raise WireError(f"no message begins with {bytes(self._held[:5]).hex()}")
            end = HEADER.size + length
            if len(self._held) < end:
                return
            body = bytes(self._held[HEADER.size : end])
            del self._held[:end]
            yield Message(Kind(kind), body)


KINDS = frozenset(Kind)
