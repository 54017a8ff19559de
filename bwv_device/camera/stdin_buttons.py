"""Turns words on standard input into button presses with human timing, for a camera without
buttons.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from bwv_device.settings import Settings, milliseconds
from hal.ports import Scheduler

BETWEEN_MS = 250


class Pressable(Protocol):
    """`button` is "record" or "marker"."""

    def press(self, button: str) -> None: ...

    def release(self, button: str) -> None: ...


class StdinButtons:
    """record (pressed twice), stop (held), mark, snapshot, flag; dock and undock where there is
    something that can be put into it."""

    def __init__(
        self,
        buttons: Pressable,
        scheduler: Scheduler,
        settings: Settings,
        dock: Callable[[bool], None] | None = None,
    ) -> None:
        self._buttons, self._scheduler, self._dock = buttons, scheduler, dock
        held = settings.buttons
        self._presses = {
            "record": ("record", 2, 100),
            "stop": ("record", 1, held.stop_hold_ms + 100),
            "mark": ("marker", 1, 100),
            "snapshot": ("marker", 2, 100),
            "flag": ("marker", 1, held.flag_hold_ms + 100),
        }

    def start(self) -> None:
        threading.Thread(target=self._read, name="fingers", daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            word = line.strip().lower()
            if word in self._presses:
                self._scheduler.post(partial(self._press, *self._presses[word]))
            elif word in ("dock", "undock") and self._dock is not None:
                self._scheduler.post(partial(self._dock, word == "dock"))
            elif word:
                known = ", ".join([*self._presses, *(["dock", "undock"] if self._dock else [])])
                asked = word in ("help", "?")
                print(
                    f"Buttons: {known}."
                    if asked
                    else f"There is no button {word!r}. Buttons: {known}.",
                    file=sys.stderr,
                )

    def _press(self, button: str, times: int, held_ms: int) -> None:
        now_ns = self._scheduler.now_ns()
        for number in range(times):
            down_ns = now_ns + milliseconds(BETWEEN_MS * number)
            up_ns = down_ns + milliseconds(held_ms)
            self._scheduler.call_at(down_ns, lambda: self._buttons.press(button))
            self._scheduler.call_at(up_ns, lambda: self._buttons.release(button))
