"""Lights, beeper, vibration motor and buttons on gpiozero devices: the same code for real pins
and for MockFactory's. gpiozero gives pins and raw edges only; time is `hal.panel.pattern_player`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from gpiozero import DigitalInputDevice, DigitalOutputDevice, PWMOutputDevice

from hal.panel.pattern_player import PatternPlayer
from hal.ports import Edge, Level, Scheduler

# Above what an eye sees, and what a lens with a rolling shutter shows as stripes.
LIGHT_HZ = 2000
NONE = -1


class PanelPins(NamedTuple):
    """BCM numbers. `trigger` and `dock` may be `NONE`."""

    front_light: int
    status_green: int
    status_red: int
    beeper: int
    vibration: int
    record_button: int
    marker_button: int
    trigger: int = NONE
    dock: int = NONE


class PanelButton:
    """A contact to ground with the pin's own pull-up; every edge is handed on as it comes."""

    def __init__(self, pin: int, scheduler: Scheduler, factory: Any) -> None:
        self._scheduler = scheduler
        self._listener: Callable[[Edge], None] = lambda edge: None
        self.device = DigitalInputDevice(pin, pull_up=True, bounce_time=None, pin_factory=factory)
        self.device.when_activated = lambda: self._edge(True)
        self.device.when_deactivated = lambda: self._edge(False)

    def listen(self, listener: Callable[[Edge], None]) -> None:
        self._listener = listener

    @property
    def pressed(self) -> bool:
        """As it is now."""
        return bool(self.device.is_active)

    def _edge(self, pressed: bool) -> None:
        """At the kernel's own time, where pins tell it."""
        seen_ns = getattr(self.device.pin, "event_ns", None)
        self._listener(Edge(pressed, seen_ns or self._scheduler.now_ns()))


class NoButton:
    """Where no contact is fitted."""

    pressed = False

    def listen(self, listener: Callable[[Edge], None]) -> None:
        return


class Panel:
    """All of it, on one pin factory. The front light is as bright as `brightness` says at the
    moment, 0 to 1; `beeper_hz` 0 is a buzzer with a sound of its own. `close` leaves every output
    dark. `observe` hears, by the output's name, every level that was driven."""

    def __init__(
        self,
        pins: PanelPins,
        scheduler: Scheduler,
        factory: Any,
        observe: Callable[[str, int, Level, str], None] = lambda name, at_ns, level, pattern: None,
        brightness: Callable[[], float] | None = None,
        beeper_hz: int = 0,
    ) -> None:
        def output(pin: int) -> DigitalOutputDevice:
            return DigitalOutputDevice(pin, initial_value=False, pin_factory=factory)

        def wave(pin: int, hertz: int) -> PWMOutputDevice:
            return PWMOutputDevice(pin, initial_value=0, frequency=hertz, pin_factory=factory)

        front = wave(pins.front_light, LIGHT_HZ) if brightness else output(pins.front_light)
        beeper = wave(pins.beeper, beeper_hz) if beeper_hz else output(pins.beeper)
        motor = output(pins.vibration)
        green, red = output(pins.status_green), output(pins.status_red)

        def drive_status(level: Level) -> None:
            green.value = level in (Level.GREEN, Level.AMBER)
            red.value = level in (Level.RED, Level.AMBER)

        def player(name: str, drive: Callable[[Level], None]) -> PatternPlayer:
            return PatternPlayer(scheduler, drive, partial(observe, name))

        self.front_light = player("front light", _driver(front, brightness or _full))
        self.status_light = player("status light", drive_status)
        self.beeper = player("beeper", _driver(beeper, _half if beeper_hz else _full))
        self.haptic = player("vibration", _driver(motor))
        self.record_button = PanelButton(pins.record_button, scheduler, factory)
        self.marker_button = PanelButton(pins.marker_button, scheduler, factory)
        self._devices = [front, beeper, motor, green, red]
        self._devices += [self.record_button.device, self.marker_button.device]
        self.trigger = self._optional(pins.trigger, scheduler, factory)
        self.dock = self._optional(pins.dock, scheduler, factory)

    def _optional(self, pin: int, scheduler: Scheduler, factory: Any) -> PanelButton | NoButton:
        if pin == NONE:
            return NoButton()
        contact = PanelButton(pin, scheduler, factory)
        self._devices.append(contact.device)
        return contact

    def close(self) -> None:
        for device in self._devices:
            device.close()


def _full() -> float:
    return 1.0


def _half() -> float:
    """The loudest that a square wave can be."""
    return 0.5


def _driver(device: Any, value: Callable[[], float] = _full) -> Callable[[Level], None]:
    def drive(level: Level) -> None:
        device.value = 0 if level is Level.OFF else value()

    return drive
