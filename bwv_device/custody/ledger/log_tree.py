"""The Merkle tree over custody's lines, in the index (docs/format.md, 8.3).

Leaves are the lines' digests. Of the nodes above only every eighth level is kept, as tiles have it:
what lies between is hashed anew, 127 hashes at most.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from bwv_device.verification.tlog import merkle_tree
from bwv_device.verification.tlog.merkle_tree import leaf_hash, node_hash
from bwv_device.verification.tlog.tiles import TILE_HEIGHT, TILE_WIDTH


class LogTree:
    """Read and grown within the index's own transactions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @property
    def size(self) -> int:
        """How many leaves: one for each number up to the last line."""
        row = self._db.execute("SELECT max(n) AS n FROM lines").fetchone()
        return int(row["n"] or 0)

    def root(self, size: int) -> bytes:
        """Of the first `size` lines. Raises `ValueError` beyond the last."""
        if not 0 <= size <= self.size:
            raise ValueError(f"there are no {size} lines")
        return merkle_tree.root(size, self.node)

    def inclusion(self, number: int, size: int) -> list[bytes]:
        """That line `number` is in the tree of `size`."""
        return merkle_tree.inclusion_proof(number - 1, size, self.node)

    def consistency(self, old: int, new: int) -> list[bytes]:
        return merkle_tree.consistency_proof(old, new, self.node)

    def entries(self, position: int, width: int) -> list[bytes]:
        """The log's entries below a tile of level 0: digests of lines."""
        first = position * TILE_WIDTH
        return [bytes.fromhex(digest) for digest in self._digests(first, width)]

    def hashes(self, level: int, position: int, width: int) -> bytes:
        """A tile's bytes."""
        first = position * TILE_WIDTH
        return b"".join(self._row(level * TILE_HEIGHT, first, width))

    def node(self, level: int, position: int) -> bytes:
        """The hash of a full subtree."""
        kept = level - level % TILE_HEIGHT
        below = 1 << (level - kept)
        return _fold(self._row(kept, position * below, below))

    def grow(self) -> None:
        """Keeps the nodes that the newest lines made full."""
        level, full = TILE_HEIGHT, self.size >> TILE_HEIGHT
        while full:
            known = "SELECT count(*) AS n FROM tree WHERE level = ?"
            for position in range(self._db.execute(known, (level,)).fetchone()["n"], full):
                row = self._row(level - TILE_HEIGHT, position * TILE_WIDTH, TILE_WIDTH)
                values = (level, position, _fold(row))
                self._db.execute("INSERT INTO tree VALUES (?, ?, ?)", values)
            level, full = level + TILE_HEIGHT, full >> TILE_HEIGHT

    def _row(self, level: int, first: int, width: int) -> list[bytes]:
        """Nodes of a level that is kept."""
        if level == 0:
            return [leaf_hash(bytes.fromhex(digest)) for digest in self._digests(first, width)]
        rows = self._db.execute(
            "SELECT hash FROM tree WHERE level = ? AND position >= ? AND position < ? "
            "ORDER BY position", (level, first, first + width)
        ).fetchall()  # fmt: skip
        return [row["hash"] for row in rows]

    def _digests(self, first: int, width: int) -> list[str]:
        rows = self._db.execute(
            "SELECT digest FROM lines WHERE n > ? AND n <= ? ORDER BY n", (first, first + width)
        ).fetchall()
        return [row["digest"] for row in rows]


def _fold(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of nodes."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(*row[at : at + 2]) for at in range(0, len(row), 2)]
    return row[0]
