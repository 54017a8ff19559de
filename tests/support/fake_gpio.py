"""A GPIO chip with a memory, in place of `hal.rpi.panel.gpio_chip.Chip`: levels, requests, edges
through a pipe that can be polled."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator

from hal.rpi.panel import gpio_chip
from hal.rpi.panel.gpio_chip import ChipInfo, Event

LINES = 54


class FakeChip:
    def __init__(self) -> None:
        self.driven: dict[int, bool] = {}  # by the world, at inputs
        self.lines: dict[int, FakeLine] = {}
        self.debounce_us: dict[int, int] = {}

    def info(self) -> ChipInfo:
        return ChipInfo("gpiochip0", "pinctrl-bcm2835", LINES)

    def line(
        self, offset: int, flags: int, *, high: bool = False, debounce_us: int = 0
    ) -> FakeLine:
        if offset in self.lines:
            raise OSError(errno.EBUSY, "the line is taken")
        line = FakeLine(self, offset)
        line.configure(flags, high=high, debounce_us=debounce_us)
        self.lines[offset] = line
        return line

    def level(self, pin: int) -> bool:
        line = self.lines.get(pin)
        return line is not None and bool(line.flags & gpio_chip.OUTPUT) and line.high

    def drive(self, pin: int, high: bool) -> None:
        before, self.driven[pin] = self.driven.get(pin, True), high
        if pin in self.lines and before != high:
            self.lines[pin].changed(high)

    def close(self) -> None:
        return


class FakeLine:
    def __init__(self, chip: FakeChip, offset: int) -> None:
        self._chip, self._offset = chip, offset
        self.fd, self._in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.flags, self.high = 0, False
        self._events: list[Event] = []

    def configure(self, flags: int, *, high: bool = False, debounce_us: int = 0) -> None:
        assert not (flags & gpio_chip.OUTPUT and debounce_us), "the kernel refuses that"
        edges = gpio_chip.EDGE_RISING | gpio_chip.EDGE_FALLING
        assert not (flags & gpio_chip.OUTPUT and flags & edges), "the kernel refuses that"
        self.flags, self._chip.debounce_us[self._offset] = flags, debounce_us
        if flags & gpio_chip.OUTPUT:
            self.high = high

    def get(self) -> bool:
        if self.flags & gpio_chip.OUTPUT:
            return self.high
        pulled = bool(self.flags & gpio_chip.PULL_UP)
        return self._chip.driven.get(self._offset, pulled)

    def set(self, high: bool) -> None:
        assert self.flags & gpio_chip.OUTPUT, "the kernel refuses that"
        self.high = high

    def changed(self, high: bool) -> None:
        wanted = gpio_chip.EDGE_RISING if high else gpio_chip.EDGE_FALLING
        if self.flags & wanted:
            self._events.append(Event(time.monotonic_ns(), high))
            os.write(self._in, b"\0")

    def events(self) -> Iterator[Event]:
        while self._events:
            os.read(self.fd, 1)
            yield self._events.pop(0)

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._in)
        self._chip.lines.pop(self._offset, None)
