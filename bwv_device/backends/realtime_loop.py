"""The loop and its lanes in real time: threads, and sleep until the next timer."""

from __future__ import annotations

import contextlib
import queue
import threading
from functools import partial

from bwv_device.camera.loop import LANE_LIMIT, Done, Job, Lane, LaneFullError, run_job
from hal.ports import Clock
from hal.scheduler import RealScheduler

# How long a lane other than the disk's may hold the end up.
PATIENCE_S = 2.0


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
