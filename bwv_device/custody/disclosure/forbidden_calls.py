"""System calls that a process which only decodes never needs, refused from now on (seccomp(2)).

Landlock guards files and TCP. It knows nothing of other sockets, of modes and owners, and of
processes that outlive the one that was started.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from typing import NamedTuple

# linux/audit.h; asm/unistd_64.h and asm-generic/unistd.h.
SET_FILTER, EVERY_THREAD = 1, 1
LOAD, EQUAL, AT_LEAST, BITS_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
KILL, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
THREAD = 0x00010000
# x86-64 has a second numbering from here on.
OTHER_NUMBERING = 0x40000000


class Machine(NamedTuple):
    """Numbers of one architecture. `refused`: sockets, starting and steering processes, modes and
    owners, keys, limits of others."""

    audit: int
    seccomp: int
    clone: int
    refused: tuple[int, ...]


MACHINES = {
    "x86_64": Machine(
        0xC000003E, 317, 56,
        (41, 42, 44, 46, 49, 50, 53, 57, 58, 59, 62, 90, 91, 92, 93, 94, 101, 112, 200, 248, 250,
         260, 268, 302, 310, 311, 322, 425, 452),
    ),
    "aarch64": Machine(
        0xC00000B7, 277, 220,
        (198, 199, 200, 201, 203, 206, 211, 221, 129, 52, 53, 54, 55, 117, 157, 130, 217, 219, 261,
         270, 271, 281, 425, 452),
    ),
}  # fmt: skip
CLONE3 = 435


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def forbid() -> bool:
    """Whether the kernel and this program know how. `NO_NEW_PRIVILEGES` must be set. Raises
    `OSError`."""
    machine = MACHINES.get(platform.machine())
    if machine is None:
        return False
    code = _code(machine)
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(machine.seccomp, SET_FILTER, EVERY_THREAD, ctypes.byref(program)) == 0:
        return True
    if ctypes.get_errno() in (errno.ENOSYS, errno.EINVAL):  # not built in
        return False
    raise OSError(ctypes.get_errno(), "seccomp")


def _code(machine: Machine) -> bytes:
    """Classic BPF: each test skips the answer behind it unless it holds."""
    refusal = ERRNO | errno.EPERM
    steps = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (EQUAL, 1, 0, machine.audit),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
        (AT_LEAST, 0, 1, OTHER_NUMBERING),
        (RETURN, 0, 0, KILL),
    ]
    for number in machine.refused:
        steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, refusal)]
    # Its arguments lie where a filter can't see them: the C library then uses `clone`.
    steps += [(EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, ERRNO | errno.ENOSYS)]
    # A thread may be started, another process not.
    steps += [
        (EQUAL, 0, 3, machine.clone),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        (BITS_SET, 1, 0, THREAD),
        (RETURN, 0, 0, refusal),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
