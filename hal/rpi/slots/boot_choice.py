"""Which slot starts: `autoboot.txt`, as the board's firmware reads it, and what the firmware says
that it took (raspberrypi.com, config.txt, "autoboot.txt" and "device trees: chosen/bootloader").

The file has one length for ever and fits one sector: writing it is all or nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

TAKEN = Path("/proc/device-tree/chosen/bootloader")
SLOTS = (2, 3)
TEXT = "[all]\ntryboot_a_b=1\nboot_partition={}\n[tryboot]\nboot_partition={}\n"


class BootChoice(NamedTuple):
    """The partition that starts, and the one that starts once when it is asked for."""

    starts: int
    tried: int

    @classmethod
    def parse(cls, text: str) -> BootChoice:
        """Raises `ValueError` unless it is one of the two that there are."""
        for choice in (cls(*SLOTS), cls(*reversed(SLOTS))):
            if text == str(choice):
                return choice
        raise ValueError("autoboot.txt names other partitions than the two slots")

    def __str__(self) -> str:
        return TEXT.format(*self)


class Taken(NamedTuple):
    """What the firmware has started: the partition, and whether it was asked for this once."""

    partition: int
    tried: bool


def taken(folder: Path = TAKEN) -> Taken:
    """Raises `OSError` where no firmware of a Raspberry Pi has started this machine."""
    partition, tried = (_number(folder / name) for name in ("partition", "tryboot"))
    return Taken(partition, bool(tried))


def _number(file: Path) -> int:
    """A cell of a device tree: 32 bits, big-endian."""
    data = file.read_bytes()
    if len(data) != 4:
        raise OSError(f"{file} is no number")
    return int.from_bytes(data, "big")


def read(file: Path) -> BootChoice:
    """Raises `OSError`, `ValueError`."""
    return BootChoice.parse(file.read_bytes().decode("ascii"))


def write(file: Path, choice: BootChoice) -> None:
    """In place: no moment is without a choice. Raises `OSError`."""
    data = str(choice).encode("ascii")
    with file.open("r+b") as opened:
        if os.fstat(opened.fileno()).st_size != len(data):
            raise OSError(f"{file} has another length than a choice")
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def is_release(text: str) -> bool:
    """Three numbers with dots between."""
    return bool(re.fullmatch(r"(0|[1-9]\d{0,8})(\.(0|[1-9]\d{0,8})){2}", text))
