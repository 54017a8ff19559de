"""Holds: reasons not to delete. One person places them, two release them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bwv_device.custody.retention.deletion import stored_files
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from hal.ports import StoreError, StoreTrouble


def place(session: CustodySession, recording: str, reason: str, case: str = "") -> bool:
    """Also restores what was hidden. False where the same hold is there already. Whether the store
    itself protects the bytes beyond that depends on whose credentials these are."""
    if not reason:
        raise CustodyError("A hold needs a reason.", "Give one with --reason.")
    existing(session, recording)
    placed = session.hold(recording, reason, case=case)
    protect(session, recording, on=True)
    return placed


def protect(session: CustodySession, recording: str, *, on: bool) -> bool:
    """A legal hold of the store. False where it has none, or these credentials may not."""
    try:
        kept = [session.store.hold(file, on) for file in stored_files(session, recording)]
    except StoreError as error:
        if error.trouble is StoreTrouble.DENIED:
            return False
        raise
    return all(kept)


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
        if row["proposer"] == session.name:
            raise CustodyError(
                f"{session.name} proposed the release of hold {hold}.",
                "Somebody else must approve it.",
            )
        return "release-approved", {"hold": hold, "recording": row["recording"]}

    line = session.append(decide)
    recording = str(line.fields["recording"]) if line else ""
    if recording and not active(session, recording):
        protect(session, recording, on=False)


def active(session: CustodySession, recording: str) -> Sequence[Mapping[str, Any]]:
    session.index.catch_up()
    held = "SELECT * FROM holds WHERE recording = ? AND released IS NULL ORDER BY n"
    return session.index.rows(held, recording)


def existing(session: CustodySession, recording: str) -> Mapping[str, Any]:
    """The recording's row. Raises `CustodyError`."""
    session.index.catch_up()
    row = session.index.row("SELECT * FROM recordings WHERE id = ?", recording)
    if row is None:
        raise CustodyError(f"There is no recording {recording!r}.", "See 'bwv custody list'.")
    return row
