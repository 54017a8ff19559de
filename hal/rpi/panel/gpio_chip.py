"""The kernel's GPIO character device, version 2 (linux/gpio.h, since 5.10): lines are asked for,
set, and their edges come with the kernel's own time. Nothing here waits or polls.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

INPUT, OUTPUT = 1 << 2, 1 << 3
EDGE_RISING, EDGE_FALLING = 1 << 4, 1 << 5
PULL_UP, PULL_DOWN, NO_PULL = 1 << 8, 1 << 9, 1 << 10
RISING = 1

CONSUMER = b"bwv-device"
_CHIP_INFO = 0x8044B401  # _IOR(0xB4, 0x01, struct gpiochip_info)
_GET_LINE = 0xC250B407  # _IOWR(0xB4, 0x07, struct gpio_v2_line_request)
_SET_CONFIG = 0xC110B40D  # _IOWR(0xB4, 0x0D, struct gpio_v2_line_config)
_GET_VALUES = 0xC010B40E  # _IOWR(0xB4, 0x0E, struct gpio_v2_line_values)
_SET_VALUES = 0xC010B40F  # _IOWR(0xB4, 0x0F, struct gpio_v2_line_values)
_OUTPUT_VALUES, _DEBOUNCE = 2, 3  # enum gpio_v2_line_attr_id

_INFO = struct.Struct("=32s32sI")
_EVENT = struct.Struct("=QIIII24x")
_VALUES = struct.Struct("=QQ")
_ATTRIBUTE = struct.Struct("=II8sQ")  # id, padding, a union, mask
_ATTRIBUTES = 10
# The chips of a Raspberry Pi whose lines are on its header.
LABELS = ("pinctrl-bcm", "pinctrl-rp1")


class Event(NamedTuple):
    """An edge: when, on CLOCK_MONOTONIC, and whether the line rose."""

    at_ns: int
    rose: bool


class ChipInfo(NamedTuple):
    name: str
    label: str
    lines: int


def find_chip(dev: Path = Path("/dev")) -> Path:
    """The chip of this board's header, by its label: its number differs between boards and kernels.
    `FileNotFoundError`."""
    for path in sorted(dev.glob("gpiochip*")):
        with contextlib.suppress(OSError), Chip(path) as chip:
            if chip.info().label.startswith(LABELS):
                return path
    raise FileNotFoundError(errno.ENOENT, "no chip of a Raspberry Pi's header is there", str(dev))


class Chip:
    """/dev/gpiochipN. Raises `OSError`."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def __enter__(self) -> Chip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def info(self) -> ChipInfo:
        raw = fcntl.ioctl(self._fd, _CHIP_INFO, bytes(_INFO.size))
        name, label, lines = _INFO.unpack(raw)
        return ChipInfo(_text(name), _text(label), lines)

    def line(self, offset: int, flags: int, *, high: bool = False, debounce_us: int = 0) -> Line:
        """Asks for one line. The kernel lets it go when it is closed, or this process ends."""
        offsets = struct.pack("=64I", offset, *[0] * 63)
        config = _config(flags, high=high, debounce_us=debounce_us)
        head = offsets + CONSUMER.ljust(32, b"\0") + config
        request = bytearray(head + struct.pack("=II20xi", 1, 0, -1))
        fcntl.ioctl(self._fd, _GET_LINE, request, True)
        (fd,) = struct.unpack("=i", request[-4:])
        os.set_inheritable(fd, False)
        os.set_blocking(fd, False)
        return Line(fd)

    def close(self) -> None:
        os.close(self._fd)


class Line:
    """One line that is ours. `fd` can be polled for edges."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def configure(self, flags: int, *, high: bool = False, debounce_us: int = 0) -> None:
        """Anew, without letting the line go meanwhile."""
        config = _config(flags, high=high, debounce_us=debounce_us)
        fcntl.ioctl(self.fd, _SET_CONFIG, config)

    def get(self) -> bool:
        raw = fcntl.ioctl(self.fd, _GET_VALUES, _VALUES.pack(0, 1))
        return bool(_VALUES.unpack(raw)[0] & 1)

    def set(self, high: bool) -> None:
        fcntl.ioctl(self.fd, _SET_VALUES, _VALUES.pack(int(high), 1))

    def events(self) -> Iterator[Event]:
        """What has come since; ends where nothing more waits."""
        while True:
            try:
                raw = os.read(self.fd, 16 * _EVENT.size)
            except BlockingIOError:
                return
            for at_ns, kind, *_ in _EVENT.iter_unpack(raw):
                yield Event(at_ns, kind == RISING)

    def close(self) -> None:
        os.close(self.fd)


def _config(flags: int, *, high: bool, debounce_us: int) -> bytes:
    """struct gpio_v2_line_config for a single line."""
    attributes = []
    if flags & OUTPUT:
        attributes.append(_ATTRIBUTE.pack(_OUTPUT_VALUES, 0, struct.pack("=Q", int(high)), 1))
    if debounce_us:
        attributes.append(_ATTRIBUTE.pack(_DEBOUNCE, 0, struct.pack("=I4x", debounce_us), 1))
    empty = bytes(_ATTRIBUTE.size) * (_ATTRIBUTES - len(attributes))
    return struct.pack("=QI20x", flags, len(attributes)) + b"".join(attributes) + empty


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode(errors="replace")
