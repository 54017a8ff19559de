"""Who may sign in, and who has: certificates, passkeys, sessions. One SQLite file, which any number
of processes of one machine share. It holds no key and no evidence: where it is lost, everybody
signs in with their certified key again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bwv_device.errors import CustodyError
from hal.ports import SECOND_NS, Clock, Entropy

OTHERS_S = 30.0
TOKEN_BYTES, CHALLENGE_BYTES = 32, 32
# So long is a challenge good for, and how many may wait at once.
CHALLENGE_S, CHALLENGES = 300, 10_000
# How often may be tried within a quarter of an hour, of one person or one address.
WINDOW_S, TRIES = 900, 20

SCHEMA = """
CREATE TABLE IF NOT EXISTS certificates (fingerprint TEXT PRIMARY KEY, person TEXT, name TEXT,
    role TEXT, chain TEXT, viewing TEXT, added_s INTEGER);
CREATE TABLE IF NOT EXISTS passkeys (id BLOB PRIMARY KEY, person TEXT, public BLOB, uses INTEGER,
    label TEXT, added_s INTEGER);
CREATE TABLE IF NOT EXISTS challenges (value BLOB PRIMARY KEY, purpose TEXT, person TEXT,
    until_s INTEGER);
CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, person TEXT, full INTEGER,
    began_s INTEGER, seen_s INTEGER, browser TEXT);
