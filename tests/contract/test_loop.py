"""One suite for the loop and its lanes, in virtual and in real time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from bwv_device.backends.realtime_loop import RealLoop
from bwv_device.camera.loop import LANE_LIMIT, LaneFullError, Loop, Outcome
from hal.host import HostClock
from sim.world.virtual_loop import AgentLoop, VirtualLoop

MS = 1_000_000


class Runner:
    """A loop, and how to run it until `finish` was called on it."""

    def __init__(self, loop: Loop, run: Callable[[], None], stop: Callable[[], None]) -> None:
        self.loop, self.run, self.finish = loop, run, stop


@pytest.fixture(params=["virtual", "real"])
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    if request.param == "real":
        loop = RealLoop(HostClock())
        yield Runner(loop, loop.run, loop.stop)
        return
    world = VirtualLoop()
    yield Runner(AgentLoop(world), lambda: world.run_until(3600 * 1000 * MS), lambda: None)


def test_timers_fire_in_order_of_time_then_of_setting(runner: Runner) -> None:
    loop, seen = runner.loop, []
    start_ns = loop.now_ns()
    loop.call_at(start_ns + 20 * MS, lambda: seen.append("c"))
    loop.call_at(start_ns + 10 * MS, lambda: seen.append("a"))
    loop.call_at(start_ns + 10 * MS, lambda: seen.append("b"))
    loop.call_at(start_ns + 30 * MS, runner.finish)
    runner.run()
    assert seen == ["a", "b", "c"]


def test_a_timer_is_never_early(runner: Runner) -> None:
    loop, seen = runner.loop, []
    due_ns = loop.now_ns() + 5 * MS
    loop.call_at(due_ns, lambda: seen.append(loop.now_ns() - due_ns))
    loop.call_at(due_ns + 5 * MS, runner.finish)
    runner.run()
    assert seen[0] >= 0


def test_a_cancelled_timer_never_fires(runner: Runner) -> None:
    loop, seen = runner.loop, []
    timer = loop.call_at(loop.now_ns() + 5 * MS, lambda: seen.append("never"))
    loop.call_at(loop.now_ns() + 1 * MS, timer.cancel)
    loop.call_at(loop.now_ns() + 10 * MS, runner.finish)
    runner.run()
    assert seen == []


def test_posts_run_in_order_and_before_they_could_be_overtaken(runner: Runner) -> None:
    loop, seen = runner.loop, []

    def first() -> None:
        seen.append("first")
        loop.post(lambda: seen.append("third"))

    loop.post(first)
    loop.post(lambda: seen.append("second"))
    loop.call_at(loop.now_ns() + 10 * MS, runner.finish)
    runner.run()
    assert seen == ["first", "second", "third"]


def test_time_stands_still_within_a_callback(runner: Runner) -> None:
    loop, seen = runner.loop, []

    def look() -> None:
        before = loop.now_ns()
        sum(range(50_000))
        seen.append(loop.now_ns() == before)

    loop.post(look)
    loop.call_at(loop.now_ns() + 10 * MS, runner.finish)
    runner.run()
    assert seen == [True]


def test_a_lane_works_first_in_first_out_and_answers_on_the_loop(runner: Runner) -> None:
    loop, seen = runner.loop, []
    lane = loop.lane("disk")
    home = threading.get_ident()

    def job(number: int) -> int:
        seen.append(("job", number))
        return number

    def done(outcome: Outcome) -> None:
        assert threading.get_ident() == home
        seen.append(("done", outcome.value))
        if outcome.value == 4:
            runner.finish()

    def submit() -> None:
        for number in range(5):
            lane.submit(lambda number=number: job(number), done)

    loop.post(submit)
    runner.run()
    assert [n for what, n in seen if what == "job"] == [0, 1, 2, 3, 4]
    assert [n for what, n in seen if what == "done"] == [0, 1, 2, 3, 4]


def test_an_expected_error_is_an_outcome(runner: Runner) -> None:
    loop, seen = runner.loop, []

    def fail() -> None:
        raise OSError(5, "input/output error")

    def done(outcome: Outcome) -> None:
        seen.append(type(outcome.error))
        runner.finish()

    loop.post(lambda: loop.lane("disk").submit(fail, done))
    runner.run()
    assert seen == [OSError]


def test_a_bug_in_a_lane_ends_the_run(runner: Runner) -> None:
    loop = runner.loop

    def bug() -> None:
        raise KeyError("a bug")

    loop.post(lambda: loop.lane("disk").submit(bug, lambda outcome: None))
    with pytest.raises(KeyError):
        runner.run()


def test_a_lane_is_bounded(runner: Runner) -> None:
    lane = runner.loop.lane("disk")
    gate = threading.Event()
    accepted = 0
    try:
        for _ in range(LANE_LIMIT + 2):
            lane.submit(lambda: gate.wait(10), lambda outcome: None)
            accepted += 1
    except LaneFullError:
        pass
    gate.set()
    assert LANE_LIMIT <= accepted <= LANE_LIMIT + 1


def test_an_ended_agent_runs_nothing_more() -> None:
    world, seen = VirtualLoop(), []
    agent, other = AgentLoop(world), AgentLoop(world)
    agent.call_at(10, lambda: seen.append("gone"))
    other.call_at(20, lambda: seen.append("there"))
    agent.end()
    world.run_until(100)
    assert seen == ["there"]


def test_virtual_jobs_take_the_disks_time() -> None:
    world, seen = VirtualLoop(), []
    durations = iter([0, 30, 0, 50])
    agent = AgentLoop(world, lambda: next(durations))
    for _ in range(2):
        agent.lane("disk").submit(lambda: None, lambda outcome: seen.append(world.now_ns()))
    world.run_until(1000)
    assert seen == [30, 80]


def test_another_thread_reads_the_clock_not_the_last_callback() -> None:
    loop, seen = RealLoop(HostClock()), []

    def look() -> None:
        before = loop.now_ns()
        threading.Event().wait(0.05)
        seen.append(loop.now_ns() - before)
        loop.stop()

    loop.post(lambda: threading.Thread(target=look).start())
    loop.run()
    assert seen[0] >= 40 * MS


def test_a_lane_that_hangs_does_not_hold_the_end_up() -> None:
    loop, gate = RealLoop(HostClock()), threading.Event()
    loop.post(lambda: loop.lane("uplink").submit(lambda: gate.wait(60), lambda outcome: None))
    loop.call_at(loop.now_ns() + 10 * MS, loop.stop)
    loop.run()
    assert not gate.is_set()
    gate.set()
