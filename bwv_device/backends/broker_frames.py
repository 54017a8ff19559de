"""Between the recording process and the broker's: one JSON object a line, of bounded length.

Orders go one way (`open`, `publish`, `close`), what a connection hears the other (`connected`,
`acknowledged`, `refused`, `received`, `sifted_out`, `closed`). `c` is the number of the connection.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from hal.ports import MqttMessage

# A message of 32 KiB in base64, its topic and attributes.
LINE_LIMIT = 96 << 10


class FrameError(ValueError):
    """Not what the other end sends."""


def encode(what: str, connection: int, **fields: Any) -> bytes:
    return json.dumps({"what": what, "c": connection, **fields}).encode("ascii") + b"\n"


def packed(message: MqttMessage | None) -> dict[str, Any] | None:
    if message is None:
        return None
    return {**message._asdict(), "payload": data(message.payload)}


def unpacked(table: dict[str, Any] | None) -> MqttMessage | None:
    if table is None:
        return None
    attributes = tuple((str(name), str(value)) for name, value in table["attributes"])
    payload = base64.b64decode(table["payload"])
    return MqttMessage(str(table["topic"]), payload, bool(table["retain"]), attributes)


def data(payload: bytes) -> str:
    return base64.b64encode(payload).decode("ascii")


class Reader:
    """Lines out of a stream."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> Iterator[dict[str, Any]]:
        """Raises `FrameError`."""
        *lines, self._rest = (self._rest + received).split(b"\n")
        if len(self._rest) > LINE_LIMIT or any(len(line) > LINE_LIMIT for line in lines):
            raise FrameError("a line is too long")
        for line in lines:
            try:
                table = json.loads(line)
            except (ValueError, RecursionError):
                raise FrameError("a line is no JSON") from None
            if not isinstance(table, dict) or type(table.get("c")) is not int:
                raise FrameError("a line is no message")
            yield table
