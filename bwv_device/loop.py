"""The agent's loop and lanes: what they promise, and their form in real time.

The agent has no concurrent logic: every callback runs on the loop, one after another, at a time
that stands still while it runs. Slow work goes to a named first-in-first-out lane; its outcome
comes back as a callback. `sim.loop` has the same in virtual time.
"""

from __future__ import annotations

import contextlib
import heapq
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

from hal.ports import Clock, Timer


class Outcome(NamedTuple):
    """What a lane's job came to: a value, or the `OSError` or `ValueError` that ended it."""

    value: Any
    error: Exception | None


Job = Callable[[], Any]
Done = Callable[[Outcome], None]

# Any other exception is a bug on the evidence path and ends the process (docs/decisions/0002).
EXPECTED_ERRORS = (OSError, ValueError)

# Jobs waiting in one lane. The recorder groups its commits, so that only a stuck disk gets here.
LANE_LIMIT = 4096

# How long a lane other than the disk's may hold the end up.
PATIENCE_S = 2.0


class Lane(Protocol):
    """Runs jobs one after another, off the loop."""

    def submit(self, job: Job, done: Done) -> None:
        """`done` is called on the loop. Raises `LaneFullError` at the limit."""
        ...


class LaneFullError(RuntimeError):
    """A lane has more jobs waiting than it may."""


class Loop(Protocol):
    def now_ns(self) -> int:
        """Monotonic time; stands still within a callback."""
        ...

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Timer: ...

    def post(self, callback: Callable[[], None]) -> None:
        """From any thread: run soon, in the order of posting."""
        ...

    def lane(self, name: str) -> Lane: ...


@dataclass(slots=True, order=True)
class Alarm:
    """A timer in a heap, ordered by time and then by the order of setting."""

    when_ns: int
    order: int
    callback: Callable[[], None] | None

    def cancel(self) -> None:
        self.callback = None


class RealLoop:
    """Sleeps until the next timer or post. `run` returns after `stop`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now_ns = clock.monotonic_ns()
        self._alarms: list[Alarm] = []
        self._order = 0
        self._posted: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._running = True
        self._lanes: dict[str, RealLane] = {}
        self._fatal: BaseException | None = None
        self._thread: int | None = None

    def now_ns(self) -> int:
        """From another thread: the clock itself, not the time of the last callback."""
        if self._thread not in (None, threading.get_ident()):
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

    def lane(self, name: str) -> Lane:
        if name not in self._lanes:
            self._lanes[name] = RealLane(name, self)
        return self._lanes[name]

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
        """Runs callbacks until `stop`, then lets the lanes finish what they hold: the disk's for as
        long as it takes, the others' for a while."""
        self._thread = threading.get_ident()
        while self._running:
            self._run_due(self._wait())
        for name, lane in self._lanes.items():
            lane.close(None if name == "disk" else PATIENCE_S)
        if self._fatal:
            raise self._fatal

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


class RealLane:
    """A thread of its own."""

    def __init__(self, name: str, loop: RealLoop) -> None:
        self._loop = loop
        self._jobs: queue.Queue[tuple[Job, Done] | None] = queue.Queue(LANE_LIMIT)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job, done: Done) -> None:
        try:
            self._jobs.put_nowait((job, done))
        except queue.Full:
            raise LaneFullError(f"{self._thread.name}: {LANE_LIMIT} jobs wait") from None

    def close(self, patience_s: float | None) -> None:
        """Waits for the jobs already submitted."""
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._jobs.put(None, timeout=patience_s)
            self._thread.join(patience_s)

    def _work(self) -> None:
        while (task := self._jobs.get()) is not None:
            job, done = task
            try:
                outcome = run_job(job)
            except BaseException as error:
                self._loop.die(error)
                return
            self._loop.post(partial(done, outcome))


def run_job(job: Job) -> Outcome:
    """Runs a job; what a caller must expect becomes an outcome, anything else goes up."""
    try:
        return Outcome(job(), None)
    except EXPECTED_ERRORS as error:
        return Outcome(None, error)
