"""What of this process's memory the kernel may write to a card.

The pre-event buffer is plaintext, and the keys are here: idle pages are what a kernel swaps first.
"""

from __future__ import annotations

import ctypes
import resource
from pathlib import Path

# linux/mman.h
MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4
# linux/prctl.h
PR_SET_DUMPABLE = 4


def lock() -> bool:
    """Whether nothing of this process is ever swapped, now and later. Only where the limit allows
    any amount: else the kernel would refuse memory in the middle of a recording."""
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != resource.RLIM_INFINITY:
        return False
    flags = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT
    return bool(ctypes.CDLL(None, use_errno=True).mlockall(flags) == 0)


def swaps_to_storage(proc: Path = Path("/proc")) -> list[str]:
    """Swap areas that outlive a power cut; compressed memory (zram) does not."""
    try:
        lines = (proc / "swaps").read_text().splitlines()[1:]
    except OSError:
        return []
    return [area for line in lines if (area := line.split()[0]) and "/zram" not in area]


def keep_private() -> None:
    """No core dump, and no debugger of the same user (prctl(2), PR_SET_DUMPABLE)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
