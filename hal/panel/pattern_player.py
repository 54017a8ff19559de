"""Plays patterns on one output, on absolute deadlines, and only while the lease lasts.

gpiozero and its kin give pins, not time: their blinking runs in threads of its own and dies of one
exception. The schedule here is the same on hardware and in simulation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hal.ports import SECOND_NS, Level, Pattern, Scheduler, Step, Timer

DARK = Pattern("dark", (Step(Level.OFF, 0),))

# One-time patterns that wait for their turn; more are dropped, and counted.
QUEUE_LIMIT = 8
RETRY_NS = SECOND_NS

Observer = Callable[[int, Level, str], None]


class PatternPlayer:
    """`hal.ports.Indicator` over a `drive` function that sets the level of real pins.

    Everything happens on the scheduler's thread, so an agent that hangs can't hold a lease open.
    `observe` hears every level with its time and the name of its pattern.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        drive: Callable[[Level], None],
        observe: Observer = lambda at_ns, level, pattern: None,
    ) -> None:
        self._scheduler, self._drive, self._observe = scheduler, drive, observe
        self._failed: Callable[[str], None] = lambda reason: None
        self._pattern = self._then = DARK
        self._started_ns = 0
        self._lease: Timer | None = None
        self._once: deque[Pattern] = deque()
        self._playing: Pattern | None = None
        self._edge: Timer | None = None
        self._level: Level | None = None
        self._retry: Timer | None = None
        self.dropped = 0

    def show(self, pattern: Pattern, lease_until_ns: int | None, then: Pattern) -> None:
        self._scheduler.post(lambda: self._show(pattern, lease_until_ns, then))

    def play(self, pattern: Pattern) -> None:
        self._scheduler.post(lambda: self._play(pattern))

    def watch(self, failed: Callable[[str], None]) -> None:
        self._failed = failed

    def _show(self, pattern: Pattern, lease_until_ns: int | None, then: Pattern) -> None:
        if self._lease:
            self._lease.cancel()
            self._lease = None
        self._then = then
        self._switch(pattern)
        if lease_until_ns is not None:
            self._lease = self._scheduler.call_at(lease_until_ns, self._lease_over)

    def _play(self, pattern: Pattern) -> None:
        if len(self._once) >= QUEUE_LIMIT:
            self.dropped += 1
            return
        self._once.append(pattern)
        if self._playing is None:
            self._next_once()

    def _lease_over(self) -> None:
        self._lease = None
        # What has to be said now does not wait behind beeps.
        self._once.clear()
        self._playing = None
        self._level = None if self._pattern == self._then else self._level
        self._switch(self._then)

    def _switch(self, pattern: Pattern) -> None:
        if pattern == self._pattern and self._level is not None:
            return
        self._pattern, self._started_ns = pattern, self._scheduler.now_ns()
        if self._playing is None:
            self._render(pattern, self._started_ns)

    def _next_once(self) -> None:
        now_ns = self._scheduler.now_ns()
        if self._once:
            self._playing = self._once.popleft()
            self._render(self._playing, now_ns)
        else:
            self._playing = None
            self._render(self._pattern, self._started_ns)

    def _render(self, pattern: Pattern, started_ns: int) -> None:
        """Sets the level of this moment and comes back at the next edge."""
        if self._edge:
            self._edge.cancel()
            self._edge = None
        now_ns = self._scheduler.now_ns()
        elapsed_ns = now_ns - started_ns
        if pattern.once and elapsed_ns >= pattern.length_ns:
            self._next_once()
            return
        position_ns = elapsed_ns % pattern.length_ns if pattern.length_ns else 0
        for step in pattern.steps:
            if position_ns < step.duration_ns or not step.duration_ns:
                break
            position_ns -= step.duration_ns
        self._set(step.level, pattern)
        if step.duration_ns:
            edge_ns = now_ns + step.duration_ns - position_ns
            self._edge = self._scheduler.call_at(edge_ns, lambda: self._render(pattern, started_ns))

    def _set(self, level: Level, pattern: Pattern) -> None:
        try:
            if level is not self._level:
                self._drive(level)
                self._level = level
            self._observe(self._scheduler.now_ns(), level, pattern.name)
        except Exception as error:  # whatever a pin library throws must not end the schedule
            self._level = None
            self._failed(f"{type(error).__name__}: {error}")
            if self._retry is None:
                again_ns = self._scheduler.now_ns() + RETRY_NS
                self._retry = self._scheduler.call_at(again_ns, self._try_again)

    def _try_again(self) -> None:
        """A steady level has no next edge that would bring it back."""
        self._retry = None
        if self._playing is None:
            self._render(self._pattern, self._started_ns)
