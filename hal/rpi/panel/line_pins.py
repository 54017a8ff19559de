"""gpiozero's pins on the kernel's character device: its devices above, our lines below.

Edges wake one thread, which sleeps until there is one; PWM is the board's own counters. (lgpio
looks two thousand times a second for ever, and its PWM is a thread: docs/decisions/0029.)
"""

from __future__ import annotations

import os
import selectors
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gpiozero.exc import (
    GPIOPinInUse,
    PinFixedPull,
    PinInvalidFunction,
    PinInvalidPin,
    PinPWMUnsupported,
    PinSetInput,
)
from gpiozero.pins import Factory, Pin

from hal.ports import SECOND_NS
from hal.rpi.panel import gpio_chip
from hal.rpi.panel.gpio_chip import Chip, Line
from hal.rpi.panel.hardware_pwm import NoPwmError, PwmChannel

PULLS = {"up": gpio_chip.PULL_UP, "down": gpio_chip.PULL_DOWN, "floating": gpio_chip.NO_PULL}
EDGES = {
    "both": gpio_chip.EDGE_RISING | gpio_chip.EDGE_FALLING,
    "rising": gpio_chip.EDGE_RISING,
    "falling": gpio_chip.EDGE_FALLING,
    "none": 0,
}


class LineInfo(NamedTuple):
    """What gpiozero's devices ask of a pin's description; no pin of the header is pulled."""

    number: int
    name: str
    pull: str = ""


class LineFactory(Factory):  # type: ignore[misc]  # gpiozero carries no types
    """`gpiozero.pins.Factory`: pins by their BCM numbers, which are the lines of the chip."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError`."""
        super().__init__()
        self._chip = Chip(path)
        self._lines = self._chip.info().lines
        self._pins: dict[int, LinePin] = {}
        self._holders: dict[int, Any] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)[::-1]
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._waiting: list[Callable[[], object]] = []
        self._turn = threading.Lock()
        self._closed = False
        threading.Thread(target=self._listen, name="edges", daemon=True).start()

    def close(self) -> None:
        for pin in self._pins.values():
            pin.close()
        self._closed = True
        self._poke()

    def pin(self, name: Any) -> LinePin:
        if not isinstance(name, int) or not 0 <= name < self._lines:
            raise PinInvalidPin(f"{name} is no line of this board")
        if name not in self._pins:
            self._pins[name] = LinePin(self, self._chip, name)
        return self._pins[name]

    def reserve_pins(self, requester: Any, *names: Any) -> None:
        for name in map(int, names):
            if self._holders.setdefault(name, requester) is not requester:
                raise GPIOPinInUse(f"pin {name} is in use already")

    def release_pins(self, reserver: Any, *names: Any) -> None:
        for name in map(int, names):
            if self._holders.get(name) is reserver:
                del self._holders[name]

    def release_all(self, reserver: Any) -> None:
        self.release_pins(reserver, *[n for n, who in self._holders.items() if who is reserver])

    def ticks(self) -> float:
        """Seconds of CLOCK_MONOTONIC, as the kernel stamps edges."""
        return time.monotonic()

    def ticks_diff(self, later: float, earlier: float) -> float:
        return later - earlier

    # --- edges --------------------------------------------------------------------------------

    def follow(self, line: Line, edge: Callable[[], None]) -> None:
        """`edge` is called, on the thread of edges, whenever some wait at the line."""
        self._later(lambda: self._selector.register(line.fd, selectors.EVENT_READ, edge))

    def leave(self, line: Line) -> None:
        """Nothing of the line is told any more when this returns, and it may be closed."""
        left = threading.Event()

        def leave() -> None:
            if line.fd in self._selector.get_map():
                self._selector.unregister(line.fd)
            left.set()

        self._later(leave)
        if threading.current_thread().name != "edges" and not self._closed:
            left.wait(1.0)

    def _later(self, job: Callable[[], object]) -> None:
        with self._turn:
            self._waiting.append(job)
        self._poke()

    def _poke(self) -> None:
        os.write(self._wake, b"\0")

    def _listen(self) -> None:
        while not self._closed:
            for key, _ in self._selector.select():
                if key.data is not None:
                    key.data()
            with self._turn:
                jobs, self._waiting = self._waiting, []
            if jobs:
                os.read(self._woken, 4096)
            for job in jobs:
                job()
        self._selector.close()


