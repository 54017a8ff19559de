"""PWM by the board's own counters, through the kernel (Documentation/driver-api/pwm.rst): no thread
wakes for it, and a lens with a rolling shutter sees no jitter.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

# BCM2835 and BCM2711 have two channels, each on two pins of the header; `dtoverlay=pwm-2chan`, or
# `dtoverlay=pwm`, gives them their pins.
CHANNELS = {12: 0, 18: 0, 13: 1, 19: 1}
SYS = Path("/sys/class/pwm")


class NoPwmError(OSError):
    """This pin has no counter, or the kernel was not told to use it."""


class PwmChannel:
    """One channel; dark until `duty` is set. Raises `OSError`."""

    def __init__(self, pin: int, frequency_hz: int, sys: Path = SYS) -> None:
        chips = sorted(sys.glob("pwmchip*"))
        if pin not in CHANNELS or not chips:
            raise NoPwmError(f"pin {pin} has no PWM: pins 12, 13, 18, 19 have, with dtoverlay=pwm")
        self._chip, channel = chips[0], CHANNELS[pin]
        self._folder = self._chip / f"pwm{channel}"
        if not self._folder.exists():
            (self._chip / "export").write_text(str(channel))
        self._channel = channel
        self.frequency_hz = frequency_hz
        self._period_ns = 1_000_000_000 // frequency_hz
        self.duty = 0.0
        # A period must never be shorter than what it is on for.
        self._write("duty_cycle", 0)
        self._write("period", self._period_ns)
        self._write("enable", 1)

    def set(self, duty: float) -> None:
        """0 to 1."""
        self._write("duty_cycle", round(self._period_ns * duty))
        self.duty = duty

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._write("duty_cycle", 0)
            self._write("enable", 0)
            (self._chip / "unexport").write_text(str(self._channel))

    def _write(self, name: str, value: int) -> None:
        (self._folder / name).write_text(str(value))
