"""The agent's side of the panel process: indicators, buttons, and a process that is kept alive."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from hal.panel.face import HeardLevel
from hal.ports import Button, Edge, HardwareError, Indicator, Level, Pattern
from hal.rpi.capture.capture_process import python_command
from hal.rpi.panel.panel_messages import BUTTONS, OUTPUTS, as_json

MODULE = "hal.rpi.panel.panel_child"
START_S = 20.0
PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
# Orders that wait for a panel process that does not read: the newest state of each output is what
# a new process is told anyway.
WAITING = 200
# Without a word for so long it hangs, and its pins with it.
SILENT_S, LOOK_AGAIN_S = 1.2, 0.2


class RemoteIndicator:
    """`hal.ports.Indicator`. Remembers what is shown, for a process that starts anew."""

    def __init__(self, name: str, send: Callable[[dict[str, Any]], None]) -> None:
        self._name, self._send = name, send
        self.shown: dict[str, Any] | None = None
        self.failed: Callable[[str], None] = lambda reason: None

    def show(self, pattern: Pattern, lease_until_ns: int | None, then: Pattern) -> None:
        self.shown = {
            "output": self._name,
            "show": as_json(pattern),
            "until_ns": lease_until_ns,
            "then": as_json(then),
        }
        self._send(self.shown)

    def play(self, pattern: Pattern) -> None:
        self._send({"output": self._name, "play": as_json(pattern)})

    def watch(self, failed: Callable[[str], None]) -> None:
        self.failed = failed


class RemoteButton:
    def __init__(self) -> None:
        self.listener: Callable[[Edge], None] = lambda edge: None

    def listen(self, listener: Callable[[Edge], None]) -> None:
        self.listener = listener


class RemotePanel:
    """Has the attributes of `hal.panel.gpio_panel.Panel`."""

    def __init__(self, asked: Mapping[str, Any], interpreter: str = "") -> None:
        """Waits until the pins are open. Raises `HardwareError`."""
        self._asked, self._command = dict(asked), python_command(MODULE, interpreter)
        self._orders: queue.Queue[dict[str, Any]] = queue.Queue(WAITING)
        self._indicators = {name: RemoteIndicator(name, self._order) for name in OUTPUTS}
        self._buttons = {name: RemoteButton() for name in BUTTONS}
        self._closing = False
        self._heard_level: HeardLevel = lambda output, at_ns, level, pattern: None
        self.dropped = 0
        self.docked = False
        self._held: set[str] = set()
        self._heard = threading.Event()
        self.process = self._spawn()
        for work in (self._listen, self._write, self._watch):
            threading.Thread(target=work, name="panel", daemon=True).start()

    @property
    def front_light(self) -> Indicator:
        return self._indicators["front light"]

    @property
    def status_light(self) -> Indicator:
        return self._indicators["status light"]

    @property
    def beeper(self) -> Indicator:
        return self._indicators["beeper"]

    @property
    def haptic(self) -> Indicator:
        return self._indicators["vibration"]

    @property
    def record_button(self) -> Button:
        return self._buttons["record"]

    @property
    def marker_button(self) -> Button:
        return self._buttons["marker"]

    @property
    def trigger(self) -> Button:
        return self._buttons["trigger"]

    @property
    def dock(self) -> Button:
        return self._buttons["dock"]

    def watch_levels(self, heard: HeardLevel) -> None:
        """Every level that is driven from now on, where the panel was asked to tell them."""
        self._heard_level = heard

    def press(self, button: str) -> None:
        """On mock pins: "record" or "marker"."""
        self._order({"press": button, "down": True})

    def release(self, button: str) -> None:
        self._order({"press": button, "down": False})

    def close(self, patience_s: float = 3.0) -> None:
        """Dark; the process ends."""
        self._closing = True
        _end_input(self.process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(patience_s)

    # --- the process --------------------------------------------------------------------------

    def _spawn(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(  # noqa: S603 - our own module, with our own interpreter
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(self._asked) + "\n")
        process.stdin.flush()
        overdue = threading.Timer(START_S, process.kill)
        overdue.start()
        first = process.stdout.readline()
        overdue.cancel()
        try:
            said = json.loads(first)
        except ValueError:
            said = {}
        if not said.get("ready"):
            process.kill()
            process.wait()
            reason = said.get("unusable", "The panel's process ended before it was ready.")
            raise HardwareError(reason, said.get("remedy", "Run 'bwv check' to see more."))
        self.docked = bool(said.get("docked"))
        self._heard.set()
        return process

    def _order(self, order: dict[str, Any]) -> None:
        try:
            self._orders.put_nowait(order)
        except queue.Full:
            self.dropped += 1

    def _write(self) -> None:
        while True:
            line = json.dumps(self._orders.get()) + "\n"
            process = self.process
            with contextlib.suppress(OSError, ValueError):
                assert process.stdin is not None
                process.stdin.write(line)
                process.stdin.flush()

    def _listen(self) -> None:
        while not self._closing:
            assert self.process.stdout is not None
            try:
                for line in self.process.stdout:
                    self._hear(json.loads(line))
            except Exception:  # nonsense: another process is made, and this thread makes it
                self.process.kill()
            if not self._closing:
                self._again()

    def _watch(self) -> None:
        """A process that hangs holds its pins as they are: it must end, so that the kernel lets
        them go."""
        while not self._closing:
            self._heard.clear()
            process = self.process
            if self._heard.wait(SILENT_S) or self._heard.wait(LOOK_AGAIN_S):
                continue  # the second look: it may be this process that stood still
            if not self._closing and process is self.process:
                process.kill()
                self._heard.wait(START_S)

    def _hear(self, said: dict[str, Any]) -> None:
        self._heard.set()
        if "button" in said:
            name, pressed = said["button"], bool(said["pressed"])
            if name != "dock":
                (self._held.add if pressed else self._held.discard)(name)
            self._buttons[name].listener(Edge(pressed, said["at_ns"]))
        elif "level" in said:
            self._heard_level(said["output"], said["at_ns"], Level(said["level"]), said["pattern"])
        elif "failed" in said:
            self._indicators[said["output"]].failed(said["failed"])

    def _again(self) -> None:
        """The kernel let the pins go with the process: they are dark until a new one drives
        them."""
        self.process.wait()
        pause_s = PAUSE_S
        for indicator in self._indicators.values():
            indicator.failed("the panel's process ended")
        now_ns = time.monotonic_ns()
        for name in self._held:  # nobody knows any more for how long: it must not count as a hold
            self._buttons[name].listener(Edge(False, now_ns))
        self._held.clear()
        while not self._closing:
            try:
                self.process = self._spawn()
                break
            except Exception:  # pins that can't be opened now may be later
                threading.Event().wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        for indicator in self._indicators.values():
            if indicator.shown is not None:
                self._order(indicator.shown)


def _end_input(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError, ValueError):
        process.stdin.close()
