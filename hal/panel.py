"""Lights, beeper, vibration motor and buttons on gpiozero devices: the same code for real pins
and for MockFactory's. gpiozero gives pins and raw edges only; time is `hal.player`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from gpiozero import DigitalInputDevice, DigitalOutputDevice

from hal.player import PatternPlayer
from hal.ports import Edge, Level, Scheduler


class PanelPins(NamedTuple):
    """BCM numbers."""

    front_light: int
    status_green: int
    status_red: int
    beeper: int
    vibration: int
    record_button: int
    marker_button: int


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

    def _edge(self, pressed: bool) -> None:
        self._listener(Edge(pressed, self._scheduler.now_ns()))


class Panel:
    """All of it, on one pin factory. `close` leaves every output dark. `observe` hears, by the
    output's name, every level that was driven."""

    def __init__(
        self,
        pins: PanelPins,
        scheduler: Scheduler,
        factory: Any,
        observe: Callable[[str, int, Level, str], None] = lambda name, at_ns, level, pattern: None,
    ) -> None:
        def output(pin: int) -> DigitalOutputDevice:
            return DigitalOutputDevice(pin, initial_value=False, pin_factory=factory)

        front, beeper, motor = output(pins.front_light), output(pins.beeper), output(pins.vibration)
        green, red = output(pins.status_green), output(pins.status_red)

        def drive_status(level: Level) -> None:
            green.value = level in (Level.GREEN, Level.AMBER)
            red.value = level in (Level.RED, Level.AMBER)

        def player(name: str, drive: Callable[[Level], None]) -> PatternPlayer:
            return PatternPlayer(scheduler, drive, partial(observe, name))

        self.front_light = player("front light", _driver(front))
        self.status_light = player("status light", drive_status)
        self.beeper = player("beeper", _driver(beeper))
        self.haptic = player("vibration", _driver(motor))
        self.record_button = PanelButton(pins.record_button, scheduler, factory)
        self.marker_button = PanelButton(pins.marker_button, scheduler, factory)
        self._devices = [front, beeper, motor, green, red]
        self._devices += [self.record_button.device, self.marker_button.device]

    def close(self) -> None:
        for device in self._devices:
            device.close()


def _driver(device: DigitalOutputDevice) -> Callable[[Level], None]:
    def drive(level: Level) -> None:
        device.value = level is not Level.OFF

    return drive
