"""Erases the words of lines when their time is over: bodies, and letters from the public. Line,
digest, signature and proofs stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bwv_device.custody.ledger import words
from bwv_device.custody.session import CustodySession
from bwv_device.formats import store_keys


def erase_words(session: CustodySession) -> int:
    """Of how many lines. What an earlier run decided and did not end is ended first. Raises
    `CustodyError` where nothing may be decided on the store; `StoreError`."""
    session.check()
    count = 0
    while finished := _finish(session):
        count += finished
    while session.append(lambda: _decide(session)) is not None:
        count += _finish(session)
    return count


def _decide(session: CustodySession) -> tuple[str, Mapping[str, Any]] | None:
    numbers = words.due(session.index.db, session.now_ns())[: words.BATCH_LIMIT]
    if not numbers:
        return None
    letters = {letter for number in numbers if (letter := _letter(session, number, numbers))}
    return "words-erasing", {"lines": numbers, "letters": sorted(letters)}


def _letter(session: CustodySession, number: int, batch: Sequence[int]) -> str:
    """The digest of a request's letter, where no request that stays has the same."""
    row = session.index.row("SELECT letter FROM requests WHERE n = ? AND letter != ''", number)
    if row is None:
        return ""
    same = session.index.rows("SELECT n FROM requests WHERE letter = ?", row["letter"])
    alone = {other["n"] for other in same} <= set(batch)
    return str(row["letter"]) if alone else ""


def _finish(session: CustodySession) -> int:
    """Erases what was decided."""
    rows = _left(session)
    for row in rows:
        # Somebody may have named another line's words as his own.
        shared = session.index.row(
            "SELECT 1 FROM lines WHERE body = ? AND n != ? AND refused = '' AND n NOT IN "
            "(SELECT n FROM words)", row["body"], row["n"]
        )  # fmt: skip
        if shared is None:
            session.store.erase(store_keys.body(row["body"]))
    decisions = {row["decided"] for row in rows}
    for line in session.index.lines("kind = 'words-erasing'") if rows else ():
        for letter in line["letters"] if line["n"] in decisions else ():
            if session.index.row("SELECT 1 FROM requests WHERE letter = ?", letter) is None:
                session.store.erase(store_keys.letter(letter))
    mine, gone = {row["n"] for row in rows}, list[int]()

    def said() -> tuple[str, Mapping[str, Any]] | None:
        """Another run may have said it meanwhile."""
        gone[:] = [row["n"] for row in _left(session) if row["n"] in mine]
        return ("words-erased", {"lines": gone}) if gone else None

    if rows:
        session.append(said)
    return len(gone)


def _left(session: CustodySession) -> list[dict[str, Any]]:
    return session.index.rows(
        "SELECT words.n, words.decided, body FROM words JOIN lines USING (n) WHERE erased IS NULL "
        "ORDER BY words.n LIMIT ?", words.BATCH_LIMIT
    )  # fmt: skip
