"""When a service ends: what is under way is finished first."""

from __future__ import annotations

import os
import select
import signal


class Stopped:
    """Set by SIGINT and SIGTERM. No `threading.Event`: its lock is not for signal handlers, and a
    second signal would wait for ever for what the first one interrupted."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._is_set = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)

    def wait(self, seconds: float) -> bool:
        """Whether it is set, at the latest after so long."""
        if not self._is_set:
            select.select([self._read], [], [], seconds)
        return self._is_set

    def _hear(self, *_: object) -> None:
        if not self._is_set:
            self._is_set = True
            os.write(self._write, b"x")


def until_stopped() -> Stopped:
    return Stopped()
