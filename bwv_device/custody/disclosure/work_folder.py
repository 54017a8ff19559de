"""Where footage lies in clear while a package is made: gone afterwards, or at the next start."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX, UNLOCKED_PREFIX = ".bwv-work-", ".bwv-new-"


@contextmanager
def work_folder(beside: Path) -> Iterator[Path]:
    """A private folder in `beside`. What an earlier process left there when it was killed is
    removed first: it is known by a lock that nobody holds."""
    _sweep(beside)
    # It gets the name that is swept when it is locked: nobody takes it for left.
    made = Path(tempfile.mkdtemp(prefix=UNLOCKED_PREFIX, dir=beside))
    lock = _open(made)
    fcntl.flock(lock, fcntl.LOCK_EX)
    folder = made.rename(made.with_name(PREFIX + made.name.removeprefix(UNLOCKED_PREFIX)))
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


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
