"""Erases the words of lines when their time is over: bodies, and letters from the public. Line,
digest, signature and proofs stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bwv_device.custody.ledger import words
from bwv_device.custody.session import CustodySession
from bwv_device.formats import store_keys


def erase_words(session: CustodySession) -> int:
    """Of how many lines. What an earlier run decided and did not end is ended first. Raises
    `CustodyError` where nothing may be decided on the store; `StoreError`."""
    session.check()
    count = _finish(session)
    while session.append(lambda: _decide(session)) is not None:
        count += _finish(session)
    return count


def _decide(session: CustodySession) -> tuple[str, Mapping[str, Any]] | None:
    numbers = words.due(session.index.db, session.now_ns())[: words.BATCH_LIMIT]
    letters = {letter for number in numbers if (letter := _letter(session, number))}
    said = {"lines": numbers, "letters": sorted(letters)}
    return ("words-erasing", said) if numbers else None


def _letter(session: CustodySession, number: int) -> str:
    """The digest of a request's letter, where no other request has the same."""
    row = session.index.row("SELECT letter FROM requests WHERE n = ? AND letter != ''", number)
    if row is None:
        return ""
    others = "SELECT 1 FROM requests WHERE letter = ? AND n != ?"
    alone = session.index.row(others, row["letter"], number) is None
    return str(row["letter"]) if alone else ""


def _finish(session: CustodySession) -> int:
    """Erases what was decided."""
    rows = session.index.rows(
        "SELECT words.n, words.decided, json_extract(json, '$.body') AS body FROM words JOIN lines "
        "USING (n) WHERE erased IS NULL ORDER BY words.n"
    )
    if not rows:
        return 0
    for row in rows:
        session.store.erase(store_keys.body(row["body"]))
    decisions = {row["decided"] for row in rows}
    for line in session.index.lines("kind = 'words-erasing'"):
        for letter in line["letters"] if line["n"] in decisions else ():
            session.store.erase(store_keys.letter(letter))
    gone = [row["n"] for row in rows]
    session.append(lambda: ("words-erased", {"lines": gone}))
    return len(gone)
