"""A camera's ledger as it lies in the store: in pieces, as dockings brought them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bwv_device.custody.ledger.index import Index
from bwv_device.formats import store_keys
from bwv_device.formats.grammar.statements import LedgerLength
from bwv_device.formats.ledger_lines import Head, ledger_path
from hal.ports import EvidenceStore

# A boot's ledger: some hundred times that of a ten-hour shift.
LEDGER_LIMIT = 64 << 20


class LedgerPiece(NamedTuple):
    boot: int
    offset: int
    length: int
    key: str


class Pieces:
    """The parts of a camera's ledger in the store: accepted pieces, and those of this
    docking."""

    def __init__(self, index: Index, store: EvidenceStore, device: str, nonce: str) -> None:
        self._store = store
        camera = index.row("SELECT * FROM cameras WHERE device = ?", device)
        self.number = camera["number"] if camera else 0
        # A camera may be issued, or revoked, before it ever docks.
        docked = camera if camera and camera["number"] else None
        self.start = Head(docked["start_number"], docked["start_digest"]) if docked else None
        self.first_boot = camera["boot"] if camera else 0
        rows = index.rows(
            "SELECT * FROM pieces WHERE device = ? AND boot >= ?", device, self.first_boot
        )
        self._old = [LedgerPiece(r["boot"], r["offset"], r["length"], r["key"]) for r in rows]
        self.new = list(self._arrived(device, nonce))
        self.read: list[LedgerPiece] = []

    def _arrived(self, device: str, nonce: str) -> list[LedgerPiece]:
        found = []
        for stored in self._store.entries(store_keys.ledger_pieces(device, nonce)):
            boot, _, offset = stored.key.rpartition("/")[2].partition("-")
            ours = len(boot) == 8 and len(offset) == 12 and (boot + offset).isascii()
            if ours and (boot + offset).isdigit() and stored.length <= LEDGER_LIMIT:
                found.append(LedgerPiece(int(boot), int(offset), stored.length, stored.key))
        return found

    def lengths(self) -> dict[int, int]:
        """How far each boot's file is covered from its start."""
        covered: dict[int, int] = {}
        for piece in sorted([*self._old, *self.new]):
            if piece.offset <= covered.get(piece.boot, 0):
                end = piece.offset + piece.length
                covered[piece.boot] = max(covered.get(piece.boot, 0), end)
        return covered

    def complete(self, ledgers: Sequence[LedgerLength]) -> bool:
        """Whether everything that the docking names, from the newest known boot on, is here."""
        covered = self.lengths()
        return all(
            covered.get(file.boot, 0) >= file.length
            for file in ledgers
            if file.boot >= self.first_boot
        )

    def write(self, vault: Path, ledgers: Sequence[LedgerLength]) -> None:
        """The ledger files from the newest known boot on, as the camera has them. `read` are the
        new pieces that they are made of: nothing else was looked at."""
        (vault / "ledger").mkdir()
        for boot, length in ((file.boot, file.length) for file in ledgers):
            if boot < self.first_boot:
                continue
            data = bytearray()
            for piece in sorted(p for p in [*self._old, *self.new] if p.boot == boot):
                if piece.offset <= len(data) < min(piece.offset + piece.length, length):
                    content = self._store.read(piece.key, piece.length)
                    data += content[len(data) - piece.offset :]
                    if piece in self.new:
                        self.read.append(piece)
            (vault / ledger_path(boot)).write_bytes(bytes(data[:length]))


def boot_ledger(index: Index, store: EvidenceStore, device: str, boot: int) -> bytes:
    """The ledger file of one boot, as far as accepted dockings brought it; b"" for none."""
    rows = index.rows(
        "SELECT * FROM pieces WHERE device = ? AND boot = ? ORDER BY offset, length", device, boot
    )
    data = bytearray()
    for piece in rows:
        if piece["offset"] <= len(data) < piece["offset"] + piece["length"]:
            data += store.read(piece["key"], piece["length"])[len(data) - piece["offset"] :]
    return bytes(data)
