"""gpiozero's pin factory, exactly the one that is configured. gpiozero itself would fall back to
another one silently.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from hal.ports import HardwareError

LGPIO, MOCK = "lgpio", "mock"


def open_factory(name: str, chip: int = -1) -> Any:
    """`chip` -1: the one of this Raspberry Pi. "mock" has no pins at all: for a bench without a
    panel. Raises `HardwareError`."""
    if name == MOCK:
        from gpiozero.pins.mock import MockFactory, MockPWMPin  # noqa: PLC0415 - one of two

        return MockFactory(pin_class=MockPWMPin)
    # lgpio makes a pipe in its working folder at import; a service's is read-only.
    os.environ.setdefault("LG_WD", tempfile.gettempdir())
    try:
        from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415 - hardware

        return LGPIOFactory(chip=None if chip < 0 else chip)
    except Exception as error:  # gpiozero, lgpio and the kernel each have errors of their own
        raise HardwareError(
            f"The pins can't be opened: {type(error).__name__}: {error}.",
            "Install lgpio, put the user into the group gpio, and see panel.chip in config.toml.",
        ) from None
