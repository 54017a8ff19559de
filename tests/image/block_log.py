"""A log of every write to a card (QEMU's blklogwrites, in the form of the kernel's dm-log-writes),
and the cards that a power cut could leave: up to any write, what was not flushed whole, in part, or
not at all.

Judged from outside, with nothing of the product: which slot the boot choice names, and whether that
slot is, byte for byte, one of the two systems.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SECTOR, BLOCK = 512, 4096
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4
# Tables, root folder and the only file of the partition that says what starts.
CHOICE_BYTES = 1 << 20
Flags = npt.NDArray[np.bool_]


class Write(NamedTuple):
    """`at` is where in the log its data stands."""

    offset: int
    length: int
    flags: int
    at: int


def writes(log: Path) -> Iterator[Write]:
    """Documentation/admin-guide/device-mapper/log-writes.rst: a super block, then an entry of a
    sector for each write, in front of its data."""
    with log.open("rb") as file:
        magic, version, count, size = struct.unpack("<QQQI", file.read(28))
        assert (magic, version, size) == (MAGIC, 1, SECTOR), "not a log of writes"
        at = SECTOR
        for _ in range(count):
            file.seek(at)
            sector, sectors, flags, _ = struct.unpack("<QQQQ", file.read(32))
            at += SECTOR
            length = sectors * SECTOR
            yield Write(sector * SECTOR, length, flags, at)
            if not flags & DISCARD:
                at += length


class Slot:
    """Which blocks of a partition differ from a system as it was made."""

    def __init__(self, start: int, system: Path, now: Path | None = None) -> None:
        self.start, self.length = start, system.stat().st_size
        self._system = np.memmap(system, np.uint8, "r").reshape(-1, BLOCK)
        self.wrong: Flags = np.zeros(len(self._system), bool)
        if now is not None:
            card = np.memmap(now, np.uint8, "r", start, (self.length,)).reshape(-1, BLOCK)
            for at in range(0, len(card), 4096):
                span = slice(at, at + 4096)
                self.wrong[span] = (card[span] != self._system[span]).any(axis=1)

    def compared(self, offset: int, data: bytes) -> tuple[int, Flags] | None:
        """What a write makes of its blocks; None where it is elsewhere. What covers a block only
        in part is taken for wrong: systems are written in whole blocks."""
        first, end = max(offset, self.start), min(offset + len(data), self.start + self.length)
        if first >= end:
            return None
        low, high = (first - self.start) // BLOCK, -(-(end - self.start) // BLOCK)
        whole = first == self.start + low * BLOCK and end == self.start + high * BLOCK
        if not whole:
            return low, np.ones(high - low, bool)
        view = np.frombuffer(data, np.uint8)[first - offset : end - offset].reshape(-1, BLOCK)
        return low, (view != self._system[low:high]).any(axis=1)


class Held(NamedTuple):
    """A write, as the judge keeps it: what it does to each slot, and its bytes where they belong
    to the boot choice."""

    slots: tuple[tuple[int, Flags] | None, ...]
    choice: tuple[int, bytes] | None
    length: int


class Card:
    """A card's boot choice and slots, as writes change them."""

    def __init__(self, image: Path, starts: list[int], old: Path, new: Path) -> None:
        """`starts`: of the partitions choice, A, B."""
        self._choice_at, self._choice_end = starts[0], starts[0] + CHOICE_BYTES
        with image.open("rb") as file:
            file.seek(starts[0])
            self.choice = bytearray(file.read(CHOICE_BYTES))
        self.slots = [Slot(starts[1], old, image), Slot(starts[2], new, image)]
        self.end = starts[2] + self.slots[1].length
        assert not self.slots[0].wrong.any(), "the card begins with the old system"

    def held(self, write: Write, data: bytes) -> Held | None:
        """None for what belongs to footage."""
        slots = tuple(slot.compared(write.offset, data) for slot in self.slots)
        first = max(write.offset, self._choice_at)
        end = min(write.offset + len(data), self._choice_end)
        part = None
        if first < end:
            piece = data[first - write.offset : end - write.offset]
            part = (first - self._choice_at, piece)
        if part is None and not any(item is not None for item in slots):
            return None
        return Held(slots, part, len(data))

    def apply(self, held: Held, sectors: int | None = None) -> None:
        """The write; or only its first so many sectors."""
        for slot, change in zip(self.slots, held.slots, strict=True):
            if change is not None:
                low, flags = change
                if sectors is not None:  # a write that is torn leaves a slot that is not whole
                    flags = flags.copy()
                    flags[sectors * SECTOR // BLOCK :] = True
                slot.wrong[low : low + len(flags)] = flags
        if held.choice is not None:
            at, piece = held.choice
            piece = piece if sectors is None else piece[: sectors * SECTOR]
            self.choice[at : at + len(piece)] = piece

    def save(self) -> tuple[list[Flags], bytes]:
        return [slot.wrong.copy() for slot in self.slots], bytes(self.choice)

    def restore(self, saved: tuple[list[Flags], bytes]) -> None:
        for slot, wrong in zip(self.slots, saved[0], strict=True):
            slot.wrong[:] = wrong
        self.choice[:] = saved[1]

    def verdict(self) -> str:
        """ "A" or "B", whole; or what is wrong."""
        try:
            starts = starting_partition(bytes(self.choice))
        except ValueError as error:
            return f"no choice: {error}"
        slot = self.slots[starts - 2]
        if slot.wrong.any():
            return f"slot {starts} starts, and {int(slot.wrong.sum())} of its blocks are wrong"
        return "AB"[starts - 2]


def starting_partition(fat: bytes) -> int:
    """As a board's firmware reads it: FAT32, a file of the root folder, its first section."""
    text = fat_file(fat, b"AUTOBOOTTXT").decode("ascii")
    section, found = "", 0
    for line in text.split("\n"):
        if line.startswith("["):
            section = line
        name, _, value = line.partition("=")
        if name == "boot_partition" and section == "[all]":
            found = int(value)
    if found not in (2, 3):
        raise ValueError(f"it names partition {found}")
    return found


def fat_file(fat: bytes, wanted: bytes) -> bytes:
    """A file of the root folder (Microsoft, FAT specification 1.03)."""
    (cluster_sectors, reserved, tables) = struct.unpack_from("<BHB", fat, 13)
    (table_sectors,) = struct.unpack_from("<I", fat, 36)
    (root,) = struct.unpack_from("<I", fat, 44)
    size = cluster_sectors * SECTOR
    begin = (reserved + tables * table_sectors) * SECTOR

    def chain(cluster: int) -> bytes:
        found = []
        while 2 <= cluster < 0x0FFFFFF8 and len(found) < 1000:
            at = begin + (cluster - 2) * size
            found.append(fat[at : at + size])
            (cluster,) = struct.unpack_from("<I", fat, reserved * SECTOR + 4 * cluster)
            cluster &= 0x0FFFFFFF
        return b"".join(found)

    folder = chain(root)
    for at in range(0, len(folder), 32):
        entry = folder[at : at + 32]
        if entry[:11] == wanted and not entry[11] & 0x08:
            high, low, length = struct.unpack("<H4xHI", entry[20:32])
            return chain(high << 16 | low)[:length]
    raise ValueError("there is no autoboot.txt")


def undecided(entries: list[Write], end: int) -> int:
    """Behind how many writes something in front of `end` is not flushed yet."""
    waits = found = 0
    for write in entries:
        waits = 0 if write.flags & FLUSH else waits
        waits += bool(write.length and not write.flags & DISCARD and write.offset < end)
        found += bool(waits)
    return found


def replay(card: Card, log: Path, draws: random.Random, images: int) -> Iterator[tuple[int, str]]:
    """Number of the write and verdict, of `images` cards that a power cut could leave. At every
    write boundary one card holds all up to there; the others lack some of what was not flushed,
    or hold a part of one write. Afterwards the card holds everything."""
    entries = list(writes(log))
    extra = -(-images // max(1, undecided(entries, card.end)))
    pending: list[Held] = []
    with log.open("rb") as file:
        durable = card.save()
        for number, write in enumerate(entries):
            if write.flags & FLUSH:
                durable, pending = card.save(), []
            if write.length and not write.flags & DISCARD:
                file.seek(write.at)
                held = card.held(write, file.read(write.length))
                if held is not None:
                    card.apply(held)
                    pending.append(held)
            yield number, card.verdict()
            whole = card.save()
            for _ in range(extra if pending else 0):
                card.restore(durable)
                torn = draws.randrange(len(pending))
                for at, held in enumerate(pending):
                    if at == torn:
                        card.apply(held, draws.randrange(held.length // SECTOR + 1))
                    elif draws.random() < 0.5:
                        card.apply(held)
                yield number, card.verdict()
            card.restore(whole)
            if write.flags & FUA and pending:  # this one is durable, those before it are not
                forced = pending.pop()
                card.restore(durable)
                card.apply(forced)
                durable = card.save()
                card.restore(whole)
