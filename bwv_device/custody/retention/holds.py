"""Holds: reasons not to delete. One person places them, two release them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError


def place(session: CustodySession, recording: str, reason: str, case: str = "") -> bool:
    """Also restores what was hidden. False where the same hold is there already. Whether the store
    itself protects the bytes beyond that depends on whose credentials these are."""
    if not reason:
        raise CustodyError("A hold needs a reason.", "Give one with --reason.")
    existing(session, recording)
    return session.hold(recording, reason, case=case)


def propose_release(session: CustodySession, hold: int, reason: str) -> None:
    """The first of two."""

    def decide() -> tuple[str, Mapping[str, Any]]:
        row = session.index.row("SELECT * FROM holds WHERE n = ?", hold)
        if row is None or row["released"]:
            raise CustodyError(f"There is no hold {hold}.", "See 'bwv custody show'.")
        return "release-proposed", {
            "hold": hold,
            "recording": row["recording"],
            "reason": reason,
        }

    session.append(decide)


def approve_release(session: CustodySession, hold: int) -> None:
    """The second person, who must not be the first."""

    def decide() -> tuple[str, Mapping[str, Any]]:
        row = session.index.row("SELECT * FROM holds WHERE n = ?", hold)
        if row is None or row["released"] or not row["proposed"]:
            raise CustodyError(
                f"Nobody proposed to release hold {hold}.", "See 'bwv custody show'."
            )
        if row["proposer"] == session.person:
            raise CustodyError(
                f"{session.name} proposed the release of hold {hold}.",
                "Somebody else must approve it.",
            )
        return "release-approved", {"hold": hold, "recording": row["recording"]}

    line = session.append(decide)
    if line:
        session.lock(str(line.fields["recording"]))


def existing(session: CustodySession, recording: str) -> Mapping[str, Any]:
    """The recording's row. Raises `CustodyError`."""
    session.index.catch_up()
    row = session.index.row("SELECT * FROM recordings WHERE id = ?", recording)
    if row is None:
        raise CustodyError(f"There is no recording {recording!r}.", "See 'bwv custody list'.")
    return row
