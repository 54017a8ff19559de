"""The outbox on a real disk: SQLite with a write-ahead log."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from hal.ports import MqttMessage, OutboxFill, Outgoing, Waiting

SCHEMA = """
CREATE TABLE IF NOT EXISTS waiting (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL, retain INTEGER NOT NULL,
    attributes TEXT NOT NULL, size INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS newest ON waiting (key) WHERE key <> '';
"""


# Result codes of SQLite after which the file may still be good.
DISK_TROUBLES = (
    "SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_LOCKED",
    "SQLITE_NOMEM", "SQLITE_PERM", "SQLITE_READONLY",
)  # fmt: skip


class SqliteOutbox:
    """`hal.ports.Outbox`. One thread at a time. A file that is no outbox any more is set aside:
    what waited in it is advisory, and the ledger has all of it."""

    def __init__(self, path: Path | str, limit_rows: int, limit_bytes: int) -> None:
        """`path` ":memory:" forgets. Raises `OSError`."""
        self._path, self._limit_rows, self._limit_bytes = path, limit_rows, limit_bytes
        self._dropped = 0
        self._rows = self._bytes = 0
        self._file: sqlite3.Connection | None = None
        self._lock, self._closed = threading.Lock(), False

    def put(self, items: Sequence[Outgoing]) -> None:
        with self._told():
            file = self._opened()
            # A power cut may take the newest status: the next one is seconds away.
            durable = any(not item.key for item in items)
            file.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            rows, size_bytes, dropped = self._rows, self._bytes, 0
            with file:
                for key, message in items:
                    if key:
                        gone = _delete(file, "key = ?", key)
                        rows, size_bytes = rows - len(gone), size_bytes - sum(gone)
                    attributes = json.dumps(message.attributes)
                    size = len(message.payload) + len(message.topic) + len(attributes)
                    file.execute(
                        "INSERT INTO waiting (key, topic, payload, retain, attributes, size) "
                        "VALUES (?, ?, ?, ?, ?, ?)",
                        (key, message.topic, message.payload, message.retain, attributes, size),
                    )
                    rows, size_bytes = rows + 1, size_bytes + size
                while rows > 1 and (rows > self._limit_rows or size_bytes > self._limit_bytes):
                    gone = _delete(file, "row = (SELECT min(row) FROM waiting)")
                    rows, size_bytes, dropped = rows - 1, size_bytes - sum(gone), dropped + 1
            self._rows, self._bytes = rows, size_bytes
            self._dropped += dropped

    def after(self, row: int, limit: int) -> list[Waiting]:
        with self._told():
            found = self._opened().execute(
                "SELECT row, topic, payload, retain, attributes FROM waiting "
                "WHERE row > ? ORDER BY row LIMIT ?",
                (row, limit),
            )
            return [_waiting(*columns) for columns in found]

    def remove(self, rows: Sequence[int]) -> None:
        with self._told():
            file = self._opened()
            # Sent twice after a power cut is allowed: a duplicate is recognized.
            file.execute("PRAGMA synchronous = NORMAL")
            with file:
                gone = [size for row in rows for size in _delete(file, "row = ?", row)]
            self._rows, self._bytes = self._rows - len(gone), self._bytes - sum(gone)

    def fill(self) -> OutboxFill:
        with self._told():
            self._opened()
            return OutboxFill(self._rows, self._bytes, self._dropped)

    def close(self) -> None:
        """Behind whatever is under way; what comes later is an `OSError`."""
        with self._lock:
            self._closed = True
            self._let_go()

    # --- inside -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """One at a time; errors as `OSError`. A damaged file is set aside, and the next call begins
        a new one."""
        with self._lock:
            if self._closed:
                raise OSError("the outbox is closed")
            try:
                yield
            except sqlite3.Error as error:
                if _is_damage(error):
                    self._let_go()
                    self._set_aside()
                raise OSError(f"the outbox: {error}") from error

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> sqlite3.Connection:
        if self._file is None:
            try:
                self._file = self._open()
            except sqlite3.Error as error:
                if not _is_damage(error):
                    raise
                self._set_aside()
                self._file = self._open()
        return self._file

    def _open(self) -> sqlite3.Connection:
        if self._path != ":memory:":
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        # Its lane may be another thread than the one that opened it.
        file = sqlite3.connect(self._path, check_same_thread=False)
        try:
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("PRAGMA journal_size_limit = 1048576")
            file.executescript(SCHEMA)
            rows, size_bytes = file.execute(
                "SELECT count(topic || payload || retain || attributes), ifnull(sum(size), 0) "
                "FROM waiting"
            ).fetchone()
            self._rows, self._bytes = int(rows), int(size_bytes)
        except sqlite3.Error:
            file.close()
            raise
        return file

    def _set_aside(self) -> None:
        if self._path == ":memory:":
            return
        path = Path(self._path)
        path.replace(path.with_name(path.name + ".damaged"))
        for tail in ("-wal", "-shm"):
            path.with_name(path.name + tail).unlink(missing_ok=True)


def _waiting(row: int, topic: str, payload: bytes, retain: int, attributes: str) -> Waiting:
    try:
        pairs = tuple((str(name), str(value)) for name, value in json.loads(attributes))
        return Waiting(row, MqttMessage(str(topic), bytes(payload), bool(retain), pairs))
    except (ValueError, TypeError) as error:
        raise sqlite3.DatabaseError(f"row {row} can't be read") from error


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is to blame, not the disk below it, its permissions, or we."""
    if isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError)):
        return False
    name = str(getattr(error, "sqlite_errorname", ""))
    return not name.startswith(DISK_TROUBLES)


def _delete(file: sqlite3.Connection, where: str, *values: object) -> list[int]:
    """The sizes of what went."""
    gone = file.execute(f"DELETE FROM waiting WHERE {where} RETURNING size", values)  # noqa: S608
    return [int(size) for (size,) in gone.fetchall()]
