"""An object of one store as the body of another."""

from __future__ import annotations

from collections.abc import Iterator

from hal.ports import EvidenceStore, Stored


class CopiedBody:
    """Read in order, a block in memory at a time."""

    def __init__(self, store: EvidenceStore, stored: Stored, sha256: str) -> None:
        self._store, self._stored = store, stored
        self.length, self.sha256 = stored.length, sha256
        self._blocks: Iterator[bytes] = iter(())
        self._rest, self._at = b"", -1

    def read(self, offset: int, length: int) -> bytes:
        if offset != self._at:
            self._blocks, self._rest, self._at = self._store.blocks(self._stored), b"", 0
            while self._at < offset:
                self._take(min(1 << 20, offset - self._at))
        return self._take(length)

    def _take(self, length: int) -> bytes:
        while len(self._rest) < length and (block := next(self._blocks, b"")):
            self._rest += block
        data, self._rest = self._rest[:length], self._rest[length:]
        self._at += len(data)
        return data
