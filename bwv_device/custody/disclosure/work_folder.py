"""Where footage lies in clear while a package is made: gone afterwards, or at the next start."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = ".bwv-work-"


@contextmanager
def work_folder(beside: Path) -> Iterator[Path]:
    """A private folder in `beside`. What an earlier process left there when it was killed is
    removed first: it is known by a lock that nobody holds."""
    with _locked(beside):  # nobody sweeps between making a folder and locking it
        _sweep(beside)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=beside))
        lock = _open(folder)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _sweep(beside: Path) -> None:
    for left in beside.glob(f"{PREFIX}*"):
        with suppress(OSError):  # gone meanwhile, or not ours to open
            if left.lstat().st_uid == os.geteuid() and not left.is_symlink() and _is_left(left):
                shutil.rmtree(left)


def _is_left(folder: Path) -> bool:
    lock = _open(folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(lock)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = _open(folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
