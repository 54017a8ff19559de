"""Commands as the desk signs them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bwv_device.errors import KeyFileError
from bwv_device.formats import statement
from bwv_device.formats.purposes import COMMAND_PURPOSE
from bwv_device.formats.statement import Signer
from hal.keystore import SoftwareIdentity


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


def load_desk_key(path: Path) -> SoftwareIdentity:
    """A role key, which only its owner may read. Raises `KeyFileError`."""
    if path.stat().st_mode & 0o077:
        raise KeyFileError(f"{path} can be read by others than its owner.", f"chmod 600 {path}")
    try:
        return SoftwareIdentity.load(path, path)
    except (OSError, ValueError, IndexError) as error:
        raise KeyFileError(
            f"The role key {path} can't be used: {error}.", "Make one with 'bwv custody enrol'."
        ) from None
