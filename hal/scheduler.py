"""Timers and posts in real time, on one thread: `hal.ports.Scheduler`."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from hal.ports import Clock, Timer


@dataclass(slots=True, order=True)
class Alarm:
    """A timer in a heap, ordered by time and then by the order of setting."""

    when_ns: int
    order: int
    callback: Callable[[], None] | None

    def cancel(self) -> None:
        self.callback = None


class RealScheduler:
    """Sleeps until the next timer or post. `run` returns after `stop`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now_ns = clock.monotonic_ns()
        self._alarms: list[Alarm] = []
        self._order = 0
        self._posted: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._running = True
        self._fatal: BaseException | None = None
        self._thread: int | None = None

    def now_ns(self) -> int:
        """From another thread: the clock itself, not the time of the last callback."""
        if self._thread != threading.get_ident():
            return self._clock.monotonic_ns()
        return self._now_ns

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Timer:
        """From the loop's own thread, or before it runs."""
        self._order += 1
        alarm = Alarm(when_ns, self._order, callback)
        heapq.heappush(self._alarms, alarm)
        return alarm

    def post(self, callback: Callable[[], None]) -> None:
        with self._wake:
            self._posted.append(callback)
            self._wake.notify()

    def stop(self) -> None:
        """Ends `run` after the callbacks already posted. From any thread."""

        def leave() -> None:
            self._running = False

        self.post(leave)

    def die(self, error: BaseException) -> None:
        """Ends `run` with `error`: a thread met what must not be survived."""
        self._fatal = error
        self.stop()

    def run(self) -> None:
        """Runs callbacks until `stop`. Raises what `die` was told."""
        self._thread = threading.get_ident()
        while self._running:
            self._run_due(self._wait())
        self._finish()
        if self._fatal:
            raise self._fatal

    def _finish(self) -> None:
        """What remains to be done at the end."""

    def _wait(self) -> list[Callable[[], None]]:
        with self._wake:
            while not self._posted:
                due_ns = self._next_due_ns()
                wait_ns = None if due_ns is None else due_ns - self._clock.monotonic_ns()
                if wait_ns is not None and wait_ns <= 0:
                    break
                self._wake.wait(None if wait_ns is None else wait_ns / 1e9)
            # One by one: a signal handler may post in between.
            return [self._posted.popleft() for _ in range(len(self._posted))]

    def _run_due(self, posted: list[Callable[[], None]]) -> None:
        for callback in posted:
            self._now_ns = self._clock.monotonic_ns()
            callback()
        while (due_ns := self._next_due_ns()) is not None and self._running:
            self._now_ns = self._clock.monotonic_ns()
            if due_ns > self._now_ns:
                return
            callback_due = heapq.heappop(self._alarms).callback
            if callback_due is not None:  # cancelled meanwhile, from another thread
                callback_due()

    def _next_due_ns(self) -> int | None:
        while self._alarms and self._alarms[0].callback is None:
            heapq.heappop(self._alarms)
        return self._alarms[0].when_ns if self._alarms else None
