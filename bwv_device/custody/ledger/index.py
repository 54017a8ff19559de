"""The custody ledger as SQLite tables. They are built from the store alone, and can be rebuilt at
any time.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509

from bwv_device.custody.ledger import index_updates
from bwv_device.custody.ledger.ledger import START, CustodyLedger, CustodyLine
from bwv_device.custody.permissions import MAY_WRITE
from bwv_device.errors import CustodyError
from bwv_device.formats import statement
from bwv_device.formats.ledger_lines import Head
from bwv_device.formats.statement import StatementError

VERSION = 5
# Marks the file as ours (SQLite's application_id): "bwvi".
APPLICATION = 0x62777669
# How long others may be writing.
OTHERS_S = 60.0

Row = dict[str, Any]

# Errors of reading fields from outside; a sum of two may exceed 64 bits.
MALFORMED = (KeyError, TypeError, ValueError, OverflowError)

SCHEMA = """
CREATE TABLE lines (n INTEGER PRIMARY KEY, digest TEXT, utc_ns INTEGER, kind TEXT, by TEXT,
    json TEXT, refused TEXT);
CREATE TABLE signers (fingerprint TEXT PRIMARY KEY, name TEXT, role TEXT, certificate TEXT);
CREATE TABLE cameras (device TEXT PRIMARY KEY, boot INTEGER DEFAULT 0, number INTEGER DEFAULT 0,
    digest TEXT DEFAULT '', start_number INTEGER DEFAULT 0, start_digest TEXT DEFAULT '',
    length INTEGER DEFAULT 0, docked_ns INTEGER, revoked TEXT DEFAULT '', officer TEXT DEFAULT '',
    version INTEGER DEFAULT 0, battery INTEGER, clock TEXT DEFAULT '', waiting INTEGER DEFAULT 0,
    forked_from INTEGER DEFAULT 0, whole_since INTEGER DEFAULT 0);
CREATE TABLE dockings (device TEXT, nonce TEXT, n INTEGER, refused TEXT,
    PRIMARY KEY (device, nonce));
CREATE TABLE pieces (device TEXT, boot INTEGER, offset INTEGER, length INTEGER, key TEXT,
    PRIMARY KEY (device, boot, offset, key));
CREATE TABLE recordings (id TEXT PRIMARY KEY, device TEXT, recording TEXT, officer TEXT,
    trigger_ TEXT, start_ns INTEGER, end_ns INTEGER, error_ns INTEGER, latest_ns INTEGER,
    received_ns INTEGER, late INTEGER DEFAULT 0, category TEXT DEFAULT 'unreviewed',
    flagged INTEGER DEFAULT 0, reviewed INTEGER DEFAULT 0, hidden_ns INTEGER,
    hiding INTEGER DEFAULT 0, unhide INTEGER DEFAULT 0, erasing INTEGER,
    erased_ns INTEGER, docking INTEGER);
CREATE INDEX recordings_time ON recordings (start_ns, end_ns);
CREATE INDEX recordings_device ON recordings (device, start_ns);
CREATE INDEX recordings_latest ON recordings (latest_ns) WHERE erased_ns IS NULL;
CREATE TABLE files (device TEXT, segment TEXT, recording TEXT, length INTEGER, sha256 TEXT,
    key TEXT, version TEXT, status TEXT, replicas TEXT, n INTEGER, announced INTEGER,
    PRIMARY KEY (device, segment));
CREATE INDEX files_recording ON files (recording);
CREATE TABLE markers (recording TEXT, marker TEXT, at_ns INTEGER);
CREATE INDEX markers_recording ON markers (recording);
CREATE TABLE holds (n INTEGER PRIMARY KEY, recording TEXT, reason TEXT, case_ TEXT, request TEXT,
    proposed INTEGER, proposer TEXT, released INTEGER);
