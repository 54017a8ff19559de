"""A line that somebody writes with a tool of their own, past the checks of custody's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bwv_device.custody.ledger.ledger import CustodyLedger, CustodyLine
from bwv_device.custody.session import CustodySession
from hal.simulated.power_dock_and_place import SeededEntropy


def write_anyway(
    session: CustodySession, kind: str, fields: Mapping[str, Any]
) -> CustodyLine | None:
    """Signed by the session's key, whatever its role may say."""
    ledger = CustodyLedger(session.store, session.clock, SeededEntropy(f"{kind} {fields}"))
    index = session.index
    line = ledger.append(session.signer, index.catch_up, index.knows, lambda: (kind, fields))
    index.catch_up()
    return line
