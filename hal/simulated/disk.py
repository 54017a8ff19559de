"""A disk in memory that can lose power, fail, stall, lie and rot.

What was not synced may survive a cut wholly, partly, as zeros, or not at all; names that were not
synced may be there or not. Every operation is numbered, so that a fault can hit any one of them. An
operation that takes time and is under way when the power goes has not happened yet.
"""

from __future__ import annotations

import enum
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from hal.simulated.inode import Bytes, Draw, Inode

__all__ = ["TEARS", "Bytes", "Fault", "Names", "Operation", "PowerCut", "SimulatedDisk", "Tear"]


class PowerCut(BaseException):
    """Power is gone: no handler of the agent may catch this."""


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


class Fault(NamedTuple):
    """Fails operation `number` (counted from 0) with `error`; for ever, or `times` times. `short`
    lets an append write a part first."""

    number: int
    error: int
    times: int = 1
    short: bool = False


class _Underway(NamedTuple):
    """An operation that takes time: what takes it back if the power goes before `end_ns`."""

    verb: str
    start_ns: int
    end_ns: int
    take_back: Callable[[], None]


class SimulatedDisk:
    """The agent's face: `hal.ports.Disk`. The world's: faults, `cut`, `operations`, `dump`."""

    def __init__(
        self, capacity_bytes: int = 1 << 40, inode: Callable[[str], Inode] = lambda path: Inode()
    ) -> None:
        """`inode` makes a new file's content by its path."""
        self.capacity_bytes, self._new_inode = capacity_bytes, inode
        self.operations: list[Operation] = []
        self.cut_before: int | None = None
        self.cut_during: int | None = None
        self._cut_in_verb = ""
        self.faults: list[Fault] = []
        self.refuse: Callable[[Operation], int] = lambda operation: 0  # an errno, or 0
        self.refusals: list[Callable[[Operation], int]] = []  # the same, any number of them
        self.file_limit: int | None = None
        self.lies = False
        self.latency_ns: Callable[[Operation], int] = lambda operation: 0
        self.now_ns: Callable[[], int] = lambda: 0
        self.observe: Callable[[Operation, bytes], None] = lambda operation, data: None
        self.busy_ns = self._latency_ns = 0
        self._count = 0
        self._used = 0
        self._live: dict[str, Inode] = {}
        self._durable: dict[str, Inode] = {}
        self._folders: dict[str, bool] = {"": True}  # durable or not
        self._underway: list[_Underway] = []

    # --- the agent's face ---------------------------------------------------------------------

    def create(self, path: str) -> None:
        self._operation("create", path)
        if path in self._live:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        if self.free_files() == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        self._folders.setdefault(_folder(path), False)
        self._name(self._new_inode(path), path)
        self._begun("create", lambda: self._rename_back(path, None))

    def append(self, path: str, *blocks: bytes) -> None:
        inode, data = self._inode(path), b"".join(blocks)
        torn = self._operation("append", path, data)
        room = max(0, self.capacity_bytes - self._used)
        if torn or len(data) > room:
            self._grow(inode, data[: len(data) // 2 if torn else room])
            if torn:
                raise PowerCut
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        length = inode.length
        self._grow(inode, data)
        self._begun("append", lambda: self._shorten(inode, length))

    def sync(self, path: str) -> None:
        self._operation("sync", path)
        if self.lies:
            return
        if path in self._live:
            inode = self._live[path]
            before, inode.synced = inode.synced, inode.length
            self._begun("sync", lambda: setattr(inode, "synced", before))
            return
        if path not in self._folders:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        self._sync_names(path)

    def rename(self, path: str, to: str) -> None:
        inode = self._inode(path)
        self._operation("rename", path)
        del self._live[path]
        self._name(inode, to)
        self._begun("rename", lambda: self._rename_back(to, path))

    def remove(self, path: str) -> None:
        inode = self._inode(path)
        self._operation("remove", path)
        self._used -= inode.length
        inode.names.append(None)
        del self._live[path]
        self._begun("remove", lambda: self._remove_back(path, inode))

    def names(self, directory: str) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self._in(self._live, directory))

    def size(self, path: str) -> int:
        return self._inode(path).length

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        inode = self._inode(path)
        return inode.read(offset, inode.length - offset if length is None else length)

    def free_bytes(self) -> int:
        return max(0, self.capacity_bytes - self._used)

    def total_bytes(self) -> int:
        return self.capacity_bytes

    def free_files(self) -> int | None:
        return None if self.file_limit is None else max(0, self.file_limit - len(self._live))

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
        self._stop()
        for inode in self._inodes():
            inode.cut(tear.data)
        index = -1 if tear.names is Names.WITH else 0
        if tear.names is Names.WITH:
            self._folders = dict.fromkeys(self._folders, True)
        self._settle([(inode, inode.names[index]) for inode in self._inodes()])

    def cut_anyhow(self, draw: Draw) -> None:
        """Power goes now: every file and every name has a fate of its own, of all legal ones."""
        self._stop()
        for inode in self._inodes():
            inode.cut_anyhow(draw)
        for folder, durable in self._folders.items():
            self._folders[folder] = durable or draw(2) == 1
        self._settle([(inode, inode.names[draw(len(inode.names))]) for inode in self._inodes()])

    def erase(self, path: str, offset: int, length: int) -> None:
        """A block that was synced reads as zeros from now on."""
        inode = self._inode(path)
        inode.overwrite(offset, bytes(max(0, min(length, inode.length - offset))))

    def put(self, path: str, inode: Inode) -> None:
        """A file that was there before, wholly durable."""
        inode.names, inode.synced = [path], inode.length
        self._live[path] = self._durable[path] = inode
        self._folders[_folder(path)] = True
        self._used += inode.length

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Every file with its content, sorted by path."""
        for path in sorted(self._live):
            yield path, self.read(path)

    def lengths(self) -> dict[str, int]:
        """Of every file, without reading."""
        return {path: inode.length for path, inode in self._live.items()}

    def durable_files(self) -> Iterator[tuple[str, bytes]]:
        """What a cut can't take: synced bytes under synced names."""
        for path in sorted(self._durable):
            if self._folders[_folder(path)]:
                inode = self._durable[path]
                yield path, inode.read(0, inode.synced)

    def durable_lengths(self) -> dict[str, int]:
        """The same, without reading."""
        return {path: inode.synced for path, inode in self._durable.items()}

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

    def _operation(self, verb: str, path: str, data: bytes = b"") -> bool:
        """Counts; lets a planned fault happen. True where the power goes within this operation."""
        operation = Operation(self._count, verb, path, len(data))
        self._count += 1
        if operation.number == self.cut_before:
            raise PowerCut
        for fault in self.faults:
            if fault.number <= operation.number < fault.number + fault.times:
                if fault.short and verb == "append":
                    self._grow(self._live[path], data[: len(data) // 3])
                raise OSError(fault.error, os.strerror(fault.error), path)
        for refuse in (self.refuse, *self.refusals):
            if error := refuse(operation):
                raise OSError(error, os.strerror(error), path)
        self.operations.append(operation)
        self.observe(operation, data)
        during = operation.number == self.cut_during or verb == self._cut_in_verb
        if during and verb != "append":
            raise PowerCut
        self._latency_ns = self.latency_ns(operation)
        self.busy_ns += self._latency_ns
        return during

    def _begun(self, verb: str, take_back: Callable[[], None]) -> None:
        """Remembers how to take an operation back that has not come to its end."""
        if not self._latency_ns:
            return
        now_ns = self.now_ns()
        self._underway = [item for item in self._underway if item.end_ns > now_ns]
        end_ns = now_ns + self.busy_ns
        self._underway.append(_Underway(verb, end_ns - self._latency_ns, end_ns, take_back))

    def _stop(self) -> None:
        """Takes back what has not begun, and syncs that have not come to their end."""
        now_ns = self.now_ns()
        for item in reversed(self._underway):
            if item.start_ns >= now_ns or (item.verb == "sync" and item.end_ns > now_ns):
                item.take_back()
        self._underway.clear()

    def _settle(self, named: list[tuple[Inode, str | None]]) -> None:
        """After a cut: what is there is durable."""
        self._live = {}
        for inode, path in named:
            if path is not None and self._folders[_folder(path)]:
                inode.names = [path]
                self._live[path] = inode
        self._durable = dict(self._live)
        self._folders = {folder: True for folder, there in self._folders.items() if there}
        self._used = sum(inode.length for inode in self._live.values())
        self.cut_before = self.cut_during = None
        self._cut_in_verb = ""
        self.faults.clear()
        self.busy_ns = self._latency_ns = 0

    def _inodes(self) -> list[Inode]:
        """Every file that a cut has to decide about."""
        return list({id(i): i for i in (*self._durable.values(), *self._live.values())}.values())

    def _inode(self, path: str) -> Inode:
        if path not in self._live:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self._live[path]

    def _name(self, inode: Inode, path: str) -> None:
        self._live[path] = inode
        inode.names.append(path)

    def _rename_back(self, path: str, before: str | None) -> None:
        inode = self._live.pop(path)
        inode.names.pop()
        if before is not None:
            self._live[before] = inode

    def _remove_back(self, path: str, inode: Inode) -> None:
        inode.names.pop()
        self._live[path] = inode
        self._used += inode.length

    def _grow(self, inode: Inode, data: bytes) -> None:
        inode.append(data)
        self._used += len(data)

    def _shorten(self, inode: Inode, length: int) -> None:
        self._used -= inode.length - length
        inode.shorten(length)

    def _sync_names(self, directory: str) -> None:
        durable, folders = dict(self._durable), dict(self._folders)
        histories = [(inode, list(inode.names)) for inode in self._inodes()]
        for path in self._in(self._durable, directory):
            if path not in self._live:
                self._durable.pop(path).names[:-1] = []
        for path in self._in(self._live, directory):
            self._durable[path] = self._live[path]
            self._live[path].names = [path]
        if not directory:
            self._folders = dict.fromkeys(self._folders, True)
        self._begun("sync", lambda: self._unsync_names(durable, folders, histories))

    def _unsync_names(
        self,
        durable: dict[str, Inode],
        folders: dict[str, bool],
        histories: list[tuple[Inode, list[str | None]]],
    ) -> None:
        self._durable, self._folders = durable, folders
        for inode, names in histories:
            inode.names = names

    @staticmethod
    def _in(table: dict[str, Inode], directory: str) -> list[str]:
        return [path for path in table if _folder(path) == directory]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
