"""Clock, entropy and disk on a real kernel."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from hal import kernel_clock
from hal.ports import UtcReading

OPEN_LIMIT = 8

# What nobody has set may be off by anything: 1970 is more than half a century away.
UNKNOWN_ERROR_NS = 1 << 62
# What the kernel takes a clock to drift at most, MAXFREQ in linux/timex.h.
DRIFT_PPM = 500


class HostClock:
    """The kernel's clocks. How far the wall clock may be off is what the kernel says; where it says
    nothing any more, because the network is away, the error goes on growing as it did."""

    def __init__(self, max_error_ns: Callable[[], int | None] = kernel_clock.max_error_ns) -> None:
        self._max_error_ns = max_error_ns
        self._last: tuple[int, int] | None = None  # when it was said, and what

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def utc(self) -> UtcReading:
        now_ns, error_ns = time.monotonic_ns(), self._max_error_ns()
        if error_ns is not None:
            self._last = (now_ns, error_ns)
        if self._last is None:
            return UtcReading(time.time_ns(), UNKNOWN_ERROR_NS, "none")
        said_ns, error_ns = self._last
        error_ns += (now_ns - said_ns) * DRIFT_PPM // 1_000_000
        return UtcReading(time.time_ns(), error_ns, "ntp")


class HostEntropy:
    def token(self, length: int) -> bytes:
        return os.urandom(length)


class HostVitals:
    """What Linux says of this process and this computer: memory, load."""

    NEEDED: ClassVar[dict[str, str]] = {
        "MemAvailable": "memory_available_kib",
        "CmaFree": "cma_free_kib",
        "VmRSS": "rss_kib",
        "VmHWM": "rss_peak_kib",
    }

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc

    def read(self) -> dict[str, int]:
        found = {}
        for name in ("meminfo", "self/status"):
            with contextlib.suppress(OSError):
                for line in (self._proc / name).read_text().splitlines():
                    word, _, rest = line.partition(":")
                    if word in self.NEEDED:
                        found[self.NEEDED[word]] = int(rest.split()[0])
        with contextlib.suppress(OSError):
            found["load_permille"] = round(1000 * os.getloadavg()[0])
        return found


# File systems that forget everything at a power loss. An overlay keeps what is written in its upper
# layer, which raspi-config's read-only root puts into memory.
VOLATILE = ("tmpfs", "ramfs", "overlay", "aufs")


def filesystem(path: Path, mounts: str | None = None) -> str:
    """The type of the file system that holds `path`; "" if unknown. `mounts` is the content of
    /proc/self/mountinfo (proc(5))."""
    try:
        text = Path("/proc/self/mountinfo").read_text() if mounts is None else mounts
    except OSError:
        return ""
    there, found, longest = str(path.resolve()), "", -1
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        # The kernel writes blanks, tabs and backslashes of a path as octal escapes.
        point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[4])
        inside = point in ("/", there) or there.startswith(f"{point}/")
        if inside and len(point) >= longest:  # a later mount hides an earlier one
            found, longest = right.split()[0], len(point)
    return found


class InUseError(OSError):
    """Another process holds the folder; `pid` is 0 if it is not known."""

    def __init__(self, path: Path, pid: int) -> None:
        super().__init__(errno.EBUSY, "in use", str(path))
        self.pid = pid


def lock_folder(folder: Path) -> int:
    """An exclusive lock (flock(2)) on a folder, held until the descriptor returned is closed or the
    process ends. Leaves no file behind. Raises `InUseError`, or `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        inode = os.fstat(descriptor).st_ino
        os.close(descriptor)
        raise InUseError(folder, _lock_holder(inode)) from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _lock_holder(inode: int) -> int:
    """Who holds a lock, by /proc/locks; 0 if it does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):
                return int(words[4])
    return 0


# Linux takes 1,024 buffers at once (IOV_MAX, writev(2)).
WRITTEN_TOGETHER = 1024


class HostDisk:
    """A directory. Files being written stay open; `close` lets them go."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[str, int] = {}
        self._turn = threading.RLock()  # of the table: several lanes write
        root.mkdir(parents=True, exist_ok=True)

    def create(self, path: str) -> None:
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._keep(path, os.open(target, flags, 0o640))

    def append(self, path: str, *blocks: bytes) -> None:
        with self._turn:
            file = self._file(path)
            for at in range(0, len(blocks), WRITTEN_TOGETHER):
                together = blocks[at : at + WRITTEN_TOGETHER]
                written = os.writev(file, together)
                if written < sum(map(len, together)):
                    self._append_rest(file, memoryview(b"".join(together))[written:])

    @staticmethod
    def _append_rest(file: int, rest: memoryview) -> None:
        """The kernel may take a part only, where the disk is nearly full, say."""
        while rest:
            rest = rest[os.write(file, rest) :]

    def sync(self, path: str) -> None:
        if path in self._files or (self._root / path).is_file():
            with self._turn:
                file = os.dup(self._file(path))
            try:
                os.fdatasync(file)
            finally:
                os.close(file)
            return
        directory = os.open(self._root / path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def rename(self, path: str, to: str) -> None:
        os.rename(self._root / path, self._root / to)
        self._let_go(path)

    def remove(self, path: str) -> None:
        os.unlink(self._root / path)
        self._let_go(path)

    def names(self, directory: str) -> list[str]:
        try:
            return sorted(e.name for e in os.scandir(self._root / directory) if e.is_file())
        except FileNotFoundError:
            return []

    def size(self, path: str) -> int:
        return os.stat(self._root / path).st_size

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        with open(self._root / path, "rb") as file:
            file.seek(offset)
            return file.read(-1 if length is None else length)

    def free_bytes(self) -> int:
        return shutil.disk_usage(self._root).free

    def total_bytes(self) -> int:
        return shutil.disk_usage(self._root).total

    def free_files(self) -> int | None:
        """Free inodes (statvfs(3)); btrfs and the like say 0 of 0, and have no limit."""
        told = os.statvfs(self._root)
        return told.f_favail if told.f_files else None

    def __enter__(self) -> HostDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for path in list(self._files):
            self._let_go(path)

    def _file(self, path: str) -> int:
        if path not in self._files:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
            self._keep(path, os.open(self._root / path, flags))
        return self._files[path]

    def _keep(self, path: str, file: int) -> None:
        """Few files are written at a time; those that were given up must not pile up."""
        self._files[path] = file
        while len(self._files) > OPEN_LIMIT:
            self._let_go(next(iter(self._files)))

    def _let_go(self, path: str) -> None:
        file = self._files.pop(path, None)
        if file is not None:
            with contextlib.suppress(OSError):  # the bytes were synced or given up before
                os.close(file)
