"""The agent's loop in virtual time: no threads, no waiting, the same run every time."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

from bwv_device.camera.loop import LANE_LIMIT, Done, Job, Lane, LaneFullError, Outcome, run_job
from hal.ports import Scheduler, Timer
from hal.scheduler import Alarm


class VirtualLoop:
    """Callbacks in order of time, then of setting. A world shares it with the agents it hosts."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns
        self._alarms: list[tuple[int, int, Alarm]] = []  # compared by time, then by setting
        self._order = 0
        self.events = 0

    def now_ns(self) -> int:
        return self._now_ns

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Timer:
        self._order += 1
        alarm = Alarm(max(when_ns, self._now_ns), self._order, callback)
        heapq.heappush(self._alarms, (alarm.when_ns, self._order, alarm))
        return alarm

    def post(self, callback: Callable[[], None]) -> None:
        self.call_at(self._now_ns, callback)

    def next_ns(self) -> int | None:
        """When the next callback is due."""
        while self._alarms and self._alarms[0][2].callback is None:
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def run_until(self, until_ns: int) -> None:
        """Runs every callback up to `until_ns`, and leaves the time there."""
        alarms = self._alarms
        while alarms and alarms[0][0] <= until_ns:
            self._now_ns, _, alarm = heapq.heappop(alarms)
            if alarm.callback is None:
                continue
            self.events += 1
            alarm.callback()
        self._now_ns = max(self._now_ns, until_ns)


class BootTime:
    """A shared loop, with time counted from the moment when a device was switched on."""

    def __init__(self, world: VirtualLoop, origin_ns: int) -> None:
        self._world, self.origin_ns = world, origin_ns

    def now_ns(self) -> int:
        return self._world.now_ns() - self.origin_ns

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Timer:
        return self._world.call_at(when_ns + self.origin_ns, callback)

    def post(self, callback: Callable[[], None]) -> None:
        self._world.post(callback)


class AgentLoop:
    """One agent's view of a shared loop. After `end` nothing of that agent runs any more. `died` is
    the exception that ended it, as it would end the process."""

    def __init__(self, world: Scheduler, busy_ns: Callable[[], int] = lambda: 0) -> None:
        self._world, self._busy_ns = world, busy_ns
        self._lanes: dict[str, VirtualLane] = {}
        self._alive = True
        self.died: Exception | None = None

    def now_ns(self) -> int:
        return self._world.now_ns()

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Timer:
        return self._world.call_at(when_ns, lambda: self._run(callback))

    def post(self, callback: Callable[[], None]) -> None:
        self.call_at(self.now_ns(), callback)

    def lane(self, name: str) -> Lane:
        if name not in self._lanes:
            self._lanes[name] = VirtualLane(name, self, self._busy_ns)
        return self._lanes[name]

    def end(self) -> None:
        """The agent is gone, as after a power cut."""
        self._alive = False

    def _run(self, callback: Callable[[], None]) -> None:
        if not self._alive:
            return
        try:
            callback()
        except Exception as error:
            self.died = error
            raise


class VirtualLane:
    """Jobs take the time that the simulated disk says they would have taken."""

    def __init__(self, name: str, loop: AgentLoop, busy_ns: Callable[[], int]) -> None:
        self._name, self._loop, self._busy_ns = name, loop, busy_ns
        self._jobs: deque[tuple[Job, Done]] = deque()
        self._working = False

    def submit(self, job: Job, done: Done) -> None:
        if len(self._jobs) >= LANE_LIMIT:
            raise LaneFullError(f"{self._name}: {LANE_LIMIT} jobs wait")
        self._jobs.append((job, done))
        if not self._working:
            self._working = True
            self._loop.post(self._work)

    def _work(self) -> None:
        job, done = self._jobs.popleft()
        self._busy_ns()
        outcome = run_job(job)
        self._loop.call_at(
            self._loop.now_ns() + self._busy_ns(), lambda: self._finish(done, outcome)
        )

    def _finish(self, done: Done, outcome: Outcome) -> None:
        self._working = bool(self._jobs)
        if self._working:
            self._loop.post(self._work)
        done(outcome)
