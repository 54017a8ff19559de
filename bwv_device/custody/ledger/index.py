"""The custody ledger as SQLite tables. They are built from the store alone, and can be rebuilt at
any time; only which store it is, and the checkpoints that were seen, are kept beyond that.
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

from bwv_device.custody.ledger import bodies, index_updates, rules, words
from bwv_device.custody.ledger.ledger import (
    NO_LINE,
    START,
    CustodyLedger,
    CustodyLine,
    Place,
    SetAside,
)
from bwv_device.custody.ledger.log_tree import LogTree
from bwv_device.custody.ledger.signers import Signers, why_not_valid
from bwv_device.custody.permissions import MAY_WRITE
from bwv_device.custody.retention_dates import Retention
from bwv_device.errors import CustodyError, EvidenceStoreError
from bwv_device.formats.ledger_lines import Head
from bwv_device.verification.trust_list import Trust, read_trust_list
from hal.ports import SECOND_NS

VERSION = 10
# Marks the file as ours (SQLite's application_id): "bwvi".
APPLICATION = 0x62777669
# Of pages in memory.
CACHE_KIB = 64 << 10
# How long others may be writing.
OTHERS_S = 60.0

Row = dict[str, Any]

# How long it is taken for granted that the store is the same and still has its lines.
LOOK_NS = 5 * SECOND_NS

# Lines that name many recordings at once.
BATCHES = ("hiding", "hidden", "erasing", "erased")
MENTIONED = "n IN (SELECT n FROM mentions WHERE recording = ?)"

KEPT_TABLES = ("meta", "checkpoints")
KEPT_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS checkpoints (origin TEXT, size INTEGER, root TEXT, source TEXT,
    utc_s INTEGER, checked INTEGER, PRIMARY KEY (origin, size, root));
"""
SCHEMA = """
CREATE TABLE lines (n INTEGER PRIMARY KEY, digest TEXT, utc_ns INTEGER, kind TEXT, by TEXT,
    json TEXT, refused TEXT, body TEXT);
CREATE INDEX lines_body ON lines (body) WHERE body IS NOT NULL;
CREATE TABLE mentions (recording TEXT, n INTEGER, PRIMARY KEY (recording, n)) WITHOUT ROWID;
CREATE TABLE bodies (n INTEGER PRIMARY KEY, json TEXT);
CREATE TABLE words (n INTEGER PRIMARY KEY, decided INTEGER, erased INTEGER);
CREATE INDEX words_left ON words (n) WHERE erased IS NULL;
CREATE TABLE tree (level INTEGER, position INTEGER, hash BLOB, PRIMARY KEY (level, position))
    WITHOUT ROWID;
CREATE TABLE trust (version INTEGER PRIMARY KEY, n INTEGER, list TEXT, proposer TEXT,
    approved INTEGER);
CREATE TABLE rules (version INTEGER PRIMARY KEY, n INTEGER, json TEXT, proposer TEXT,
    approved INTEGER);
CREATE TABLE signers (fingerprint TEXT PRIMARY KEY, name TEXT, role TEXT, certificate TEXT,
    person TEXT);
CREATE TABLE cameras (device TEXT PRIMARY KEY, boot INTEGER DEFAULT 0, number INTEGER DEFAULT 0,
    digest TEXT DEFAULT '', start_number INTEGER DEFAULT 0, start_digest TEXT DEFAULT '',
    length INTEGER DEFAULT 0, docked_ns INTEGER, revoked TEXT DEFAULT '', officer TEXT DEFAULT '',
    version INTEGER DEFAULT 0, battery INTEGER, clock TEXT DEFAULT '', waiting INTEGER DEFAULT 0,
    forked_from INTEGER DEFAULT 0, whole_since INTEGER DEFAULT 0,
    settled_proof TEXT DEFAULT '', settled_heads INTEGER DEFAULT 0, profile TEXT DEFAULT '');
CREATE TABLE dockings (device TEXT, nonce TEXT, n INTEGER, refused TEXT,
    PRIMARY KEY (device, nonce));
CREATE TABLE pieces (device TEXT, boot INTEGER, offset INTEGER, length INTEGER, key TEXT,
    PRIMARY KEY (device, boot, offset, key));
CREATE TABLE recordings (id TEXT PRIMARY KEY, device TEXT, recording TEXT, officer TEXT,
    trigger_ TEXT, start_ns INTEGER, end_ns INTEGER, error_ns INTEGER, latest_ns INTEGER,
    received_ns INTEGER, late INTEGER DEFAULT 0, category TEXT DEFAULT 'unreviewed',
    flagged INTEGER DEFAULT 0, reviewed INTEGER DEFAULT 0, hidden_ns INTEGER,
    hiding INTEGER DEFAULT 0, unhide INTEGER DEFAULT 0, erasing INTEGER,
    erased_ns INTEGER, docking INTEGER, due_day INTEGER);
CREATE INDEX recordings_erasing ON recordings (erasing) WHERE erased_ns IS NULL AND
    erasing IS NOT NULL;
CREATE INDEX recordings_unhide ON recordings (unhide) WHERE unhide;
CREATE INDEX recordings_hiding ON recordings (hiding) WHERE hiding;
CREATE TABLE files (device TEXT, segment TEXT, recording TEXT, length INTEGER, sha256 TEXT,
    key TEXT, version TEXT, status TEXT, replicas TEXT, n INTEGER, announced INTEGER,
    lost TEXT DEFAULT '', PRIMARY KEY (device, segment));
CREATE INDEX files_recording ON files (recording);
CREATE INDEX files_lost ON files (recording) WHERE lost != '';
CREATE INDEX files_expected ON files (device, recording) WHERE status = 'expected';
CREATE TABLE markers (recording TEXT, marker TEXT, at_ns INTEGER);
CREATE INDEX markers_recording ON markers (recording);
CREATE INDEX markers_marker ON markers (marker, recording);
CREATE TABLE holds (n INTEGER PRIMARY KEY, recording TEXT, reason TEXT, case_ TEXT, request TEXT,
    proposed INTEGER, proposer TEXT, released INTEGER);
CREATE INDEX holds_recording ON holds (recording);
CREATE INDEX holds_in_force ON holds (recording) WHERE released IS NULL;
CREATE TABLE requests (id TEXT PRIMARY KEY, n INTEGER, kind TEXT, received TEXT, due TEXT,
    from_ns INTEGER, to_ns INTEGER, incident_ns INTEGER, in_time INTEGER, place TEXT,
    description TEXT, devices TEXT, officers TEXT, letter TEXT, figures TEXT, closed INTEGER,
    outcome TEXT);
CREATE TABLE request_steps (request TEXT, n INTEGER PRIMARY KEY, step TEXT, about TEXT, day TEXT,
    due TEXT);
CREATE INDEX request_steps_request ON request_steps (request);
CREATE INDEX requests_letter ON requests (letter);
CREATE INDEX requests_open ON requests (to_ns) WHERE closed IS NULL AND in_time = 1;
CREATE TABLE quarantine (n INTEGER PRIMARY KEY, device TEXT, segment TEXT, reason TEXT, key TEXT,
    review_ns INTEGER, owner TEXT DEFAULT '', again INTEGER, proposed INTEGER, proposer TEXT,
    approved INTEGER, discarded INTEGER);
CREATE INDEX quarantine_key ON quarantine (key);
CREATE TABLE software (release TEXT PRIMARY KEY, sha256 TEXT, length INTEGER, n INTEGER);
CREATE TABLE views (n INTEGER PRIMARY KEY, recording TEXT, person TEXT, role TEXT,
    request TEXT UNIQUE, approver TEXT, outside INTEGER, utc_ns INTEGER);
CREATE INDEX views_person ON views (person, utc_ns);
CREATE INDEX views_recording ON views (recording);
CREATE TABLE case_members (case_ TEXT, person TEXT, PRIMARY KEY (case_, person));
CREATE TABLE problems (n INTEGER, problem TEXT);
"""

