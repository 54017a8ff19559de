"""The content of one simulated file: synced bytes, unsynced bytes, and what a power cut leaves."""

from __future__ import annotations

import enum
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import IO

SPOOL_BYTES = 4 << 20
PAGE_BYTES = 4096

# A whole number from 0 up to, without, the given one.
Draw = Callable[[int], int]


class Bytes(enum.Enum):
    """What a cut leaves of bytes that were not synced."""

    NONE = "none"
    PART = "part"
    ALL = "all"
    ZEROS = "zeros"


@dataclass(slots=True)
class Inode:
    """Content spills to a real temporary file, so that long shifts need little memory.

    `names` are the paths it has had since its name was last durable, that one first; None is no
    name at all.
    """

    content: IO[bytes] = field(default_factory=partial(tempfile.SpooledTemporaryFile, SPOOL_BYTES))
    length: int = 0
    synced: int = 0
    names: list[str | None] = field(default_factory=lambda: [None])

    def append(self, data: bytes) -> None:
        self.content.seek(self.length)
        self.content.write(data)
        self.length += len(data)

    def read(self, offset: int, length: int) -> bytes:
        self.content.seek(offset)
        return self.content.read(length)

    def shorten(self, length: int) -> None:
        self.content.truncate(length)
        self.length = length
        self.synced = min(self.synced, length)

    def cut(self, tear: Bytes) -> None:
        """The same fate for every byte that was not synced."""
        unsynced = self.length - self.synced
        keep = {Bytes.NONE: 0, Bytes.PART: (unsynced + 1) // 2}.get(tear, unsynced)
        if tear is Bytes.ZEROS:
            self.overwrite(self.synced, bytes(unsynced))
        self.shorten(self.synced + keep)
        self.synced = self.length

    def cut_anyhow(self, draw: Draw) -> None:
        """Any fate that a page cache allows: a length in between, and pages that never came."""
        unsynced = self.length - self.synced
        if unsynced:
            self.shorten(self.synced + draw(unsynced + 1))
        for page in range(self.synced // PAGE_BYTES, -(-self.length // PAGE_BYTES)):
            start = max(self.synced, page * PAGE_BYTES)
            end = min(self.length, (page + 1) * PAGE_BYTES)
            if draw(4) == 0:
                self.overwrite(start, bytes(end - start))
        self.synced = self.length

    def overwrite(self, offset: int, data: bytes) -> None:
        self.content.seek(offset)
        self.content.write(data)
