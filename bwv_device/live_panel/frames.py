"""The stream between a camera and the process of its page: frames of JSON, and of pictures.

A frame is its length in four bytes, big endian, its kind in one, and its body. A picture's body is
`PICTURE_HEAD` and the access unit; browsers get the same bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hal.ports import AccessUnit

HEAD = struct.Struct(">IB")
JSON, PICTURE = 1, 2
LIMIT = 8 << 20
# Whether it is a keyframe; when it was captured; for how long it is shown. Nanoseconds.
PICTURE_HEAD = struct.Struct(">Bqq")


class FrameError(ValueError):
    """A stream that is none of ours."""


class Frame(NamedTuple):
    kind: int
    body: bytes

    def table(self) -> dict[str, Any]:
        """Raises `FrameError`."""
        try:
            content = json.loads(self.body)
        except ValueError as error:
            raise FrameError(str(error)) from None
        if not isinstance(content, dict):
            raise FrameError("no table")
        return content


def message(content: Mapping[str, Any]) -> bytes:
    return _frame(JSON, json.dumps(content, separators=(",", ":")).encode())


def picture(unit: AccessUnit) -> bytes:
    head = PICTURE_HEAD.pack(unit.keyframe, unit.pts_ns, unit.duration_ns)
    return _frame(PICTURE, head + unit.data)


def is_keyframe(body: bytes) -> bool:
    return body[0] == 1


def _frame(kind: int, body: bytes) -> bytes:
    if len(body) > LIMIT:
        raise FrameError(f"{len(body)} bytes are more than a frame holds")
    return HEAD.pack(len(body), kind) + body


class FrameReader:
    """Bytes in, frames out."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Raises `FrameError` where a frame is longer than one may be."""
        self._waiting += data
        while len(self._waiting) >= HEAD.size:
            length, kind = HEAD.unpack_from(self._waiting)
            if length > LIMIT:
                raise FrameError(f"a frame of {length} bytes")
            end = HEAD.size + length
            if len(self._waiting) < end:
                return
            body = bytes(self._waiting[HEAD.size : end])
            del self._waiting[:end]
            yield Frame(kind, body)
