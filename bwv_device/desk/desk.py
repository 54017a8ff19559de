"""One store as the desk's web process has it: an index of its own, sealed bytes, and no key.

Not safe for threads: who calls it sees to it that one thread does all (SQLite, and the rule that
what is decided is decided on everything that was read).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509

from bwv_device.custody.drafts import DraftingSession, SignedDraft
from bwv_device.custody.key_desk.looking import Desk as KeyDesk
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.ledger import LINE_LIMIT, CustodyLedger
from bwv_device.custody.requests.law import Figures
from bwv_device.custody.retention_dates import Retention
from bwv_device.desk.acts import ACTS
from bwv_device.desk.state import Certified
from bwv_device.errors import CustodyError
from bwv_device.formats import store_keys
from hal.ports import Clock, Entropy, EvidenceStore, Stored

# Lines that are given at once, for a browser that follows the ledger.
LINES_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Agency:
    """What does not change while the desk runs. `key_desk` None: nobody can look at footage."""

    roots: Sequence[x509.Certificate]
    root_pem: str
    retention: Retention
    figures: Figures
    zone: str
    trust_list: str = ""
    key_desk: KeyDesk | None = None


class EvidenceDesk:
    def __init__(
        self,
        store: EvidenceStore,
        clock: Clock,
        entropy: Entropy,
        agency: Agency,
        index_path: Path | None,
    ) -> None:
        self.store, self.agency, self.clock = store, agency, clock
        self._entropy, self._index_path = entropy, index_path

    @cached_property
    def index(self) -> Index:
        """Made by the thread that uses it. Raises `CustodyError`."""
        ledger = CustodyLedger(self.store, self.clock, self._entropy)
        return Index(ledger, self.agency.roots, self._index_path)

    def session(self, person: Certified, given: SignedDraft | None = None) -> DraftingSession:
        """Of somebody who is signed in, with the index as new as the store."""
        session = DraftingSession(
            self.store, self.clock, person.chain.encode("ascii"), self.agency.roots,
            self.agency.retention, self._entropy, self.index, self.agency.trust_list, given,
        )  # fmt: skip
        self.index.catch_up()
        return session

    def act(
        self, person: Certified, name: str, arguments: dict[str, Any], signed: str, body: str
    ) -> int:
        """The number of the line. Raises `SignatureNeededError` with what is to be signed, and
        `CustodyError` where the act is refused."""
        act = ACTS.get(name)
        if act is None:
            raise CustodyError("This is no act as the desk knows it.", "Load the page again.")
        given = SignedDraft.read(signed, body) if signed else None
        session = self.session(person, given)
        before = self.index.head.number
        act.carry_out(session, arguments, self.agency.figures)
        after = self.index.head.number
        if after == before:
            raise CustodyError("Nothing is to be written: it is so already.", "")
        return after

    def lines(self, first: int) -> list[str]:
        """Lines as they lie in the store, from a number on, some at once; "" for what is set
        aside."""
        last = min(self.index.head.number, first + LINES_AT_ONCE - 1)
        return [self._line(number) for number in range(first, last + 1)]

    def _line(self, number: int) -> str:
        row = self.index.row("SELECT digest FROM lines WHERE n = ?", number)
        if row is None:
            return ""
        return self.store.read(store_keys.line(number), LINE_LIMIT).decode("ascii", "replace")

    def sealed(self, device: str, segment: str) -> tuple[int, Iterator[bytes]]:
        """Length and bytes of a file that was received. Raises `CustodyError`, `StoreError`."""
        row = self.index.row(
            "SELECT * FROM files WHERE device = ? AND segment = ? AND status = 'received'",
            device, segment,
        )  # fmt: skip
        if row is None:
            raise CustodyError(f"{segment} is not in the store.", "See the recording's files.")
        stored = Stored(row["key"], row["length"], row["version"])
        return row["length"], self.store.blocks(stored)