class LinePin(Pin):  # type: ignore[misc]
    """`gpiozero.pins.Pin`. `event_ns` is when the kernel saw the edge that is being told."""

    def __init__(self, factory: LineFactory, chip: Chip, number: int) -> None:
        self._factory, self._chip, self._number = factory, chip, number
        self._line: Line | None = None
        self._pwm: PwmChannel | None = None
        self._function, self._pull, self._edges = "input", "floating", "both"
        self._bounce_s: float | None = None
        self._when_changed: Callable[[float, int], None] | None = None
        self.event_ns: int | None = None

    def __repr__(self) -> str:
        return f"GPIO{self._number}"

    def close(self) -> None:
        self._when_changed = None
        if self._pwm is not None:
            self._pwm.close()
            self._pwm = None
        if self._line is not None:
            line, self._line = self._line, None
            if self._function == "output":
                line.set(False)  # let go dark, whatever the kernel does with a line that is let go
            self._factory.leave(line)
            line.close()
        self._function, self._pull = "input", "floating"

    def output_with_state(self, state: float) -> None:
        self._function = "output"
        self._apply(high=bool(state))

    def input_with_pull(self, pull: str) -> None:
        self._function, self._pull = "input", pull
        self._apply()

    def _get_info(self) -> LineInfo:
        return LineInfo(self._number, str(self._number))

    def _get_function(self) -> str:
        return self._function

    def _set_function(self, value: str) -> None:
        if value not in ("input", "output"):
            raise PinInvalidFunction(f"{value!r} is no function of a pin")
        self._function = value
        self._apply()

    def _get_state(self) -> float:
        if self._pwm is not None:
            return self._pwm.duty
        return float(self._ours().get())

    def _set_state(self, value: float) -> None:
        if self._pwm is not None:
            self._pwm.set(value)
        elif self._function == "input":
            raise PinSetInput(f"{self!r} is an input")
        else:
            self._ours().set(bool(value))

    def _get_pull(self) -> str:
        return self._pull

    def _set_pull(self, value: str) -> None:
        if self._function != "input":
            raise PinFixedPull(f"{self!r} is an output")
        self._pull = value
        self._apply()

    def _get_frequency(self) -> int | None:
        return None if self._pwm is None else self._pwm.frequency_hz

    def _set_frequency(self, value: int | None) -> None:
        if self._pwm is not None:
            self._pwm.close()
            self._pwm = None
        if not value:
            return
        if self._line is not None:  # the counter drives it from now on
            line, self._line = self._line, None
            self._factory.leave(line)
            line.close()
        try:
            self._pwm = PwmChannel(self._number, int(value))
        except NoPwmError as error:
            raise PinPWMUnsupported(str(error)) from None

    def _get_bounce(self) -> float | None:
        return self._bounce_s

    def _set_bounce(self, value: float | None) -> None:
        self._bounce_s = value
        self._apply()

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        self._edges = value
        self._apply()

    def _get_when_changed(self) -> Callable[[float, int], None] | None:
        return self._when_changed

    def _set_when_changed(self, value: Callable[[float, int], None] | None) -> None:
        self._when_changed = value
        self._apply()

    def _ours(self) -> Line:
        if self._line is None:
            self._apply()
        assert self._line is not None
        return self._line

    def _apply(self, *, high: bool = False) -> None:
        """The line as it is to be now; asked for where it is not ours yet."""
        if self._function == "output":
            flags, debounce_us = gpio_chip.OUTPUT, 0
        else:
            flags = gpio_chip.INPUT | PULLS[self._pull]
            flags |= EDGES[self._edges] if self._when_changed is not None else 0
            debounce_us = round((self._bounce_s or 0) * 1_000_000)
        if self._line is None:
            line = self._chip.line(self._number, flags, high=high, debounce_us=debounce_us)
            self._line = line
            self._factory.follow(line, lambda: self._tell(line))
        else:
            self._line.configure(flags, high=high, debounce_us=debounce_us)

    def _tell(self, line: Line) -> None:
        for event in line.events():
            told = self._when_changed
            if told is None:
                return
            self.event_ns = event.at_ns
            try:
                told(event.at_ns / SECOND_NS, int(event.rose))
            except Exception:  # a bug above must not make every button deaf
                traceback.print_exc()
            self.event_ns = None
