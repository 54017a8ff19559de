"""A capture process that stalls, dies, floods or talks nonsense, each a real process: the next one
follows, each trouble is told once, and nothing of an earlier one comes late.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from hal.host import HostClock
from hal.ports import SECOND_NS, AccessUnit, CaptureLoss, Impairment, Opened, Stuck, Track
from hal.rpi.capture.capture_process import Allowance, CaptureChild, Patience, python_command

ROOT = Path(__file__).parents[2]
WAIT_S = 20.0
PLENTY = Allowance(10_000, 1 << 24)

# What every scripted child begins with: the real outlet, and an endless stream of units.
PREAMBLE = """
import os, sys, threading, time
sys.path.append({root!r})
from hal.ports import AccessUnit, Track
from hal.rpi.capture.child_output import Outlet, listen, own_pipe
from hal.rpi.capture.pipe_messages import Kind
pipe = own_pipe()
asked = listen(lambda message: outlet.say(Kind.READY, heard=message.kind.name))
outlet = Outlet(pipe, 20_000_000)
print("a library's banner on standard output")
first = not os.path.exists({mark!r})
open({mark!r}, "w").close()
def unit(data=b"x"):
    outlet.unit(AccessUnit(Track.VIDEO, time.monotonic_ns(), 33_000_000, True, data))
def stream(count=10**9):
    for _ in range(count):
        unit()
        time.sleep(0.02)
