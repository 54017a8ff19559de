"""The simulated board in real time, from outside: its lights, its buttons, and what can be done to
its parts. Disk, clock and power supply are those of this computer: they have no switches here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hal.panel.face import HeardLevel
from hal.ports import Scheduler
from hal.simulated.capture import SimulatedCamera, SimulatedMicrophone
from hal.simulated.panel import Shown, SimulatedPanel
from hal.simulated.power_dock_and_place import SimulatedDock, SimulatedPower

BATTERY = "battery is at {} percent"
CHARGES = ("100", "50", "15", "6", "2", "0")


class _Switch(NamedTuple):
    label: str
    on: str
    off: str
    turn: Callable[[bool], None]
    is_on: Callable[[], bool]


class RealtimeFace:
    """`hal.panel.face.PressableFace`."""

    def __init__(
        self,
        scheduler: Scheduler,
        panel: SimulatedPanel,
        camera: SimulatedCamera,
        microphone: SimulatedMicrophone,
        power: SimulatedPower,
        dock: SimulatedDock,
    ) -> None:
        self._scheduler, self._panel, self._power = scheduler, panel, power
        self._switches = {
            "dock": _Switch("In the dock", "dock", "undock", dock.put, dock.docked),
            "camera": _Switch(
                "Camera stalls", "camera stalls", "camera delivers again",
                lambda on: setattr(camera, "stalled", on), lambda: camera.stalled,
            ),
            "microphone": _Switch(
                "Microphone unplugged", "microphone is unplugged", "microphone is plugged in",
                lambda on: setattr(microphone, "stalled", on), lambda: microphone.stalled,
            ),
            "front-light": _Switch(
                "Front light broken", "front light fails", "front light is repaired",
                self._break_light, lambda: panel.is_broken("front_light"),
            ),
            "undervoltage": _Switch(
                "Undervoltage", "undervoltage", "undervoltage is over",
                lambda on: setattr(power, "undervoltage", on), lambda: power.undervoltage,
            ),
        }  # fmt: skip

    def watch_levels(self, heard: HeardLevel) -> None:
        def watched(output: str, shown: Shown) -> None:
            heard(output, shown.at_ns, shown.level, shown.pattern)

        self._panel.watched = watched

    def move(self, button: str, *, pressed: bool) -> None:
        act = self._panel.press if pressed else self._panel.release
        self._scheduler.post(lambda: act(button))

    def switches(self) -> list[dict[str, Any]]:
        toggles = [
            {"type": "toggle", "id": name, "label": item.label, "on": item.on, "off": item.off}
            for name, item in self._switches.items()
        ]
        choice = {"type": "choice", "id": "battery", "label": "Battery, %", "sentence": BATTERY,
                  "values": list(CHARGES)}  # fmt: skip
        return [*toggles, choice]

    def do(self, sentence: str) -> None:
        self._scheduler.post(self._act(sentence))

    def on(self) -> list[str]:
        return [name for name, item in self._switches.items() if item.is_on()]

    def _act(self, sentence: str) -> Callable[[], None]:
        for item in self._switches.values():
            if sentence in (item.on, item.off):
                return lambda: item.turn(sentence == item.on)
        for percent in CHARGES:
            if sentence == BATTERY.format(percent):
                return lambda: self._power.set(int(percent))
        raise ValueError(f"This camera has no switch for {sentence!r}.")

    def _break_light(self, on: bool) -> None:
        change = self._panel.break_output if on else self._panel.repair_output
        change("front_light")
