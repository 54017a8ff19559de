"""The line of who opens footage with the agency's own identity, where custody can be reached."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bwv_device.errors import BwvError
from hal.ports import StoreError


def exported_line(
    config: Path | None, key: Path | None, device: str, recordings: Sequence[str], reason: str
) -> str:
    """A sentence about the line that was written, or why none was: the export goes on, it is for
    the day when nothing else works."""
    if key is None:
        return (
            "No line says that you open this: no role key is given. Where custody has a ledger, "
            "give --custody and --as."
        )
    from bwv_device.commands.custody.options import CustodyContext
    from bwv_device.custody.key_desk.looking import write_exported

    try:
        session = CustodyContext(config, key).session
        number = write_exported(session, device, recordings, reason)
    except (BwvError, StoreError, OSError) as error:
        return f"No line says that you open this, it could not be written: {error}"
    return f"Line {number} of custody's ledger says that you open this."
