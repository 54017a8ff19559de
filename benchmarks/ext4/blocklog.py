"""Reads what QEMU's `blklogwrites` wrote, and puts any prefix of it onto an image.

The format is that of Linux' dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst):
a superblock of one sector, then per entry a sector that describes it, and its data.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

MAGIC = 0x6A736677736872
FLUSH, DISCARD, MARK = 1, 4, 8
SECTOR = 512


class Entry(NamedTuple):
    """A write, flush or discard: sectors on the device, and where its data stands in the log."""

    sector: int
    count: int
    flags: int
    position: int

    @property
    def flush(self) -> bool:
        return bool(self.flags & FLUSH)


def entry_count(log: Path) -> int:
    """How many entries there are now, also while the log is being written."""
    with log.open("rb") as file:
        return int(struct.unpack("<QQQI", file.read(28))[2])


def read_entries(log: Path) -> list[Entry]:
    with log.open("rb") as file:
        magic, _, count, size = struct.unpack("<QQQI", file.read(28))
        if magic != MAGIC or size != SECTOR:
            raise ValueError(f"{log} is no log of block writes")
        position, entries = size, []
        for _ in range(count):
            file.seek(position)
            sector, sectors, flags, _ = struct.unpack("<QQQQ", file.read(32))
            position += size
            entries.append(Entry(sector, sectors, flags, position))
            if not flags & (DISCARD | MARK):
                position += sectors * size
    return entries


class Replay:
    """An image that grows entry by entry; each cut is a copy of it with more, or less, on top."""

    def __init__(self, log: Path, base: Path, atomic: Sequence[int]) -> None:
        """`atomic` are sectors that a disk writes at once: ext4 counts on that for its superblock
        and its journal's."""
        self._log, self._entries, self._atomic = log.open("rb"), read_entries(log), set(atomic)
        self._image = bytearray(base.read_bytes())
        self._applied = 0

    def __len__(self) -> int:
        return len(self._entries)

    def close(self) -> None:
        self._log.close()

    def cut(self, number: int, draws: random.Random, out: Path, tear: str) -> None:
        """The disk after a cut behind `number` entries. Everything up to the last flush is there;
        of what follows: `all`, a random `subset`, or all with the last one `torn`."""
        flushed = max((i + 1 for i in range(number) if self._entries[i].flush), default=0)
        if flushed < self._applied:
            raise ValueError("cuts come in rising order")
        for entry in self._entries[self._applied : flushed]:
            self._apply(self._image, entry)
        self._applied = flushed
        image, rest = bytearray(self._image), self._entries[flushed:number]
        for at, entry in enumerate(rest):
            if tear == "subset" and draws.random() < 0.5:
                continue
            last = tear == "torn" and at == len(rest) - 1
            self._apply(image, entry, draws if last else None)
        out.write_bytes(image)

    def same_as(self, image: Path) -> bool:
        """Whether replaying everything gives the disk as it was in the end."""
        whole = bytearray(self._image)
        for entry in self._entries[self._applied :]:
            self._apply(whole, entry)
        return bytes(whole) == image.read_bytes()

    def _apply(self, image: bytearray, entry: Entry, tear: random.Random | None = None) -> None:
        if entry.flags & MARK or not entry.count:
            return
        length = entry.count * SECTOR
        data = bytes(length)
        if not entry.flags & DISCARD:
            data = os.pread(self._log.fileno(), length, entry.position).ljust(length, b"\0")
        sectors: Iterable[int] = range(entry.count)
        torn = tear is not None and not self._atomic & set(
            range(entry.sector, entry.sector + entry.count)
        )
        if torn and tear is not None:
            sectors = [s for s in sectors if tear.random() < 0.5]
        for sector in sectors:
            start = (entry.sector + sector) * SECTOR
            image[start : start + SECTOR] = data[sector * SECTOR : (sector + 1) * SECTOR]
