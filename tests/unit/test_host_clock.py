"""The kernel's own bound of its clock: it grows while the network is away, and is kept."""

from __future__ import annotations

import ctypes
import struct

from hal import kernel_clock
from hal.host import UNKNOWN_ERROR_NS, HostClock
from hal.kernel_clock import STA_UNSYNC, TIME_ERROR, error_of

PLL = 0x2001  # STA_PLL, STA_NANO


def test_the_kernels_answer() -> None:
    assert error_of(0, PLL, 1500) == 1_500_000
    assert error_of(0, PLL | STA_UNSYNC, 16_000_000) is None
    assert error_of(TIME_ERROR, PLL, 1500) is None
    assert error_of(-1, 0, 0) is None


def test_the_structure_is_the_kernels() -> None:
    """struct timex on a 64 bit machine: `tai` stands behind 160 bytes, all of it is 208."""
    assert ctypes.sizeof(ctypes.c_long) == 8
    assert (kernel_clock._Timex.tai.offset, ctypes.sizeof(kernel_clock._Timex)) == (160, 208)
    assert struct.calcsize("@Iqqqqiqqqqqqqqiqqqqqi") <= 208
    assert kernel_clock.max_error_ns() is None or kernel_clock.max_error_ns() >= 0  # type: ignore[operator]


def test_nobody_has_set_it() -> None:
    reading = HostClock(lambda: None).utc()
    assert (reading.source, reading.error_ns) == ("none", UNKNOWN_ERROR_NS)


def test_the_error_goes_on_growing_when_the_kernel_gives_up() -> None:
    said: list[int | None] = [2_000_000, None, None, 1_000_000]
    clock = HostClock(lambda: said.pop(0))
    first = clock.utc()
    assert (first.source, first.error_ns) == ("ntp", 2_000_000)
    second, third = clock.utc(), clock.utc()
    assert second.source == third.source == "ntp"
    assert 2_000_000 <= second.error_ns <= third.error_ns
    assert clock.utc().error_ns == 1_000_000