# Indexes that no effect looks into: they are made when the first lines are read, all at once.
LATER = """
CREATE INDEX IF NOT EXISTS recordings_time ON recordings (start_ns);
CREATE INDEX IF NOT EXISTS recordings_officer ON recordings (officer, start_ns);
CREATE INDEX IF NOT EXISTS recordings_category ON recordings (category, start_ns)
    WHERE category != 'unreviewed';
CREATE INDEX IF NOT EXISTS recordings_unsure ON recordings (start_ns)
    WHERE error_ns > 3600000000000;
CREATE INDEX IF NOT EXISTS recordings_device ON recordings (device, start_ns);
CREATE INDEX IF NOT EXISTS recordings_latest ON recordings (latest_ns) WHERE erased_ns IS NULL;
CREATE INDEX IF NOT EXISTS recordings_due ON recordings (due_day) WHERE erased_ns IS NULL;
CREATE INDEX IF NOT EXISTS recordings_seen ON recordings (due_day) WHERE erased_ns IS NULL AND
    hidden_ns IS NULL;
CREATE INDEX IF NOT EXISTS recordings_hidden ON recordings (due_day) WHERE erased_ns IS NULL AND
    hidden_ns IS NOT NULL;
CREATE INDEX IF NOT EXISTS files_key ON files (key);
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
        self._signers = Signers(self._roots, self._ledger.signer)
        self._looked_ns: int | None = None
        self._indexed = False
        self._store = ""
        self._trust: tuple[int, Trust] | None = None
        self.tree = LogTree(self.db)

    def rebuild(self) -> None:
        """From the store, as if there had never been an index; what was seen of it is looked for
        again."""
        self._make(anyway=True)
        self._indexed = False
        self.write("UPDATE checkpoints SET checked = 0")
        self._signers = Signers(self._roots, self._ledger.signer)
        self.catch_up()

    def catch_up(self) -> Place:
        """Reads what was written since. Returns where the next line belongs. Raises
        `EvidenceStoreError` where the store is another, or none; `CustodyError` where the ledger is
        broken."""
        self._look_again()
        batch: list[CustodyLine] = []
        aside = SetAside()
        try:
            for line in self._ledger.after(self.head, self._is_signed, aside):
                batch.append(line)
                if len(batch) >= 1000:
                    self._apply(batch)
                    batch = []
        finally:
            self._apply(batch)
        self._index_later()
        head = self.head
        for sentence in aside.told:
            self._tell_once(head.number + 1, sentence)
        return Place(head, aside.numbers, self.newest_ns)

    def _index_later(self) -> None:
        if self._indexed:
            return
        with self._transaction():
            for text in LATER.split(";"):
                self.db.execute(text)
        self._indexed = True

    def compare_with_store(self) -> list[str]:
        """Reads every line again. What is not as it was read, in sentences."""
        known = {row["n"]: row["digest"] for row in self.rows("SELECT n, digest FROM lines")}
        wrong = []
        for number, digest in self._ledger.digests():
            if known.get(number, NO_LINE) == NO_LINE:
                continue  # set aside, or newer than this reading
            if known.pop(number) != digest:
                wrong.append(f"line {number} of the store is not the one that was read before")
        gone = [number for number, digest in known.items() if digest != NO_LINE]
        return wrong + [f"line {number} is gone from the store" for number in sorted(gone)]

    def take(self, line: CustodyLine) -> None:
        """A line that was just written on top of everything that is known here."""
        if line.fields["prev"] == self.head.digest and self._is_signed(line):
            self._apply([line])

    @property
    def trust(self) -> Trust | None:
        """The newest trust list that two persons put in force."""
        row = self.row(
            "SELECT n, list FROM trust WHERE approved IS NOT NULL ORDER BY version DESC LIMIT 1"
        )
        if row is None:
            return None
        if self._trust is None or self._trust[0] != row["n"]:
            self._trust = row["n"], read_trust_list(row["list"], self._roots)
        return self._trust[1]

    @property
    def store_id(self) -> str:
        """Of the store that was read last."""
        return self._store

    @property
    def head(self) -> Head:
        row = self.db.execute("SELECT n, digest FROM lines ORDER BY n DESC LIMIT 1").fetchone()
        return Head(row["n"], row["digest"]) if row else START

    @property
    def newest_ns(self) -> int:
        """When the last line that counts was written, as it says."""
        row = self.row("SELECT utc_ns FROM lines WHERE refused = '' ORDER BY n DESC LIMIT 1")
        return int(row["utc_ns"]) if row else 0

    @property
    def rules(self) -> Retention | None:
        """The rules of retention that two persons put in force."""
        return rules.in_force(self.db) if rules.newest(self.db) else None

    def knows(self, fingerprint: str) -> bool:
        """Whether the chain has introduced this certificate."""
        return self.row("SELECT 1 FROM signers WHERE fingerprint = ?", fingerprint) is not None

    def write(self, sql: str, *values: Any) -> None:
        """Of what is kept beyond the lines."""
        with self._transaction():
            self.db.execute(sql, values)

    def rows(self, sql: str, *values: Any) -> list[Row]:
        return self.db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> Row | None:
        found: Row | None = self.db.execute(sql, values).fetchone()
        return found

    def lines(self, sql: str = "1", *values: Any) -> Iterator[dict[str, Any]]:
        """Fields of the lines that count, with who wrote them, in order."""
        query = (
            "SELECT n, kind, lines.json, bodies.json AS body, name, role FROM lines "  # noqa: S608
            "LEFT JOIN signers ON fingerprint = by LEFT JOIN bodies USING (n) "
            f"WHERE refused = '' AND ({sql}) ORDER BY n"
        )
        for row in self.db.execute(query, values):
            body = json.loads(row["body"]) if row["body"] else None
            said = bodies.joined(row["kind"], json.loads(row["json"]), body)
            yield {**said, "name": row["name"], "role": row["role"]}

    def lines_about(self, recording: str) -> Iterator[dict[str, Any]]:
        """The lines that name a recording, by its full name; of those that name many, what they
        say of this one."""
        for said in self.lines(MENTIONED, recording):
            if said["kind"] not in BATCHES:
                yield said
                continue
            rule = said.pop("rules", {}).get(recording)
            yield said | {"recordings": [recording]} | ({"rule": rule} if rule else {})

    # --- inside -------------------------------------------------------------------------------

    def _version(self) -> int:
        return int(self.db.execute("PRAGMA user_version").fetchone()["user_version"])

    def _look_again(self) -> None:
        """Now and then: that it is the store this index was made from, and that the last line that
        was read is still there."""
        now_ns = self._ledger.monotonic_ns()
        if self._looked_ns is not None and now_ns - self._looked_ns < LOOK_NS:
            return
        identity = self._ledger.store_id()
        row = self.row("SELECT value FROM meta WHERE name = 'store'")
        if row is not None and row["value"] != identity:
            raise EvidenceStoreError(
                "The index was made from another store.",
                "Check store.address, or set agency.index to another file.",
            )
        if row is None:
            self.write("INSERT OR IGNORE INTO meta VALUES ('store', ?)", identity)
        self._ledger.still_has(self.head)
        self._store, self._looked_ns = identity, now_ns

    def _make(self, *, anyway: bool = False) -> None:
        """All at once: a process may be killed in between, or another begin at the same time."""
        with self._transaction():
            if self._version() == VERSION and not anyway:
                return
            self.db.execute(f"PRAGMA application_id = {APPLICATION}")
            found = "SELECT name FROM sqlite_master WHERE type = 'table'"
            for table in self.db.execute(found).fetchall():
                if table["name"] not in KEPT_TABLES:
                    self.db.execute(f"DROP TABLE {table['name']}")
            for text in (KEPT_SCHEMA + SCHEMA).split(";"):
                self.db.execute(text)
            self.db.execute(f"PRAGMA user_version = {VERSION}")

    def _apply(self, batch: list[CustodyLine]) -> None:
        if not batch:
            return
        with self._transaction():
            for line in batch:
                self._take(line)
            self.tree.grow()

    def _tell_once(self, number: int, sentence: str) -> None:
        told = "SELECT 1 FROM problems WHERE problem = ?"
        if self.row(told, sentence) is None:
            with self._transaction():
                self.db.execute("INSERT INTO problems VALUES (?, ?)", (number, sentence))

    def _is_signed(self, line: CustodyLine) -> bool:
        return self._signers.is_signed(self.db, line)

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
        for number in range(line.number - line.aside, line.number):
            told = f"an object that is no line stood at number {number}: it was set aside"
            self.db.execute(
                "INSERT INTO lines VALUES (?, ?, ?, 'aside', '', '{}', ?, NULL)",
                (number, NO_LINE, line.utc_ns, told),
            )
            self.db.execute("INSERT INTO problems VALUES (?, ?)", (number, told))
        refused = self._refusal(line)
        self.db.execute(
            "INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (line.number, line.digest, line.utc_ns, line.kind, line.by,
             line.signed.decode("ascii"), refused, line.body_digest),
        )  # fmt: skip
        if line.body is None:
            values = (line.number, words.NOT_THERE)
            self.db.execute("INSERT INTO problems VALUES (?, ?)", values)
        elif line.body:
            self.db.execute(
                "INSERT INTO bodies VALUES (?, ?)", (line.number, json.dumps(line.body))
            )
        if refused:
            self.db.execute("INSERT INTO problems VALUES (?, ?)", (line.number, refused))

    def _refusal(self, line: CustodyLine) -> str:
        """Why a line does not count; applies it where it does."""
        signer = self._signers.write(self.db, line)
        if signer.role not in MAY_WRITE.get(line.kind, ()):
            return f"the role {signer.role!r} may not write {line.kind!r}"
        if why := why_not_valid(signer.chain, self.trust, line.utc_ns):
            return f"the key of {signer.name} {why}"
        if line.utc_ns < self.newest_ns:
            return "it is dated before the line in front of it"
        self.db.execute("SAVEPOINT line")
        try:
            index_updates.apply(self.db, line, self._roots)
        except sqlite3.OperationalError:
            raise  # this machine's trouble, not the line's
        except Exception as error:  # noqa: BLE001 - one signed line must not stop every reader
            self.db.execute("ROLLBACK TO line")
            return f"it says what it may not: {error}"
        finally:
            self.db.execute("RELEASE line")
        return ""


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
            db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            if db.execute("PRAGMA quick_check(1)").fetchone()["quick_check"] != "ok":
                raise sqlite3.DatabaseError("damaged")
        except sqlite3.Error:
            db.close()
            raise
    return db


def _as_dict(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Row:
    return dict(zip((column[0] for column in cursor.description), values, strict=True))
