"""Orders that wait for a worker, questions that wait for a person, results that wait to be fetched.
The desk carries them from one to the other: orders are signed, results are sealed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bwv_device.errors import CustodyError
from hal.ports import SECOND_NS, Clock

OTHERS_S = 30.0
# So long is what was made kept, and an order that nobody took.
KEPT_S = 86_400
# Orders of one person at once.
WAITING = 20
RESULT_LIMIT = 8 << 30
APPROVAL, WAITS, TAKEN, DONE, FAILED = "approval", "waiting", "taken", "done", "failed"

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (digest TEXT PRIMARY KEY, text TEXT, person TEXT, name TEXT,
    recording TEXT, what TEXT, approval TEXT, state TEXT, told TEXT, question TEXT, signature TEXT,
    made_s INTEGER, heard_s INTEGER);
"""


class WaitingOrder(NamedTuple):
    """`question`: bytes to be signed, in hex, "" for none; `told`: how far it is, or why not."""

    digest: str
    text: str
    person: str
    name: str
    recording: str
    what: str
    approval: str
    state: str
    told: str
    question: str
    signature: str
    made_s: int
    heard_s: int


class Orders:
    """`folder`: where sealed results lie."""

    def __init__(self, path: Path | None, folder: Path, clock: Clock) -> None:
        self._clock, self._folder = clock, folder
        self._db = sqlite3.connect(
            path or ":memory:", timeout=OTHERS_S, isolation_level=None, check_same_thread=False
        )
        self._db.executescript(SCHEMA)

    def put(self, order: WaitingOrder) -> None:
        """Raises `CustodyError` where too many wait."""
        self._sweep()
        mine = [one for one in self.of(order.person) if one.state in (APPROVAL, WAITS, TAKEN)]
        if len(mine) >= WAITING:
            raise CustodyError("Too many of your orders wait.", "Wait until some are done.")
        marks = ", ".join("?" * len(order))
        self._db.execute(f"INSERT OR IGNORE INTO orders VALUES ({marks})", order)  # noqa: S608

    def find(self, digest: str) -> WaitingOrder | None:
        rows = self._rows("SELECT * FROM orders WHERE digest = ?", digest)
        return rows[0] if rows else None

    def of(self, person: str) -> list[WaitingOrder]:
        return self._rows("SELECT * FROM orders WHERE person = ? ORDER BY made_s DESC", person)

    def for_approval(self, person: str) -> list[WaitingOrder]:
        """What others ordered, and a second person must look at."""
        return self._rows(
            "SELECT * FROM orders WHERE state = ? AND person != ? ORDER BY made_s", APPROVAL, person
        )

    def approve(self, digest: str, approval: str) -> bool:
        done = self._db.execute(
            "UPDATE orders SET approval = ?, state = ? WHERE digest = ? AND state = ?",
            (approval, WAITS, digest, APPROVAL),
        )
        return bool(done.rowcount)

    def take(self) -> WaitingOrder | None:
        """The oldest that nobody works on; it is the worker's."""
        taken = self._db.execute(
            "UPDATE orders SET state = ?, heard_s = ? WHERE digest = (SELECT digest FROM orders "
            "WHERE state = ? ORDER BY made_s LIMIT 1) RETURNING *", (TAKEN, self._now_s(), WAITS)
        ).fetchall()  # fmt: skip
        return WaitingOrder(*taken[0]) if taken else None

    def tell(self, digest: str, told: str, state: str = TAKEN) -> None:
        self._db.execute(
            "UPDATE orders SET told = ?, state = ?, question = '', heard_s = ? WHERE digest = ? "
            "AND state = ?", (told[:500], state, self._now_s(), digest, TAKEN)
        )  # fmt: skip

    def ask(self, digest: str, question: str) -> None:
        self._db.execute(
            "UPDATE orders SET question = ?, signature = '' WHERE digest = ? AND state = ?",
            (question, digest, TAKEN),
        )

    def answer(self, digest: str, question: str, signature: str) -> bool:
        """A person's signature of the question that waits."""
        done = self._db.execute(
            "UPDATE orders SET signature = ? WHERE digest = ? AND question = ? AND question != ''",
            (signature, digest, question),
        )
        return bool(done.rowcount)

    def result(self, digest: str) -> Path:
        """Where the sealed result lies, or will."""
        return self._folder / f"{digest}.age"

    def _sweep(self) -> None:
        old = self._rows("SELECT * FROM orders WHERE made_s < ?", self._now_s() - KEPT_S)
        for order in old:
            self.result(order.digest).unlink(missing_ok=True)
            self._db.execute("DELETE FROM orders WHERE digest = ?", (order.digest,))

    def make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(self._folder, 0o700)

    def _now_s(self) -> int:
        return self._clock.utc().utc_ns // SECOND_NS

    def _rows(self, sql: str, *values: Any) -> list[WaitingOrder]:
        found: Sequence[Any] = self._db.execute(sql, values).fetchall()
        return [WaitingOrder(*row) for row in found]
