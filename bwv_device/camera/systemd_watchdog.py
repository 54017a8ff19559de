"""Tells systemd that the camera is ready, what it does, and that it is alive (sd_notify(3)).

Alive means: (1) the loop turns, (2) pictures arrive when they should, (3) the disk lane finishes
its jobs. If one of them fails the watchdog is not fed, and systemd restarts the camera.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from functools import partial

from bwv_device.camera.loop import Loop
from hal.ports import SECOND_NS

# What may pass without pictures (a capture process starts anew meanwhile), or without an answer of
# the disk's lane, before it counts against the camera.
PATIENCE_NS = 20 * SECOND_NS

Notify = Callable[[str], None]


def notifier(environment: Mapping[str, str] = os.environ) -> Notify:
    """Sends to the supervisor's socket; does nothing where there is none."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return lambda words: None
    target = "\0" + address[1:] if address.startswith("@") else address

    def notify(words: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.connect(target)
                sender.sendall(words.encode())
            except OSError:  # a supervisor that is gone needs no news
                return

    return notify


def watchdog_ns(environment: Mapping[str, str] = os.environ) -> int:
    """How often at least the supervisor wants to hear from this process; 0 for never."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0
    text = environment.get("WATCHDOG_USEC", "0")
    return int(text) * 1000 if text.isdigit() else 0


class Watchdog:
    """Feeds the supervisor while all conditions hold; names the first that does not."""

    def __init__(self, loop: Loop, notify: Notify, pictures_age_ns: Callable[[], int]) -> None:
        """`pictures_age_ns`: since when pictures are due and did not come."""
        self._loop, self._notify, self._pictures_age_ns = loop, notify, pictures_age_ns
        self._asked_ns: int | None = None
        self._said = ""

    def start(self, every_ns: int) -> None:
        self._look(max(every_ns // 3, SECOND_NS // 10))

    def failing(self) -> str:
        """The name of a condition that does not hold, or ""."""
        if self._pictures_age_ns() > PATIENCE_NS:
            return "pictures arrive"
        if self._asked_ns is not None and self._loop.now_ns() - self._asked_ns > PATIENCE_NS:
            return "the disk's lane is alive"
        return ""

    def _look(self, step_ns: int) -> None:
        failing = self.failing()
        if not failing:
            self._notify("WATCHDOG=1")
        elif failing != self._said:
            self._notify(f"STATUS=not so any more: {failing}")
        self._said = failing
        if self._asked_ns is None:
            self._asked_ns = self._loop.now_ns()
            self._loop.lane("disk").submit(lambda: None, lambda outcome: self._answered())
        self._loop.call_at(self._loop.now_ns() + step_ns, partial(self._look, step_ns))

    def _answered(self) -> None:
        self._asked_ns = None
