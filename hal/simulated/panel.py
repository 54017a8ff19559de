"""A panel on gpiozero's mock pins. The world presses its buttons and reads its lights; what was
shown is kept with its time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gpiozero.pins.mock import MockFactory, MockPin

from hal.panel.gpio_panel import Panel, PanelPins
from hal.ports import Level, Scheduler, Timer

OUTPUTS = ("front light", "status light", "beeper", "vibration")


class Shown(NamedTuple):
    """From `at_ns` on the output had this level, as part of that pattern."""

    at_ns: int
    level: Level
    pattern: str


class Touch(NamedTuple):
    """A contact was closed or opened, by a finger or on its own."""

    at_ns: int
    button: str
    down: bool


class BreakablePin(MockPin):  # type: ignore[misc]  # gpiozero carries no types
    """A pin that can fail."""

    broken = ""

    def _set_state(self, value: float) -> None:
        if self.broken:
            raise OSError(self.broken)
        super()._set_state(value)


class WhilePowered:
    """`hal.ports.Scheduler` of hardware: nothing that is due happens once the power is off."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler, self.on = scheduler, True

    def now_ns(self) -> int:
        return self._scheduler.now_ns()

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Timer:
        return self._scheduler.call_at(when_ns, lambda: self._run(callback))

    def post(self, callback: Callable[[], None]) -> None:
        self._scheduler.post(lambda: self._run(callback))

    def _run(self, callback: Callable[[], None]) -> None:
        if self.on:
            callback()


class SimulatedPanel:
    """The agent's face is `panel`. The world presses, breaks, and reads `history`, whose times are
    the world's: the scheduler's start `origin_ns` later. `watched` hears each level as it comes."""

    def __init__(self, pins: PanelPins, scheduler: Scheduler, origin_ns: int = 0) -> None:
        self._pins, self._origin_ns = pins, origin_ns
        self._scheduler = WhilePowered(scheduler)
        self.factory = MockFactory(pin_class=BreakablePin)
        self.history: dict[str, list[Shown]] = {name: [] for name in OUTPUTS}
        self.touches: list[Touch] = []
        self.watched: Callable[[str, Shown], None] = lambda output, shown: None
        self.panel = Panel(pins, self._scheduler, self.factory, self._remember)

    def press(self, button: str) -> None:
        """`button` is "record" or "marker"."""
        self._touched(button, down=True)
        self._contact(button).drive_low()

    def release(self, button: str) -> None:
        self._touched(button, down=False)
        self._contact(button).drive_high()

    def _touched(self, button: str, *, down: bool) -> None:
        self.touches.append(Touch(self._scheduler.now_ns() + self._origin_ns, button, down))

    def break_output(self, name: str, reason: str = "no current flows") -> None:
        """`name` is a field of `PanelPins`."""
        self.factory.pin(getattr(self._pins, name)).broken = reason

    def repair_output(self, name: str) -> None:
        self.factory.pin(getattr(self._pins, name)).broken = ""

    def is_broken(self, name: str) -> bool:
        return bool(self.factory.pin(getattr(self._pins, name)).broken)

    def shown(self, output: str, at_ns: int) -> Shown | None:
        """What an output showed at a time."""
        before = [shown for shown in self.history[output] if shown.at_ns <= at_ns]
        return before[-1] if before else None

    def sounding(self, from_ns: int, to_ns: int) -> list[tuple[int, int]]:
        """When the beeper sounded between two times of the world."""
        found, until_ns = [], to_ns
        for shown in reversed(self.history["beeper"]):
            if shown.level is not Level.OFF and shown.at_ns < until_ns:
                found.append((shown.at_ns, until_ns))
            until_ns = shown.at_ns
            if until_ns <= from_ns:
                break
        return found

    def power_off(self) -> None:
        """Every output goes dark at once; a new agent needs a new panel."""
        now_ns = self._scheduler.now_ns() + self._origin_ns
        for output in OUTPUTS:
            self._keep(output, Shown(now_ns, Level.OFF, "dark"))
        self._scheduler.on = False
        self.panel.close()
        self.factory.reset()

    def _contact(self, button: str) -> BreakablePin:
        pin: BreakablePin = self.factory.pin(getattr(self._pins, f"{button}_button"))
        return pin

    def _remember(self, output: str, at_ns: int, level: Level, pattern: str) -> None:
        if self._scheduler.on:
            self._keep(output, Shown(at_ns + self._origin_ns, level, pattern))

    def _keep(self, output: str, shown: Shown) -> None:
        self.history[output].append(shown)
        self.watched(output, shown)
