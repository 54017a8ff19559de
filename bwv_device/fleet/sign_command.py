"""Signs commands of an operator."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from bwv_device.formats import statement
from bwv_device.formats.grammar.purposes import COMMAND_PURPOSE
from bwv_device.formats.statement import Signer


def command_statement(
    signer: Signer,
    device: str,
    name: str,
    arguments: Mapping[str, Any],
    counter: int,
    id_: str,
    expires_s: int,
    now_s: int | None = None,
) -> bytes:
    """The payload of a `command` topic."""
    now_s = int(time.time()) if now_s is None else now_s
    fields = {
        "device": device,
        "command": name,
        "arguments": dict(arguments),
        "counter": counter,
        "id": id_,
        "issued_s": now_s,
        "expires_s": now_s + expires_s,
    }
    return statement.make(signer, COMMAND_PURPOSE, fields)
