"""Contains the errors of an optional part of the agent: they are written down and end nothing else.

On the evidence path it is the opposite: an unexpected error ends the process
(docs/decisions/0002).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bwv_device.camera.loop import Done, LaneFullError, Loop, Outcome


class ErrorBoundary:
    """`failed` is called with each unexpected error."""

    def __init__(self, loop: Loop, lane: str, failed: Callable[[Exception], None]) -> None:
        self._lane, self._failed = loop.lane(lane), failed

    def run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._failed(error)

    def submit(self, job: Callable[[], Any], done: Done) -> None:
        """Runs a job in this part's lane. Whatever it raises becomes its outcome."""

        def contained() -> Any:
            try:
                return job()
            except (OSError, ValueError):
                raise
            except Exception as error:
                raise OSError(f"{type(error).__name__}: {error}") from error

        def finished(outcome: Outcome) -> None:
            self.run(lambda: done(outcome))

        try:
            self._lane.submit(contained, finished)
        except LaneFullError as error:
            full = OSError(str(error))
            self.run(lambda: done(Outcome(None, full)))
