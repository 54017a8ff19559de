"""Clock, entropy and disk on a real kernel."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import ClassVar

from hal.ports import UtcReading

OPEN_LIMIT = 8

# What nobody has set may be off by anything: 1970 is more than half a century away.
UNKNOWN_ERROR_NS = 1 << 62


class HostClock:
    """The kernel's clocks. Whether the wall clock is synchronised is asked of the kernel."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def utc(self) -> UtcReading:
        synchronised = Path("/run/systemd/timesync/synchronized").exists()
        error_ns = 1_000_000_000 if synchronised else UNKNOWN_ERROR_NS
        return UtcReading(time.time_ns(), error_ns, "ntp" if synchronised else "none")


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


class HostDisk:
    """A directory. Files being written stay open; `close` lets them go."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[str, int] = {}
        root.mkdir(parents=True, exist_ok=True)

    def create(self, path: str) -> None:
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._keep(path, os.open(target, flags, 0o640))

    def append(self, path: str, data: bytes) -> None:
        file, view = self._file(path), memoryview(data)
        while view:
            view = view[os.write(file, view) :]

    def sync(self, path: str) -> None:
        if path in self._files or (self._root / path).is_file():
            os.fdatasync(self._file(path))
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
