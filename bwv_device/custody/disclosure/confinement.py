"""What a process gives up before it opens a film that somebody else made.

Limits of memory, time and output; where the kernel has Landlock (Linux 5.13; the kernel's
Documentation/userspace-api/landlock.rst), every file but some to read and one folder to write; and
calls that it never needs (`forbidden_calls`). There is no way back for the process that calls this.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bwv_device.custody.disclosure.forbidden_calls import forbid

# The same on every architecture.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
GIVE_VERSION, PATH_BENEATH = 1, 1
NO_NEW_PRIVILEGES = 38
# linux/landlock.h: execute, write, read file, read folder, then removing and making of all kinds,
# then what each version of the interface added.
READ_FILE, READ_FOLDER, ALL_OF_VERSION_1 = 1 << 2, 1 << 3, (1 << 13) - 1
ADDED = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
WRITE_FILE, MAKE_FILE, REMOVE_FILE = 1 << 1, 1 << 8, 1 << 5
TRUNCATE = ADDED[3]
TCP, ABSTRACT_SOCKETS_AND_SIGNALS = 3, 3


class Limits(NamedTuple):
    """Of one process: private memory and what it may write in bytes, processor time in seconds."""

    memory: int
    processor_s: int
    output: int


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("filesystem", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def confine(limits: Limits, readable: Sequence[Path], writable: Path) -> bool:
    """Whether more than the limits could be had. Import what is needed before, and start no thread:
    what is running already would not be confined. Raises `OSError` where the kernel has what is
    needed and refuses it."""
    if len(os.listdir("/proc/self/task")) > 1:
        raise OSError(errno.EBUSY, "a thread is running already")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.processor_s, limits.processor_s + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.output, limits.output))
    version = landlock_version()
    if version < 1:
        return False
    handled = ALL_OF_VERSION_1
    for since, access in ADDED.items():
        handled |= access if version >= since else 0
    rules = _Ruleset(
        handled, TCP if version >= 4 else 0, ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0
    )
    length = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _system(CREATE_RULESET, ctypes.byref(rules), length, 0)
    interpreter = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "platlib")]
    for path in [*interpreter, *readable]:
        _allow(ruleset, path, READ_FILE | (READ_FOLDER if path.is_dir() else 0))
    wanted = READ_FILE | READ_FOLDER | WRITE_FILE | MAKE_FILE | REMOVE_FILE | TRUNCATE
    _allow(ruleset, writable, wanted & handled)
    _checked(_libc().prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _system(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return forbid()


def landlock_version() -> int:
    """Below 1: not built in, or not switched on."""
    return int(_libc().syscall(CREATE_RULESET, None, 0, GIVE_VERSION))


def _allow(ruleset: int, path: Path, access: int) -> None:
    number = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(access, number)
        _system(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(number)


def _system(number: int, *arguments: object) -> int:
    return _checked(int(_libc().syscall(number, *arguments)))


def _checked(answer: int) -> int:
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return answer


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
