"""What the panel asks of pins, checked alike over every kind: gpiozero's mock pins, our pins on a
fake kernel, on gpio-sim in a virtual machine, and on the driver of an emulated Raspberry Pi.

Standard library and gpiozero alone: it also runs where no test runner is installed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from gpiozero import DigitalInputDevice, DigitalOutputDevice

PATIENCE_S = 5.0


class Outside(Protocol):
    """The world at the pins."""

    def level(self, pin: int) -> bool:
        """What an output drives."""
        ...

    def drive(self, pin: int, high: bool) -> None:
        """Somebody pulls an input."""
        ...


def until(true: Callable[[], bool], what: str) -> None:
    """Kernel pins tell edges from a thread."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.001)


def outputs_are_driven(factory: Any, outside: Outside, pin: int) -> None:
    device = DigitalOutputDevice(pin, initial_value=False, pin_factory=factory)
    assert not outside.level(pin)
    for value in (True, False, True):
        device.value = value
        assert outside.level(pin) is value
        assert bool(device.value) is value
    device.close()
    assert not outside.level(pin), "a pin that is let go is dark"


def an_output_begins_as_it_is_asked_to(factory: Any, outside: Outside, pin: int) -> None:
    device = DigitalOutputDevice(pin, initial_value=True, pin_factory=factory)
    assert outside.level(pin)
    device.off()
    device.close()


def edges_are_told_in_order(factory: Any, outside: Outside, pin: int) -> None:
    """A contact to ground: active when it is low; with the time at which it was."""
    outside.drive(pin, True)
    device = DigitalInputDevice(pin, pull_up=True, bounce_time=None, pin_factory=factory)
    heard: list[tuple[bool, float]] = []

    def hear(pressed: bool) -> None:
        stamp_ns = getattr(device.pin, "event_ns", None)
        heard.append((pressed, time.monotonic() if stamp_ns is None else stamp_ns / 1e9))

    device.when_activated = lambda: hear(True)
    device.when_deactivated = lambda: hear(False)
    assert not device.is_active
    times = []
    for count, high in enumerate((False, True, False, True), 1):
        before = time.monotonic()
        outside.drive(pin, high)
        until(lambda count=count: len(heard) == count, f"edge {count}")  # type: ignore[misc]
        times.append((before, time.monotonic()))
        assert device.is_active is not high
    assert [pressed for pressed, _ in heard] == [True, False, True, False]
    for (_, at), (before, behind) in zip(heard, times, strict=True):
        assert before - 0.02 <= at <= behind + 0.02
    device.close()


def a_pin_has_one_holder(factory: Any, outside: Outside, pin: int) -> None:
    from gpiozero import GPIOPinInUse

    device = DigitalOutputDevice(pin, pin_factory=factory)
    try:
        DigitalOutputDevice(pin, pin_factory=factory)
    except GPIOPinInUse:
        pass
    else:
        raise AssertionError("two devices drive one pin")
    device.close()
    DigitalOutputDevice(pin, pin_factory=factory).close()


def what_is_pressed_at_the_start_is_seen(factory: Any, outside: Outside, pin: int) -> None:
    outside.drive(pin, False)
    device = DigitalInputDevice(pin, pull_up=True, pin_factory=factory)
    until(lambda: bool(device.is_active), "a contact that is closed")
    device.close()
    outside.drive(pin, True)


def a_closed_device_hears_nothing(factory: Any, outside: Outside, pin: int) -> None:
    outside.drive(pin, True)
    device = DigitalInputDevice(pin, pull_up=True, pin_factory=factory)
    heard: list[bool] = []
    device.when_activated = lambda: heard.append(True)
    outside.drive(pin, False)
    until(lambda: len(heard) == 1, "an edge")
    device.close()
    outside.drive(pin, True)
    outside.drive(pin, False)
    time.sleep(0.05)
    assert len(heard) == 1
    outside.drive(pin, True)


OUTPUTS = (outputs_are_driven, an_output_begins_as_it_is_asked_to, a_pin_has_one_holder)
INPUTS = (
    edges_are_told_in_order,
    what_is_pressed_at_the_start_is_seen,
    a_closed_device_hears_nothing,
)
CLAUSES = OUTPUTS + INPUTS
