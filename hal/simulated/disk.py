"""A disk in memory that can lose power.

What was not synced may survive a cut wholly, partly, as zeros, or not at all; names that were not
synced may be there or not. Every operation is numbered, so that a fault can hit any one of them.
"""

from __future__ import annotations

import enum
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

SPOOL_BYTES = 4 << 20


class PowerCut(BaseException):
    """Power is gone: no handler of the agent may catch this."""


class Bytes(enum.Enum):
    """What a cut leaves of bytes that were not synced."""

    NONE = "none"
    PART = "part"
    ALL = "all"
    ZEROS = "zeros"


class Names(enum.Enum):
    """What a cut leaves of directory changes that were not synced."""

    WITHOUT = "without"
    WITH = "with"


class Tear(NamedTuple):
    data: Bytes
    names: Names


TEARS = tuple(Tear(data, names) for data in Bytes for names in Names)


class Operation(NamedTuple):
    """One change, as the disk saw it."""

    number: int
    verb: str
    path: str
    length: int


@dataclass(slots=True)
class _Inode:
    """Content spills to a real temporary file, so that long shifts need little memory."""

    content: IO[bytes] = field(default_factory=partial(tempfile.SpooledTemporaryFile, SPOOL_BYTES))
    length: int = 0
    synced: int = 0

    def append(self, data: bytes) -> None:
        self.content.seek(self.length)
        self.content.write(data)
        self.length += len(data)

    def read(self, offset: int, length: int) -> bytes:
        self.content.seek(offset)
        return self.content.read(length)

    def cut(self, tear: Bytes) -> None:
        unsynced = self.length - self.synced
        keep = {Bytes.NONE: 0, Bytes.PART: (unsynced + 1) // 2}.get(tear, unsynced)
        self.content.truncate(self.synced + keep)
        if tear is Bytes.ZEROS:
            self.content.seek(self.synced)
            self.content.write(bytes(unsynced))
        self.length = self.synced = self.synced + keep


class Fault(NamedTuple):
    """Fails operation `number` (counted from 0) with `error`; for ever, or `times` times."""

    number: int
    error: int
    times: int = 1


class SimulatedDisk:
    """The agent's face: `hal.ports.Disk`. The world's: faults, `cut`, `operations`, `dump`."""

    def __init__(self, capacity_bytes: int = 1 << 40) -> None:
        self.capacity_bytes = capacity_bytes
        self.operations: list[Operation] = []
        self.cut_before: int | None = None
        self.cut_during: int | None = None
        self._cut_in_verb = ""
        self.faults: list[Fault] = []
        self.latency_ns: Callable[[Operation], int] = lambda operation: 0
        self.busy_ns = 0
        self._count = 0
        self._used = 0
        self._live: dict[str, _Inode] = {}
        self._durable: dict[str, _Inode] = {}

    # --- the agent's face ---------------------------------------------------------------------

    def create(self, path: str) -> None:
        self._operation("create", path, 0)
        if path in self._live:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        self._live[path] = _Inode()

    def append(self, path: str, data: bytes) -> None:
        inode = self._inode(path)
        room = max(0, self.capacity_bytes - self._used)
        torn = self._operation("append", path, len(data))
        if torn or len(data) > room:
            inode.append(data[: len(data) // 2 if torn else room])
            self._used += min(len(data), room)
            if torn:
                raise PowerCut
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        inode.append(data)
        self._used += len(data)

    def sync(self, path: str) -> None:
        self._operation("sync", path, 0)
        if path in self._live:
            self._live[path].synced = self._live[path].length
            return
        self._sync_names(path)

    def rename(self, path: str, to: str) -> None:
        self._inode(path)
        self._operation("rename", path, 0)
        self._live[to] = self._live.pop(path)

    def remove(self, path: str) -> None:
        inode = self._inode(path)
        self._operation("remove", path, 0)
        self._used -= inode.length
        del self._live[path]

    def names(self, directory: str) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self._in(self._live, directory))

    def size(self, path: str) -> int:
        return self._inode(path).length

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        inode = self._inode(path)
        return inode.read(offset, inode.length - offset if length is None else length)

    def free_bytes(self) -> int:
        return max(0, self.capacity_bytes - self._used)

    # --- the world's face ---------------------------------------------------------------------

    @property
    def count(self) -> int:
        """How many operations there were; the next has this number."""
        return self._count

    def cut_in_next(self, verb: str) -> None:
        """Power goes within the next operation of this kind."""
        self._cut_in_verb = verb

    def cut(self, tear: Tear) -> None:
        """Power goes now: what was not synced is torn as told."""
        survivors = self._live if tear.names is Names.WITH else self._durable
        for inode in {id(i): i for i in (*self._live.values(), *self._durable.values())}.values():
            inode.cut(tear.data)
        self._live = dict(survivors)
        self._durable = dict(survivors)
        self._used = sum(inode.length for inode in self._live.values())
        self.cut_before = self.cut_during = None
        self._cut_in_verb = ""
        self.faults.clear()

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Every file with its content, sorted by path."""
        for path in sorted(self._live):
            yield path, self.read(path)

    def durable_files(self) -> Iterator[tuple[str, bytes]]:
        """What a cut can't take: synced bytes under synced names."""
        for path in sorted(self._durable):
            inode = self._durable[path]
            yield path, inode.read(0, inode.synced)

    def dump(self, root: Path) -> None:
        """Writes the live content into a real directory."""
        for path, content in self.files():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def take_busy_ns(self) -> int:
        """How long the operations since the last call would have taken."""
        busy, self.busy_ns = self.busy_ns, 0
        return busy

    # --- inside -------------------------------------------------------------------------------

    def _operation(self, verb: str, path: str, length: int) -> bool:
        """Counts; lets a planned fault happen. True where the power goes within this operation."""
        operation = Operation(self._count, verb, path, length)
        self._count += 1
        if operation.number == self.cut_before:
            raise PowerCut
        for fault in self.faults:
            if fault.number <= operation.number < fault.number + fault.times:
                raise OSError(fault.error, os.strerror(fault.error), path)
        self.operations.append(operation)
        self.busy_ns += self.latency_ns(operation)
        during = operation.number == self.cut_during or verb == self._cut_in_verb
        if during and verb != "append":
            raise PowerCut
        return during

    def _inode(self, path: str) -> _Inode:
        if path not in self._live:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self._live[path]

    def _sync_names(self, directory: str) -> None:
        for path in self._in(self._durable, directory):
            if path not in self._live:
                del self._durable[path]
        for path in self._in(self._live, directory):
            self._durable[path] = self._live[path]

    @staticmethod
    def _in(table: dict[str, _Inode], directory: str) -> list[str]:
        return [path for path in table if path.rpartition("/")[0] == directory]
