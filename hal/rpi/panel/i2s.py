"""Pins that an I2S sound card uses: a beeper there takes its clock away, and with it all sound."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hal.ports import HardwareError

# PCM_CLK, PCM_FS, PCM_DIN, PCM_DOUT (BCM2835 ARM Peripherals, 6.2).
PINS = range(18, 22)
DEVICE_TREE = Path("/proc/device-tree")


def bound(device_tree: Path = DEVICE_TREE) -> bool:
    """Whether an I2S controller of this board is switched on, as a sound card's overlay does."""
    for node in ("soc/i2s@*", "axi/*/i2s@*"):
        for status in device_tree.glob(f"{node}/status"):
            try:
                if status.read_bytes().rstrip(b"\0") in (b"okay", b"ok"):
                    return True
            except OSError:
                continue
    return False


def refuse(pins: Mapping[str, int], device_tree: Path = DEVICE_TREE) -> None:
    """Raises `HardwareError` where the panel is wired to pins of an I2S sound card in use."""
    taken = [f"pins.{name} = {pin}" for name, pin in pins.items() if pin in PINS]
    if taken and bound(device_tree):
        raise HardwareError(
            f"{', '.join(taken)}: pins 18 to 21 belong to the I2S sound card of this board.",
            "Wire it to another pin, as 24 or 25, and change the configuration.",
        )
