"""The agent's loop and lanes: what they promise, and their form in real time.

The agent has no concurrent logic: every callback runs on the loop, one after another, at a time
that stands still while it runs. Slow work goes to a named first-in-first-out lane; its outcome
comes back as a callback. `sim.loop` has the same in virtual time.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

from hal.ports import Clock, Timer
from hal.scheduler import RealScheduler


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


class RealLoop(RealScheduler):
    """Sleeps until the next timer or post. `run` returns after `stop`, when the lanes have finished
    what they hold: the disk's for as long as it takes, the others' for a while."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._lanes: dict[str, RealLane] = {}

    def lane(self, name: str) -> Lane:
        if name not in self._lanes:
            self._lanes[name] = RealLane(name, self)
        return self._lanes[name]

    def _finish(self) -> None:
        for name, lane in self._lanes.items():
            lane.close(None if name == "disk" else PATIENCE_S)


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