CREATE TABLE IF NOT EXISTS tries (who TEXT, at_s INTEGER);
CREATE INDEX IF NOT EXISTS tries_who ON tries (who, at_s);
"""


class Certified(NamedTuple):
    """A person in a role, as the roles CA certified them; `viewing`: their key to look with."""

    fingerprint: str
    person: str
    name: str
    role: str
    chain: str
    viewing: str


class Passkey(NamedTuple):
    """A credential of WebAuthn. `uses` is its own count of signatures."""

    id: bytes
    person: str
    public: bytes
    uses: int
    label: str


class SignedIn(NamedTuple):
    """`full` False: with the certified key alone, which is enough to register a passkey."""

    token: str
    person: str
    full: bool
    began_s: int
    seen_s: int
    browser: str


@dataclass(frozen=True, slots=True)
class Lifetimes:
    idle_s: int = 900
    most_s: int = 36_000


class DeskState:
    """`path` None keeps it in memory. Raises `CustodyError` where it can't be used."""

    def __init__(
        self, path: Path | None, clock: Clock, entropy: Entropy, lifetimes: Lifetimes
    ) -> None:
        self._clock, self._entropy, self._lifetimes = clock, entropy, lifetimes
        try:
            if path is not None and not path.exists():
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(
                path or ":memory:", timeout=OTHERS_S, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise CustodyError(
                f"The desk's state {path} can't be used: {error}.",
                "Set desk.state to another file.",
            ) from None

    # --- certificates -------------------------------------------------------------------------

    def add_certificate(self, one: Certified) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO certificates VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*one, self._now_s()),
        )

    def certificates(self, person: str) -> list[Certified]:
        rows = self._rows("SELECT * FROM certificates WHERE person = ? ORDER BY added_s", person)
        return [Certified(*row[:6]) for row in rows]

    def certificate(self, fingerprint: str, person: str) -> Certified | None:
        return next((c for c in self.certificates(person) if c.fingerprint == fingerprint), None)

    # --- passkeys -----------------------------------------------------------------------------

    def add_passkey(self, one: Passkey) -> bool:
        """False where it is there already, whosever."""
        added = self._db.execute(
            "INSERT OR IGNORE INTO passkeys VALUES (?, ?, ?, ?, ?, ?)", (*one, self._now_s())
        )
        return bool(added.rowcount)

    def passkey(self, identifier: bytes) -> Passkey | None:
        rows = self._rows("SELECT * FROM passkeys WHERE id = ?", identifier)
        return Passkey(*rows[0][:5]) if rows else None

    def passkeys(self, person: str) -> list[Passkey]:
        rows = self._rows("SELECT * FROM passkeys WHERE person = ? ORDER BY added_s", person)
        return [Passkey(*row[:5]) for row in rows]

    def used(self, identifier: bytes, uses: int) -> None:
        self._db.execute("UPDATE passkeys SET uses = ? WHERE id = ?", (uses, identifier))

    def forget_passkey(self, identifier: bytes, person: str) -> bool:
        gone = self._db.execute(
            "DELETE FROM passkeys WHERE id = ? AND person = ?", (identifier, person)
        )
        return bool(gone.rowcount)

    # --- challenges ---------------------------------------------------------------------------

    def challenge(self, purpose: str, person: str = "") -> bytes:
        """Good once, for some minutes. Raises `CustodyError` where too many wait."""
        now_s = self._now_s()
        self._db.execute("DELETE FROM challenges WHERE until_s < ?", (now_s,))
        if self._rows("SELECT count(*) FROM challenges")[0][0] >= CHALLENGES:
            raise CustodyError("Too many people sign in at once.", "Try again in five minutes.")
        value = self._entropy.token(CHALLENGE_BYTES)
        self._db.execute(
            "INSERT INTO challenges VALUES (?, ?, ?, ?)",
            (value, purpose, person, now_s + CHALLENGE_S),
        )
        return value

    def take_challenge(self, value: bytes, purpose: str) -> str | None:
        """For whom it was made; None where it was not, is over, or was used."""
        taken = self._db.execute(
            "DELETE FROM challenges WHERE value = ? AND purpose = ? AND until_s >= ? "
            "RETURNING person", (value, purpose, self._now_s())
        ).fetchall()  # fmt: skip
        return str(taken[0][0]) if taken else None

    # --- sessions -----------------------------------------------------------------------------

    def begin(self, person: str, browser: str, *, full: bool) -> str:
        """The token, which is kept here as its digest alone."""
        token = self._entropy.token(TOKEN_BYTES).hex()
        now_s = self._now_s()
        self._db.execute(
            "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)",
            (_digest(token), person, int(full), now_s, now_s, browser[:200]),
        )
        return token

    def session(self, token: str) -> SignedIn | None:
        """None where nobody is signed in by it any more."""
        now_s = self._now_s()
        self._db.execute(
            "DELETE FROM sessions WHERE seen_s < ? OR began_s < ?",
            (now_s - self._lifetimes.idle_s, now_s - self._lifetimes.most_s),
        )
        found = self._db.execute(
            "UPDATE sessions SET seen_s = ? WHERE token = ? RETURNING *", (now_s, _digest(token))
        ).fetchall()
        return _signed_in(found[0]) if found else None

    def sessions(self, person: str) -> list[SignedIn]:
        rows = self._rows("SELECT * FROM sessions WHERE person = ? ORDER BY began_s", person)
        return [_signed_in(row) for row in rows]

    def end(self, digest: str, person: str) -> bool:
        gone = self._db.execute(
            "DELETE FROM sessions WHERE token = ? AND person = ?", (digest, person)
        )
        return bool(gone.rowcount)

    def end_all(self, person: str) -> int:
        return self._db.execute("DELETE FROM sessions WHERE person = ?", (person,)).rowcount

    # --- rate limits --------------------------------------------------------------------------

    def tried(self, who: str) -> None:
        """Raises `CustodyError` where that was once too often."""
        now_s = self._now_s()
        self._db.execute("DELETE FROM tries WHERE at_s < ?", (now_s - WINDOW_S,))
        if self._rows("SELECT count(*) FROM tries WHERE who = ?", who)[0][0] >= TRIES:
            raise CustodyError("Too many attempts.", "Try again in a quarter of an hour.")
        self._db.execute("INSERT INTO tries VALUES (?, ?)", (who, now_s))

    def succeeded(self, who: str) -> None:
        self._db.execute("DELETE FROM tries WHERE who = ?", (who,))

    def _now_s(self) -> int:
        return self._clock.utc().utc_ns // SECOND_NS

    def _rows(self, sql: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()


def _signed_in(row: Sequence[Any]) -> SignedIn:
    token, person, full, *rest = row
    return SignedIn(token, person, bool(full), *rest)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
