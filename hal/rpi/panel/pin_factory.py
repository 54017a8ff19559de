"""gpiozero's pin factory, exactly the one that is configured. gpiozero itself would fall back to
another one silently.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hal.ports import HardwareError

KERNEL, MOCK = "kernel", "mock"


def open_factory(name: str, chip: int = -1) -> Any:
    """`chip` -1: the one of this Raspberry Pi. "mock" has no pins at all: for a bench without a
    panel. Raises `HardwareError`."""
    if name == MOCK:
        from gpiozero.pins.mock import MockFactory, MockPWMPin  # noqa: PLC0415 - one of two

        return MockFactory(pin_class=MockPWMPin)
    from hal.rpi.panel.gpio_chip import find_chip  # noqa: PLC0415
    from hal.rpi.panel.line_pins import LineFactory  # noqa: PLC0415

    try:
        return LineFactory(find_chip() if chip < 0 else Path(f"/dev/gpiochip{chip}"))
    except OSError as error:
        raise HardwareError(
            f"The pins can't be opened: {error.strerror or error} ({error.filename}).",
            "Put the user into the group gpio, and see panel.chip in config.toml.",
        ) from None
