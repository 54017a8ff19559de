"""The agent's loop and lanes: what they promise, and their form in real time.

The agent has no concurrent logic: every callback runs on the loop, one after another, at a time
that stands still while it runs. Slow work goes to a named first-in-first-out lane; its outcome
comes back as a callback. `sim.world.virtual_loop` has the same in virtual time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from hal.ports import Timer


class Outcome(NamedTuple):
    """The outcome of a lane's job: a value, or the `OSError` or `ValueError` that ended it."""

    value: Any
    error: Exception | None


Job = Callable[[], Any]
Done = Callable[[Outcome], None]

# Any other exception is a bug on the evidence path and ends the process (docs/decisions/0002).
EXPECTED_ERRORS = (OSError, ValueError)

# Jobs waiting in one lane. The recorder groups its commits, so that only a stuck disk gets here.
LANE_LIMIT = 4096


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


def run_job(job: Job) -> Outcome:
    """Runs a job; what a caller must expect becomes an outcome, anything else goes up."""
    try:
        return Outcome(job(), None)
    except EXPECTED_ERRORS as error:
        return Outcome(None, error)
