"""What intake did not accept: who looks at it, by when, and how it ends. A docking can be taken in
after all; what two persons discard is erased, and each end is a line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.formats import statement, store_keys
from bwv_device.formats.grammar.statements import Docking
from bwv_device.formats.statement import StatementError
from hal.ports import SECOND_NS, EvidenceStore, Stored, StoreError, StoreTrouble

DAY_NS = 86_400 * SECOND_NS
IN_STATES = (
    "SELECT *, CASE WHEN discarded IS NOT NULL THEN 'discarded' WHEN approved IS NOT NULL THEN "
    "'to be erased' WHEN again IS NOT NULL THEN 'taken in again' WHEN proposed IS NOT NULL THEN "
    "'proposed to discard' ELSE 'open' END AS state FROM quarantine ORDER BY n"
)


def listed(session: CustodySession) -> Sequence[Mapping[str, Any]]:
    session.index.catch_up()
    return session.index.rows(IN_STATES)


def overdue(session: CustodySession) -> list[str]:
    """Sentences about what somebody should have looked at by now."""
    session.index.catch_up()
    rows = session.index.rows(
        "SELECT * FROM quarantine WHERE again IS NULL AND approved IS NULL AND review_ns < ? "
        "ORDER BY n", session.now_ns()
    )  # fmt: skip
    return [
        f"quarantine {row['n']} ({row['device']} {row['segment'] or 'docking'}: {row['reason']}) "
        f"should have been looked at by {session.retention.day(row['review_ns'])}"
        f"{', by ' + row['owner'] if row['owner'] else ': it has no owner'}"
        for row in rows
    ]


def give(session: CustodySession, number: int, owner: str) -> None:
    """Somebody looks at it."""
    if not owner.strip():
        raise CustodyError("An owner has a name.", "Give one.")
    _existing(session, number)
    said = {"quarantine": number, "owner": owner}
    session.append(lambda: ("quarantine-owner", said))


def take_in_again(session: CustodySession, number: int, reason: str) -> None:
    """A docking is looked at by intake once more: its reason is gone. Raises `CustodyError`."""
    row = _existing(session, number)
    if row["segment"]:
        raise CustodyError(
            f"Quarantine {number} is one file, with other bytes than announced.",
            "The camera sends it again by itself; discard this one.",
        )
    said = {"quarantine": number, "reason": _reason(reason)}
    session.append(lambda: ("quarantine-again", said))


def propose_discard(session: CustodySession, number: int, reason: str) -> None:
    """The first of two persons."""
    _existing(session, number)
    said = {"quarantine": number, "reason": _reason(reason)}
    session.append(lambda: ("discard-proposed", said))


def approve_discard(session: CustodySession, number: int) -> None:
    """The second person, who must not be the first. The next run of deletion erases it."""
    row = _existing(session, number)
    if row["proposed"] is None:
        raise CustodyError(
            f"Nobody proposed to discard quarantine {number}.", "Propose it with 'discard propose'."
        )
    if row["proposer"] == session.person:
        raise CustodyError(
            f"{session.name} proposed to discard quarantine {number}.",
            "Somebody else must approve it.",
        )
    said = {"quarantine": number}
    session.append(lambda: ("discard-approved", said))


def erase_discarded(session: CustodySession, replicas: Sequence[EvidenceStore] = ()) -> list[int]:
    """The retention service: what two persons discarded. Footage that custody took in meanwhile, or
    that another docking announces, stays. What a store protects is tried again by the next run.
    Returns the numbers. Raises `StoreError` where a store does not answer."""
    session.check()
    rows = session.index.rows(
        "SELECT * FROM quarantine WHERE approved IS NOT NULL AND discarded IS NULL ORDER BY n"
    )
    done = []
    for row in rows:
        keys = [*_footage_of(session, row), row["key"]]  # what names the others goes last
        stores = (session.store, *replicas)
        if all(_erase(store, key) for key in keys for store in stores):
            said = {"quarantine": row["n"], "objects": len(keys)}
            session.append(lambda said=said: ("discarded", said))  # type: ignore[misc]
            done.append(row["n"])
    return done


def _erase(store: EvidenceStore, key: str) -> bool:
    try:
        store.erase(key)
    except StoreError as error:
        if error.trouble is StoreTrouble.TRANSIENT:
            raise
        return False
    return True


def _footage_of(session: CustodySession, row: Mapping[str, Any]) -> list[str]:
    """Keys of what a refused docking announced, as far as nothing else speaks of it."""
    if row["segment"]:
        return []
    device = str(row["device"])
    others = [
        other["key"]
        for other in session.index.rows(
            "SELECT key FROM quarantine WHERE device = ? AND segment = '' AND n != ? AND discarded "
            "IS NULL", device, row["n"]
        )
    ]  # fmt: skip
    waiting = session.store.entries(f"{store_keys.DOCKINGS}{device}/")
    others += [stored.key for stored in waiting if stored.key != row["key"]]
    spoken_of = {key for other in others for key in _announced(session, device, other)}
    known = "SELECT 1 FROM files WHERE key = ? AND status = 'received'"
    expected = "SELECT 1 FROM files WHERE device = ? AND segment = ? AND status = 'expected'"
    return [
        key
        for key in _announced(session, device, row["key"])
        if key not in spoken_of
        and session.index.row(known, key) is None
        and session.index.row(expected, device, key.split("/")[2]) is None
    ]


def _announced(session: CustodySession, device: str, key: str) -> list[str]:
    """Keys of the footage that a docking of a camera names; none where it can't be read."""
    data = b""
    try:
        for block in session.store.blocks(Stored(key, 0, "")):
            data += block
            if len(data) > statement.SIZE_LIMIT:
                return []
        docking = statement.of_camera(data, Docking, device, session.roots).value
    except (StoreError, StatementError) as error:
        if isinstance(error, StoreError) and error.trouble is StoreTrouble.TRANSIENT:
            raise
        return []
    return [store_keys.footage(device, file.segment, file.sha256) for file in docking.files]


def _existing(session: CustodySession, number: int) -> Mapping[str, Any]:
    session.index.catch_up()
    row = session.index.row("SELECT * FROM quarantine WHERE n = ?", number)
    if row is None or row["again"] or row["approved"]:
        raise CustodyError(
            f"There is no open quarantine {number}.", "See 'bwv custody quarantine list'."
        )
    return row


def _reason(reason: str) -> str:
    if not reason.strip():
        raise CustodyError("That needs a reason.", "Give one with --reason.")
    return reason