CREATE INDEX holds_recording ON holds (recording);
CREATE TABLE requests (id TEXT PRIMARY KEY, n INTEGER, kind TEXT, received TEXT, due TEXT,
    from_ns INTEGER, to_ns INTEGER, incident_ns INTEGER, in_time INTEGER, place TEXT,
    description TEXT, devices TEXT, officers TEXT, letter TEXT, closed INTEGER, outcome TEXT);
CREATE TABLE quarantine (n INTEGER PRIMARY KEY, device TEXT, segment TEXT, reason TEXT, key TEXT,
    review_ns INTEGER);
CREATE TABLE problems (n INTEGER, problem TEXT);
"""


class Index:
    """Follows the ledger. A line that its signer may not write changes nothing, and is a
    problem."""

    def __init__(
        self,
        ledger: CustodyLedger,
        roots: Sequence[x509.Certificate],
        path: Path | None = None,
    ) -> None:
        """`path` None keeps it in memory. A damaged index is set aside and made anew: it holds
        nothing that the store does not. Raises `CustodyError` if the file can't be written, or is
        another program's database."""
        self._ledger, self._roots = ledger, list(roots)
        if not self._roots:
            raise CustodyError("Custody needs the agency's root certificate.", "Name it.")
        self.db = _open(path)
        try:
            if self._version() != VERSION:
                self._make()
        except sqlite3.Error as error:
            raise CustodyError(
                f"The index {path} can't be used: {error}.",
                "Set agency.index to a file of your own.",
            ) from None
        self._certificates: dict[str, x509.Certificate] = {}

    def rebuild(self) -> None:
        """From the store, as if there had never been an index."""
        self._make(anyway=True)
        self.catch_up()

    def catch_up(self) -> Head:
        """Reads what was written since. Returns the head."""
        head = self.head
        batch: list[CustodyLine] = []
        try:
            for line in self._ledger.after(head):
                batch.append(line)
                head = Head(line.number, line.digest)
                if len(batch) >= 1000:
                    self._apply(batch)
                    batch = []
        finally:
            self._apply(batch)
        return self.head

    @property
    def head(self) -> Head:
        row = self.db.execute("SELECT n, digest FROM lines ORDER BY n DESC LIMIT 1").fetchone()
        return Head(row["n"], row["digest"]) if row else START

    def knows(self, fingerprint: str) -> bool:
        """Whether the chain has introduced this certificate."""
        found = "SELECT 1 FROM signers WHERE fingerprint = ?"
        return self.db.execute(found, (fingerprint,)).fetchone() is not None

    def rows(self, sql: str, *values: Any) -> list[Row]:
        return self.db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> Row | None:
        found: Row | None = self.db.execute(sql, values).fetchone()
        return found

    def lines(self, sql: str = "1", *values: Any) -> Iterator[dict[str, Any]]:
        """Fields of the lines that count, with who wrote them, in order."""
        query = (
            "SELECT lines.*, signers.name, signers.role FROM lines LEFT JOIN signers "  # noqa: S608
            f"ON signers.fingerprint = lines.by WHERE refused = '' AND ({sql}) ORDER BY n"
        )
        for row in self.db.execute(query, values):
            yield {**json.loads(row["json"]), "name": row["name"], "role": row["role"]}

    # --- inside -------------------------------------------------------------------------------

    def _version(self) -> int:
        return int(self.db.execute("PRAGMA user_version").fetchone()["user_version"])

    def _make(self, *, anyway: bool = False) -> None:
        """All at once: a process may be killed in between, or another begin at the same time."""
        with self._transaction():
            if self._version() == VERSION and not anyway:
                return
            self.db.execute(f"PRAGMA application_id = {APPLICATION}")
            found = "SELECT name FROM sqlite_master WHERE type = 'table'"
            for table in self.db.execute(found).fetchall():
                self.db.execute(f"DROP TABLE {table['name']}")
            for text in SCHEMA.split(";"):
                self.db.execute(text)
            self.db.execute(f"PRAGMA user_version = {VERSION}")

    def _apply(self, batch: list[CustodyLine]) -> None:
        if not batch:
            return
        with self._transaction():
            for line in batch:
                self._take(line)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Nobody else writes meanwhile; all of it, or nothing."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def _take(self, line: CustodyLine) -> None:
        if line.number <= self.head.number:  # another process on the same file was faster
            return
        refused = self._refusal(line)
        text = json.dumps(line.fields)
        self.db.execute(
            "INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?)",
            (line.number, line.digest, line.utc_ns, line.kind, line.by, text, refused),
        )
        if refused:
            self.db.execute("INSERT INTO problems VALUES (?, ?)", (line.number, refused))

    def _refusal(self, line: CustodyLine) -> str:
        """Why a line does not count; applies it where it does."""
        try:
            certificate, role = self._signer(line)
        except StatementError as error:
            return f"its signer {error}"
        if not line.signed_by(certificate):
            return "its signature does not hold"
        if role not in MAY_WRITE.get(line.kind, ()):
            return f"the role {role!r} may not write {line.kind!r}"
        self.db.execute("SAVEPOINT line")
        try:
            index_updates.apply(self.db, line)
        except (index_updates.EffectError, *MALFORMED, sqlite3.Error) as error:
            self.db.execute("ROLLBACK TO line")
            return f"it says what it may not: {error}"
        finally:
            self.db.execute("RELEASE line")
        return ""

    def _signer(self, line: CustodyLine) -> tuple[x509.Certificate, str]:
        row = self.row("SELECT * FROM signers WHERE fingerprint = ?", line.by)
        if row is not None:
            if line.by not in self._certificates:
                pem = row["certificate"].encode()
                self._certificates[line.by] = statement.chain_of(pem)[0]
            return self._certificates[line.by], str(row["role"])
        pem = line.fields.get("certificate")
        chain = statement.chain_of(pem.encode() if isinstance(pem, str) else b"")
        who = statement.role_of(chain, self._roots)
        if statement.fingerprint(chain[0]) != line.by:
            raise StatementError("is not the one that it brings")
        values = (line.by, who.name, who.role, pem)
        self.db.execute("INSERT INTO signers VALUES (?, ?, ?, ?)", values)
        return chain[0], who.role