"""


class Ear:
    """A sink that can be waited for."""

    def __init__(self) -> None:
        self.heard: queue.Queue[object] = queue.Queue()

    def units(self, batch: Sequence[AccessUnit]) -> None:
        for unit in batch:
            self.heard.put(unit)

    def lost(self, loss: CaptureLoss) -> None:
        self.heard.put(loss)

    def impaired(self, impairment: Impairment) -> None:
        self.heard.put(impairment)

    def opened(self, opened: Opened) -> None:
        self.heard.put(opened)

    def stuck(self, stuck: Stuck) -> None:
        self.heard.put(stuck)

    def wait_for(self, wanted: Callable[[object], bool]) -> tuple[object, list[object]]:
        """The first that fits, and what came before it."""
        before = []
        while not wanted(item := self.heard.get(timeout=WAIT_S)):
            before.append(item)
        return item, before


def is_unit(item: object) -> bool:
    return isinstance(item, AccessUnit)


def is_loss(item: object) -> bool:
    return isinstance(item, CaptureLoss)


def is_stuck(item: object) -> bool:
    return isinstance(item, Stuck)


Made = Callable[..., tuple[CaptureChild, Ear]]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    children: list[CaptureChild] = []

    def make(
        script: str, allowance: Allowance = PLENTY, stuck_after: int = 0
    ) -> tuple[CaptureChild, Ear]:
        text = PREAMBLE.format(root=str(ROOT), mark=str(tmp_path / "begun")) + script
        (tmp_path / "child.py").write_text(text)
        command = [sys.executable, str(tmp_path / "child.py")]
        patience = Patience(
            10 * SECOND_NS, SECOND_NS // 2, SECOND_NS // 50, SECOND_NS // 10, stuck_after
        )
        opened: list[dict[str, object]] = []
        child = CaptureChild(
            Track.VIDEO, command, {"fps": 30}, allowance, HostClock(), patience, opened.append
        )
        child.opened_words = opened  # type: ignore[attr-defined]
        children.append(child)
        return child, Ear()

    yield make
    for child in children:
        child.stop()


def test_units_come_with_the_time_of_their_capture(made: Made) -> None:
    child, ear = made("stream()")
    child.start(ear)
    unit, _ = ear.wait_for(is_unit)
    assert isinstance(unit, AccessUnit)
    assert 0 <= HostClock().monotonic_ns() - unit.pts_ns < WAIT_S * SECOND_NS


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("time.sleep(60)", "capture stalled"),
        ("os._exit(3)", "capture ended"),
        ("os.kill(os.getpid(), 9)", "capture ended"),
        ("pipe.write(b'nonsense' * 100)", "no message begins with"),
        ("pipe.write(b'\\x02' + (10).to_bytes(4, 'big') + b'0123456789')", "a unit is cut off"),
        ("outlet.say(Kind.FAILED, reason='the camera is gone')", "the camera is gone"),
        ("outlet.say(Kind.KEYFRAME)", "a child does not say KEYFRAME"),
        ("outlet.say(Kind.LOST, track=9, units=1, reason='x')", "a loss is of another track"),
        ("outlet.say(Kind.IMPAIRED, what=None, present=True)", "what is not text"),
    ],
)
def test_after_any_trouble_the_next_process_follows(made: Made, trouble: str, reason: str) -> None:
    child, ear = made(f"stream(10)\nif first:\n    time.sleep(.1); {trouble}\nstream()")
    child.start(ear)
    loss, _ = ear.wait_for(is_loss)
    assert isinstance(loss, CaptureLoss)
    assert reason in loss.reason
    assert loss.units == 0
    ear.wait_for(is_unit)
    assert child.starts == 2


def test_a_flood_ends_and_the_next_process_follows(made: Made) -> None:
    script = "while first:\n    unit(bytes(50_000)); time.sleep(0.0001)\nstream()"
    child, ear = made(script, Allowance(200, 1 << 20, burst_s=2))
    child.start(ear)
    loss, before = ear.wait_for(is_loss)
    assert isinstance(loss, CaptureLoss)
    assert loss.reason in ("capture flooded", "agent busy")
    assert len(before) < 2000
    ear.wait_for(is_unit)


def test_a_process_that_was_stopped_by_a_signal_is_replaced(made: Made) -> None:
    child, ear = made("stream()")
    child.start(ear)
    ear.wait_for(is_unit)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)
    loss, before = ear.wait_for(is_loss)
    assert isinstance(loss, CaptureLoss)
    assert loss.reason == "capture stalled"
    newest = [item for item in before if isinstance(item, AccessUnit)]
    unit, _ = ear.wait_for(is_unit)
    assert isinstance(unit, AccessUnit)
    assert all(old.pts_ns < unit.pts_ns for old in newest)


def test_a_device_that_stays_away_is_told_once(made: Made) -> None:
    child, ear = made("outlet.say(Kind.FAILED, reason='there is no microphone'); outlet.close()")
    child.start(ear)
    ear.wait_for(is_loss)
    while child.starts < 4:
        with pytest.raises(queue.Empty):
            ear.heard.get(timeout=0.05)


def test_after_stop_nothing_comes_and_it_starts_again(made: Made) -> None:
    child, ear = made("stream()")
    child.start(ear)
    ear.wait_for(is_unit)
    child.stop()
    second = Ear()
    child.start(second)
    second.wait_for(is_unit)
    while not ear.heard.empty():
        ear.heard.get()
    second.wait_for(is_unit)
    assert ear.heard.empty()


def test_the_process_ends_with_its_agent(made: Made) -> None:
    """Its standard input ends: also when the agent was killed."""
    child, ear = made("stream()")
    child.start(ear)
    ear.wait_for(is_unit)
    process = child._process
    assert process is not None
    child.stop()
    assert process.wait(WAIT_S) == 0


def test_what_waits_comes_before_the_last_word(made: Made) -> None:
    script = "stream(3)\nif first:\n    outlet.lost(Track.VIDEO, 7, 'agent busy')\n"
    script += "    outlet.say(Kind.FAILED, reason='gone'); outlet.close(); os._exit(0)\n"
    child, ear = made(script + "stream()")
    child.start(ear)
    first, before = ear.wait_for(is_loss)
    assert first == CaptureLoss(Track.VIDEO, 7, "agent busy")
    assert len(before) == 3
    second, _ = ear.wait_for(is_loss)
    assert second == CaptureLoss(Track.VIDEO, 0, "gone")


def test_what_a_child_found_is_over_when_it_is(made: Made) -> None:
    script = "stream(3)\nif first:\n    outlet.say(Kind.IMPAIRED, what='covered', present=True)\n"
    child, ear = made(script + "    time.sleep(.1); os._exit(0)\nstream()")
    child.start(ear)
    found = [
        ear.wait_for(lambda item: isinstance(item, Impairment))[0],
        ear.wait_for(lambda item: isinstance(item, Impairment))[0],
    ]
    assert found == [
        Impairment(Track.VIDEO, "covered", True),
        Impairment(Track.VIDEO, "covered", False),
    ]


def test_more_units_in_a_message_than_a_camera_sends_never_reach_the_agent(made: Made) -> None:
    script = (
        "from hal.rpi.capture import pipe_messages as wire\n"
        "if first:\n"
        "    many = [AccessUnit(Track.VIDEO, n, 1, True, b'') for n in range(50_000)]\n"
        "    pipe.write(wire.units(many))\n"
        "stream()"
    )
    child, ear = made(script, Allowance(200, 1 << 24, burst_s=5))
    child.start(ear)
    loss, before = ear.wait_for(is_loss)
    assert isinstance(loss, CaptureLoss)
    assert loss.reason == "capture flooded"
    assert len(before) < 1000
    ear.wait_for(is_unit)


def test_a_keyframe_is_asked_for(made: Made) -> None:
    from hal.rpi.capture.pipe_messages import Kind

    child, ear = made("stream()")
    child.start(ear)
    ear.wait_for(is_unit)
    child.say(Kind.KEYFRAME)
    ear.wait_for(lambda item: bool(child.opened_words))  # type: ignore[attr-defined]
    assert child.opened_words == [{"heard": "KEYFRAME"}]  # type: ignore[attr-defined]


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    child, ear = (
        CaptureChild(
            Track.AUDIO, [str(tmp_path / "nothing")], {}, Allowance(1, 1), HostClock()
        ),
        Ear(),
    )  # fmt: skip
    child.start(ear)
    loss, _ = ear.wait_for(is_loss)
    assert isinstance(loss, CaptureLoss)
    assert "can't be started" in loss.reason
    child.stop()


def test_a_library_that_is_missing_is_named() -> None:
    """This virtual environment has no picamera2: the ledger says so, not only that it ended."""
    command, ear = python_command("hal.rpi.capture.camera_child"), Ear()
    child = CaptureChild(Track.VIDEO, command, {}, PLENTY, HostClock())
    child.start(ear)
    loss, _ = ear.wait_for(is_loss)
    assert isinstance(loss, CaptureLoss)
    assert loss.reason.startswith("picamera2 is not installed for ")
    child.stop()


def test_another_interpreter_finds_our_modules_behind_its_own() -> None:
    command = python_command("hal.rpi.capture.camera_child", "/usr/bin/python3")
    assert command[0] == "/usr/bin/python3"
    assert "sys.path.append" in command[2]


def test_what_was_opened_is_told(made: Made) -> None:
    facts = "facts=['camera imx708', 'focus 0.4 dioptres'], missing=['HDR']"
    child, ear = made(f"outlet.say(Kind.READY, {facts})\nstream()")
    child.start(ear)
    opened, _ = ear.wait_for(lambda item: isinstance(item, Opened))
    assert opened == Opened(Track.VIDEO, ("camera imx708", "focus 0.4 dioptres"), ("HDR",))


@pytest.mark.parametrize("facts", ["'words'", "[1]", "['x' * 201]", "['x'] * 33", "['']"])
def test_facts_that_are_none_end_a_child(made: Made, facts: str) -> None:
    child, ear = made(f"outlet.say(Kind.READY, facts={facts})\nstream()")
    child.start(ear)
    loss, _ = ear.wait_for(is_loss)
    assert isinstance(loss, CaptureLoss)
    assert "facts" in loss.reason


def test_a_device_that_answers_no_start_is_stuck_and_told_once(made: Made) -> None:
    child, ear = made("os._exit(3)", stuck_after=3)
    child.start(ear)
    stuck, before = ear.wait_for(is_stuck)
    assert stuck == Stuck(Track.VIDEO, "capture ended")
    assert child.starts == 3
    assert not any(map(is_stuck, before))
    while child.starts < 6:
        threading.Event().wait(0.05)
    assert not any(map(is_stuck, list(ear.heard.queue)))


def test_a_device_that_is_not_there_is_not_stuck(made: Made) -> None:
    """No restart of a machine brings a camera that nobody plugged in."""
    failed = "outlet.say(Kind.FAILED, reason='there is no camera', absent=True)"
    child, ear = made(f"{failed}\noutlet.close()\nos._exit(0)", stuck_after=2)
    child.start(ear)
    while child.starts < 5:
        threading.Event().wait(0.05)
    assert not any(map(is_stuck, list(ear.heard.queue)))


def test_a_unit_between_ends_the_count(made: Made) -> None:
    script = "unit()\noutlet.close()\nos._exit(3)"
    child, ear = made(script, stuck_after=2)
    child.start(ear)
    while child.starts < 5:
        threading.Event().wait(0.05)
    assert not any(map(is_stuck, list(ear.heard.queue)))
