"""Tiles of a log's tree as files (https://c2sp.org/tlog-tiles)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

TILE_HEIGHT, TILE_WIDTH = 8, 256


class Tile(NamedTuple):
    """The hashes `position * 256` to `position * 256 + width` of tree level `8 * level`."""

    level: int
    position: int
    width: int

    @property
    def path(self) -> str:
        return f"tile/{self.level}/{_index(self.position)}{_partial(self.width)}"


def entries_path(position: int, width: int) -> str:
    """Where the entries below a tile of level 0 stand."""
    return f"tile/entries/{_index(position)}{_partial(width)}"


def new_tiles(old: int, size: int) -> Iterator[Tile]:
    """The tiles of the tree of `size` that the tree of `old` did not have, from below; of the last
    of each level only what is not full."""
    level = 0
    while size >> (TILE_HEIGHT * level):
        had = old >> (TILE_HEIGHT * level)
        has = size >> (TILE_HEIGHT * level)
        for position in range(had // TILE_WIDTH, -(-has // TILE_WIDTH)):
            width = min(TILE_WIDTH, has - position * TILE_WIDTH)
            if position * TILE_WIDTH + width > had:
                yield Tile(level, position, width)
        level += 1


def bundle(entries: list[bytes]) -> bytes:
    """Log entries with their lengths in two bytes each."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def _index(position: int) -> str:
    groups = [f"{position % 1000:03d}"]
    while position := position // 1000:
        groups.insert(0, f"x{position % 1000:03d}")
    return "/".join(groups)


def _partial(width: int) -> str:
    return "" if width == TILE_WIDTH else f".p/{width}"