def _open(path: Path | None) -> sqlite3.Connection:
    if path is None:
        return _connect(None)
    try:
        with _one_at_a_time(path):
            try:
                return _connect(path)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                _set_aside(path)
                return _connect(path)
    except (sqlite3.OperationalError, OSError) as error:
        raise CustodyError(
            f"The index {path} can't be used: {error}.", "Set agency.index to a file of your own."
        ) from None


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """SQLite does not wait for others when it begins a journal, nor while a file is set aside."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _set_aside(path: Path) -> None:
    """Under a name that is free: what was there may be something else, named by mistake."""
    number = 1
    while (kept := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(kept)
    for name in ("wal", "shm"):
        Path(f"{path}-{name}").unlink(missing_ok=True)


def _connect(path: Path | None) -> sqlite3.Connection:
    db = sqlite3.connect(path or ":memory:", timeout=OTHERS_S, isolation_level=None)
    db.row_factory = _as_dict
    if path:
        try:
            if db.execute("SELECT count(*) AS n FROM sqlite_master").fetchone()["n"]:
                owner = db.execute("PRAGMA application_id").fetchone()["application_id"]
                if owner != APPLICATION:
                    raise sqlite3.OperationalError("it is another program's database")
            db.execute("PRAGMA journal_mode = WAL")
            if db.execute("PRAGMA quick_check(1)").fetchone()["quick_check"] != "ok":
                raise sqlite3.DatabaseError("damaged")
        except sqlite3.Error:
            db.close()
            raise
    return db


def _as_dict(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Row:
    return dict(zip((column[0] for column in cursor.description), values, strict=True))
