"""Where footage lies in clear while a package is made: gone afterwards, whatever ends the process.

A second process waits for the end of the first and clears up behind it; where the machine loses
power, the next start does.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Its standard input ends when whoever started it does.
CLEARS_UP = "import shutil, sys; sys.stdin.read(); shutil.rmtree(sys.argv[1], ignore_errors=True)"
ENDS_WITHIN_S = 30
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
        with _cleared_up(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def _cleared_up(folder: Path) -> Iterator[None]:
    """Also behind a process that is killed; in a session of its own, so that Ctrl-C spares it."""
    process = subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-I", "-S", "-c", CLEARS_UP, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(ENDS_WITHIN_S)


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
