"""How requests were answered, counted from signed lines: in time, late, how long it took, how many
are open. `bwv_device.verification.request_statistics` counts the same from the lines alone."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bwv_device.custody.requests.law import KINDS
from bwv_device.custody.session import CustodySession


class Answered(NamedTuple):
    """Of one kind of request. `waiting`: open, and the clock stands still; `overdue`: open, and
    the answer was due. `average_days` from receipt to answer, None where nothing was answered."""

    kind: str
    received: int
    in_time: int
    late: int
    withdrawn: int
    open: int
    waiting: int
    overdue: int
    average_days: float | None


def statistics(
    session: CustodySession, first: datetime.date, last: datetime.date
) -> Iterator[Answered]:
    """Of requests that were received on the days from `first` to `last`. What was withdrawn is
    neither in time nor late."""
    session.index.catch_up()
    for kind in KINDS:
        rows = session.index.rows(
            "SELECT requests.*, lines.utc_ns AS closed_ns FROM requests LEFT JOIN lines ON lines.n "
            "= closed WHERE requests.kind = ? AND received BETWEEN ? AND ?",
            kind, first.isoformat(), last.isoformat(),
        )  # fmt: skip
        yield _of(kind, rows, session)


def _of(kind: str, rows: Sequence[Mapping[str, Any]], session: CustodySession) -> Answered:
    today = session.retention.day(session.now_ns())
    due = {row["id"]: _day(row["due"]) for row in rows}
    opened = [row for row in rows if row["closed"] is None]
    withdrawn = [row for row in rows if row["outcome"] == "withdrawn"]
    answered = [row for row in rows if row["outcome"] not in (None, "withdrawn")]
    on = {row["id"]: session.retention.day(row["closed_ns"]) for row in answered}
    late = [name for name, day in on.items() if (by := due[name]) is not None and day > by]
    took = [(on[r["id"]] - datetime.date.fromisoformat(r["received"])).days for r in answered]
    return Answered(
        kind,
        received=len(rows),
        in_time=len(answered) - len(late),
        late=len(late),
        withdrawn=len(withdrawn),
        open=len(opened),
        waiting=sum(due[row["id"]] is None for row in opened),
        overdue=sum((by := due[row["id"]]) is not None and by < today for row in opened),
        average_days=round(sum(took) / len(took), 1) if took else None,
    )


def _day(text: str) -> datetime.date | None:
    return datetime.date.fromisoformat(text) if text else None
