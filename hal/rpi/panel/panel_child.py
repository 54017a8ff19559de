"""The process that owns the pins: it plays patterns, on their leases, and hands edges on.

A process of its own, so that no encoder's load bends a flash, and so that an agent that is killed,
or hangs, can't leave a light behind: when its pipe ends every pin goes dark, and when it is silent
each lease runs out here.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

from hal.host import HostClock
from hal.panel.gpio_panel import Panel, PanelPins
from hal.ports import SECOND_NS, Button, Edge, HardwareError, Indicator, Level
from hal.rpi.capture.child_output import own_pipe
from hal.rpi.panel.panel_messages import BUTTONS, OUTPUTS, pattern_of
from hal.rpi.panel.pin_factory import MOCK, open_factory
from hal.scheduler import RealScheduler

# The agent takes a panel that is silent for longer for one that hangs.
BEAT_NS = SECOND_NS // 2
# Edges that wait for an agent that does not listen.
WORDS = 500


class PanelProcess:
    """One panel between two streams of JSON lines."""

    def __init__(self, asked: dict[str, Any], pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._words: queue.Queue[dict[str, Any]] = queue.Queue(WORDS)
        self._scheduler = RealScheduler(HostClock())
        factory = open_factory(asked["factory"], asked["chip"])
        self._mock = factory if asked["factory"] == MOCK else None
        self._pins: dict[str, int] = asked["pins"]
        light = Daylight(**asked["light"])
        self._panel = Panel(
            PanelPins(**self._pins),
            self._scheduler,
            factory,
            brightness=light.brightness if light.dimmed else None,
            beeper_hz=asked["beeper_hz"],
            observe=self._level if asked.get("tell_levels") else lambda *_: None,
        )
        for name, field in OUTPUTS.items():
            self._output(field).watch(partial(self._failed, name))
        for name, field in BUTTONS.items():
            button: Button = getattr(self._panel, field)
            button.listen(partial(self._edge, name))

    def run(self) -> None:
        """Until the agent's pipe ends."""
        threading.Thread(target=self._talk, name="talk", daemon=True).start()
        self._say(ready=True, docked=self._panel.dock.pressed)
        self._beat()
        threading.Thread(target=self._listen, name="agent", daemon=True).start()
        try:
            self._scheduler.run()
        finally:
            self._panel.close()

    def _beat(self) -> None:
        """From the thread that plays the patterns: as long as that one turns."""
        self._say(beat=True)
        self._scheduler.call_at(self._scheduler.now_ns() + BEAT_NS, self._beat)

    def _listen(self) -> None:
        try:
            for line in sys.stdin:
                with contextlib.suppress(KeyError, TypeError, ValueError):
                    self._obey(json.loads(line))
        finally:  # the agent is gone: dark
            self._scheduler.stop()

    def _obey(self, said: dict[str, Any]) -> None:
        if "press" in said:
            self._press(said["press"], said["down"])
            return
        indicator = self._output(OUTPUTS[said["output"]])
        if "show" in said:
            shown, then = pattern_of(said["show"]), pattern_of(said["then"])
            indicator.show(shown, said["until_ns"], then)
        else:
            indicator.play(pattern_of(said["play"]))

    def _press(self, button: str, down: bool) -> None:
        """On mock pins only: there is nobody else who could."""
        if self._mock is not None:
            pin = self._mock.pin(self._pins[f"{button}_button"])
            (pin.drive_low if down else pin.drive_high)()

    def _output(self, field: str) -> Indicator:
        output: Indicator = getattr(self._panel, field)
        return output

    def _edge(self, button: str, edge: Edge) -> None:
        self._say(button=button, pressed=edge.pressed, at_ns=edge.at_ns)

    def _level(self, output: str, at_ns: int, level: Level, pattern: str) -> None:
        self._say(output=output, level=level.value, pattern=pattern, at_ns=at_ns)

    def _failed(self, output: str, reason: str) -> None:
        self._say(output=output, failed=reason[:200])

    def _say(self, **words: Any) -> None:
        """Never waits: an agent that stands still must not hold up the patterns."""
        with contextlib.suppress(queue.Full):
            self._words.put_nowait(words)

    def _talk(self) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more: standard input ends as well
            while True:
                self._pipe.write((json.dumps(self._words.get()) + "\n").encode())


class Daylight:
    """How bright the front light is, by the hour of the system's own time zone."""

    def __init__(
        self,
        day_percent: int,
        night_percent: int,
        night_from_h: int,
        night_until_h: int,
        hour: Callable[[], int] = lambda: time.localtime().tm_hour,
    ) -> None:
        self._day, self._night = day_percent / 100, night_percent / 100
        self._from_h, self._until_h, self._hour = night_from_h, night_until_h, hour

    @property
    def dimmed(self) -> bool:
        """Whether it is ever less than full."""
        return min(self._day, self._night) < 1

    def brightness(self) -> float:
        hour, start, end = self._hour(), self._from_h, self._until_h
        night = start <= hour < end if start <= end else hour >= start or hour < end
        return self._night if night else self._day


def main() -> None:
    pipe = own_pipe()
    asked = json.loads(sys.stdin.readline() or "{}")
    try:
        process = PanelProcess(asked, pipe)
    except HardwareError as error:
        pipe.write(json.dumps({"unusable": str(error), "remedy": error.remedy}).encode() + b"\n")
        sys.exit(1)
    process.run()
    os._exit(0)  # gpiozero's threads have nothing more to say


if __name__ == "__main__":
    main()
