"""What the kernel itself says of how right its clock is (adjtimex(2)).

timesyncd, chrony and ntpd all tell it; it lets the error grow by 500 parts in a million meanwhile.
"""

from __future__ import annotations

import ctypes
from typing import ClassVar

from hal.ports import SECOND_NS

# linux/timex.h
STA_UNSYNC, TIME_ERROR = 0x0040, 5
_L, _I = ctypes.c_long, ctypes.c_int


class _Timex(ctypes.Structure):
    _fields_: ClassVar = [
        ("modes", ctypes.c_uint), ("offset", _L), ("freq", _L), ("maxerror", _L), ("esterror", _L),
        ("status", _I), ("constant", _L), ("precision", _L), ("tolerance", _L),
        ("time", _L * 2), ("tick", _L), ("ppsfreq", _L), ("jitter", _L), ("shift", _I),
        ("stabil", _L), ("jitcnt", _L), ("calcnt", _L), ("errcnt", _L), ("stbcnt", _L), ("tai", _I),
        ("padding", _I * 11),
    ]  # fmt: skip


def max_error_ns() -> int | None:
    """How far the clock may be off; None where nobody has set it."""
    timex = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except AttributeError:  # not Linux
        return None
    return error_of(state, timex.status, timex.maxerror)


def error_of(state: int, status: int, max_error_us: int) -> int | None:
    """From the answer of adjtimex: its state, status bits, and maximum error in microseconds."""
    if state < 0 or state == TIME_ERROR or status & STA_UNSYNC:
        return None
    return max_error_us * SECOND_NS // 1_000_000
