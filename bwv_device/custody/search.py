"""Finds recordings, and records what people say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bwv_device.custody.ledger.request_matching import of_a_time
from bwv_device.custody.retention.holds import existing
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError

# What an officer can mark (docs/format.md, 3.5).
MARKERS = ("informed", "moment", "snapshot")


class Wanted(NamedTuple):
    """All that is set must hold. Times in nanoseconds UTC; a recording is found where it may
    overlap them, its clock's error included."""

    from_ns: int | None = None
    to_ns: int | None = None
    device: str = ""
    officer: str = ""
    category: str = ""
    marker: str = ""
    held: bool | None = None
    hidden: bool | None = None
    limit: int = 1000


def find(session: CustodySession, wanted: Wanted) -> list[dict[str, Any]]:
    """Rows of the index, the newest last. Raises `CustodyError` for values that nothing can have: a
    typing error must not look like "nothing found"."""
    rows = list[dict[str, Any]]()
    for conditions, values in _searches(session, wanted):
        rows += session.index.rows(
            f"SELECT * FROM recordings WHERE {conditions} "  # noqa: S608  no outside text
            "ORDER BY start_ns DESC LIMIT ?",
            *values,
            wanted.limit,
        )
    rows.sort(key=lambda row: int(row["start_ns"]), reverse=True)
    return rows[: wanted.limit][::-1]


def count(session: CustodySession, wanted: Wanted) -> int:
    """How many there are, whatever the limit."""
    total = 0
    for conditions, values in _searches(session, wanted):
        row = session.index.row(f"SELECT count(*) AS n FROM recordings WHERE {conditions}", *values)  # noqa: S608
        total += int(row["n"]) if row else 0
    return total


def _searches(session: CustodySession, wanted: Wanted) -> list[tuple[str, list[Any]]]:
    """Conditions and their values; of a time there are two."""
    conditions, values = _conditions(session, wanted)
    if wanted.from_ns is None and wanted.to_ns is None:
        return [(conditions, values)]
    return [
        (f"{conditions} AND {of.sql}", [*values, *of.values])
        for of in of_a_time(session.index.db, wanted.from_ns, wanted.to_ns)
    ]


def _conditions(session: CustodySession, wanted: Wanted) -> tuple[str, list[Any]]:
    session.index.catch_up()
    _refuse_unknown(session, wanted)
    conditions, values = ["erased_ns IS NULL"], list[Any]()

    def where(condition: str, *more: Any) -> None:
        conditions.append(condition)
        values.extend(more)

    for column in ("device", "officer", "category"):
        if value := getattr(wanted, column):
            where(f"{column} = ?", value)
    if wanted.marker:
        marked = "SELECT 1 FROM markers WHERE recording = recordings.id AND marker = ?"
        where(f"EXISTS ({marked})", wanted.marker)
    if wanted.held is not None:
        held = "EXISTS (SELECT 1 FROM holds WHERE recording = recordings.id AND released IS NULL)"
        where(held if wanted.held else f"NOT {held}")
    if wanted.hidden is not None:
        where("hidden_ns IS NOT NULL" if wanted.hidden else "hidden_ns IS NULL")
    return " AND ".join(conditions), values


def _refuse_unknown(session: CustodySession, wanted: Wanted) -> None:
    if wanted.from_ns is not None and wanted.to_ns is not None and wanted.from_ns > wanted.to_ns:
        raise CustodyError("--from is later than --to.", "Exchange them.")
    if wanted.category:
        known_category(session, wanted.category)
    if wanted.marker and wanted.marker not in MARKERS:
        raise CustodyError(f"Unknown marker {wanted.marker!r}.", f"Use {', '.join(MARKERS)}.")
    if not wanted.device:
        return
    there = "SELECT 1 FROM recordings WHERE device = ? LIMIT 1"
    if session.index.row(there, wanted.device) is None:
        cameras = "SELECT device FROM cameras ORDER BY device LIMIT 20"
        known = [row["device"] for row in session.index.rows(cameras)]
        if known:
            raise CustodyError(
                f"No recording is of a camera {wanted.device!r}.", f"There are {', '.join(known)}."
            )


def known_category(session: CustodySession, category: str) -> None:
    known = {"unreviewed", *session.retention.categories}
    if category not in known:
        raise CustodyError(
            f"Unknown category {category!r}.", f"Choose one of {', '.join(sorted(known))}."
        )


def categorize(session: CustodySession, recording: str, category: str) -> None:
    """One of the agency's categories; it may lengthen the time that footage is kept."""
    known_category(session, category)
    existing(session, recording)
    said = {"recording": recording, "category": category}
    session.append(lambda: ("category", said))


def review(session: CustodySession, recording: str, words: str) -> None:
    """Somebody looked at it, and says what it is."""
    existing(session, recording)
    if not words.strip():
        raise CustodyError("A review without words says nothing.", "Say what the recording shows.")
    session.append(lambda: ("review", {"recording": recording, "words": words}))


def lines_about(session: CustodySession, recording: str) -> Sequence[Mapping[str, Any]]:
    """Every custody line that speaks of a recording, in order."""
    row = existing(session, recording)
    numbers = [row["docking"]]
    numbers += [
        r["n"] for r in session.index.rows("SELECT n FROM files WHERE recording = ?", recording)
    ]
    wanted = {n for n in numbers if n is not None}
    told = [line for line in session.index.lines_about(recording) if line["n"] not in wanted]
    told += [line for n in sorted(wanted) for line in session.index.lines("n = ?", n)]
    return sorted(told, key=lambda line: int(line["n"]))
