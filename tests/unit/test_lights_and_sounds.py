"""What each change of state shows, and that it becomes a ledger line."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bwv_device.camera.indicators import patterns
from bwv_device.camera.indicators.lights_and_sounds import LightsAndSounds
from bwv_device.camera.state_table import State
from bwv_device.settings import Settings, Sounds
from hal.ports import SECOND_NS, Board, Pattern
from sim.world.virtual_loop import AgentLoop, VirtualLoop

LEASE_NS = 2 * SECOND_NS


class Output:
    """An indicator with a memory: what it was told to show, and what it shows now."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self.shows: list[tuple[Pattern, int | None, Pattern]] = []
        self.played: list[Pattern] = []
        self.fails: Callable[[str], None] = lambda error: None

    def watch(self, fails: Callable[[str], None]) -> None:
        self.fails = fails

    def show(self, pattern: Pattern, until_ns: int | None, then: Pattern) -> None:
        self.shows.append((pattern, until_ns, then))

    def play(self, pattern: Pattern) -> None:
        self.played.append(pattern)

    @property
    def now(self) -> Pattern:
        if not self.shows:
            return patterns.DARK
        pattern, until_ns, then = self.shows[-1]
        return pattern if until_ns is None or self._now_ns() < until_ns else then


class Bench:
    def __init__(self, reminder_s: int = 30) -> None:
        self.loop = VirtualLoop()
        now_ns = self.loop.now_ns
        self.front, self.status = Output(now_ns), Output(now_ns)
        self.beeper, self.haptic = Output(now_ns), Output(now_ns)
        board = SimpleNamespace(front_light=self.front, status_light=self.status,
                                beeper=self.beeper, haptic=self.haptic)  # fmt: skip
        self.lines: list[dict[str, Any]] = []
        settings = Settings(sounds=Sounds(reminder_s=reminder_s))
        self.it = LightsAndSounds(cast(Board, board), AgentLoop(self.loop), settings, self._note)

    def _note(self, kind: str, **fields: Any) -> None:
        assert kind == "cue"
        self.lines.append(fields)

    def wait(self, seconds: float) -> None:
        self.loop.run_until(self.loop.now_ns() + round(seconds * SECOND_NS))

    def durable_now(self) -> None:
        self.it.durable(self.loop.now_ns())


RECORDING = patterns.recording(Settings().light)


def test_a_recording_from_its_start_to_its_end() -> None:
    bench = Bench()
    assert bench.it.front_light == "dark"
    bench.it.begin()
    assert bench.it.honest
    assert bench.front.now == RECORDING
    assert bench.it.front_light == "recording"
    assert bench.beeper.played == [patterns.STARTED]
    for _ in range(40):
        bench.wait(1)
        bench.durable_now()
        assert bench.front.now == RECORDING
        assert bench.beeper.now == patterns.QUIET
    bench.it.end()
    assert bench.front.shows[-1] == (patterns.DARK, None, patterns.DARK)
    assert bench.beeper.shows[-1] == (patterns.QUIET, None, patterns.QUIET)
    assert bench.it.front_light == "dark"
    assert bench.beeper.played == [patterns.STARTED, patterns.REMINDER, patterns.STOPPED]
    assert bench.lines == [
        {"light": "recording", "sound": "recording started"},
        {"light": "dark", "sound": "recording stopped", "reminders": 1},
    ]
    bench.wait(100)
    assert bench.beeper.played[-1] == patterns.STOPPED
    bench.it.end()
    assert len(bench.lines) == 2, "once"


def test_without_durable_pictures_it_says_so_by_itself_and_again_when_they_come() -> None:
    bench = Bench()
    bench.it.begin()
    bench.wait(1.99)
    assert bench.front.now == RECORDING
    bench.wait(0.01)
    assert bench.front.now == patterns.NOT_STORED
    assert bench.beeper.now == patterns.ALARM
    assert not bench.it.honest
    assert bench.it.front_light == "capturing, not stored"
    assert bench.lines[-1] == {"light": "capturing, not stored", "sound": "not stored"}
    bench.it.durable(bench.loop.now_ns() - LEASE_NS)
    assert bench.front.now == patterns.NOT_STORED, "what is as old as a lease renews nothing"
    bench.durable_now()
    assert bench.front.now == RECORDING
    assert bench.beeper.now == patterns.QUIET
    assert bench.lines[-1] == {"light": "recording"}


def test_a_lease_reaches_from_the_picture_and_never_further_than_from_now() -> None:
    bench = Bench()
    bench.it.begin()
    bench.wait(1.5)
    bench.it.durable(SECOND_NS)
    bench.wait(1.4)
    assert bench.front.now == RECORDING
    bench.wait(0.1)
    assert bench.front.now == patterns.NOT_STORED
    bench.it.durable(bench.loop.now_ns() + 3600 * SECOND_NS)
    bench.wait(2)
    assert bench.front.now == patterns.NOT_STORED
    before = len(bench.front.shows)
    bench.it.end()
    bench.durable_now()
    assert len(bench.front.shows) == before + 1, "after the end nothing renews it"


def test_reminders_come_only_while_it_is_stored() -> None:
    bench = Bench(reminder_s=30)
    bench.it.begin()
    bench.wait(95)
    assert patterns.REMINDER not in bench.beeper.played
    bench.it.end()
    assert bench.lines[-1]["reminders"] == 0


def test_muted_shows_that_there_is_no_sound() -> None:
    bench = Bench()
    bench.it.muted(True)
    assert bench.front.shows == []
    bench.it.begin()
    assert bench.front.now == patterns.MUTED
    assert bench.it.front_light == "recording without sound"
    bench.it.muted(False)
    assert bench.front.now == RECORDING


@pytest.mark.parametrize("recording", [False, True])
def test_covert_is_dark_and_silent_and_felt(*, recording: bool) -> None:
    bench = Bench()
    bench.it.status(State.READY, able=True, fault=False)
    if recording:
        bench.it.begin()
    bench.it.covert(True)
    bench.it.status(State.RECORDING, able=True, fault=False)
    assert bench.status.now == patterns.DARK
    assert bench.front.now == patterns.DARK
    assert bench.it.front_light == "dark"
    played = len(bench.beeper.played)
    bench.it.refused()
    assert bench.haptic.played == [patterns.FELT]
    assert not bench.it.locate(3)
    bench.wait(3)
    assert bench.front.now == patterns.DARK
    assert bench.beeper.now in (patterns.QUIET, patterns.DARK)
    assert (patterns.INFORM in bench.haptic.played) == recording, "not stored: told by touch"
    assert len(bench.beeper.played) == played
    bench.it.covert(False)
    assert bench.front.now == (patterns.NOT_STORED if recording else patterns.DARK)
    bench.it.status(State.READY, able=True, fault=False)
    assert bench.status.now == patterns.READY


STATUS = [
    (State.READY, True, False, "", patterns.READY),
    (State.READY, False, False, "", patterns.UNABLE),
    (State.RECORDING, True, False, "", patterns.READY),
    (State.READY, True, True, "", patterns.FAULT),
    (State.READY, False, True, "", patterns.FAULT),
    (State.DOCKED, True, False, "", patterns.DOCKED),
    (State.DOCKED, False, False, "complete", patterns.DOCKED),
    (State.DOCKED, True, False, "delivering", patterns.DELIVERING),
    (State.DOCKED, True, False, "kept", patterns.UNDELIVERED),
    (State.DOCKED, True, False, "denied", patterns.UNDELIVERED),
    (State.DOCKED, True, False, "refused", patterns.UNDELIVERED),
    (State.DOCKED, True, True, "delivering", patterns.FAULT),
    (State.STOPPED, True, True, "", patterns.DARK),
]


@pytest.mark.parametrize(("state", "able", "fault", "delivery", "shown"), STATUS)
def test_the_status_light(
    state: State, able: bool, fault: bool, delivery: str, shown: Pattern
) -> None:
    bench = Bench()
    assert bench.it.status_light == "dark"
    for _ in range(2):
        bench.it.status(state, able=able, fault=fault, delivery=delivery)
    assert bench.status.shows == [(shown, None, shown)], "the same is shown once"
    assert bench.it.status_light == shown.name


def test_alarms_and_where_it_is_are_written() -> None:
    bench = Bench()
    bench.it.alarm(patterns.STORAGE)
    assert bench.it.locate(2)
    bench.it.refused()
    bench.it.felt()
    bench.it.felt(patterns.IMPAIRED)
    light, beep = patterns.locate(2)
    assert bench.status.played == [light]
    assert bench.beeper.played == [patterns.STORAGE, beep, patterns.REFUSED]
    assert bench.haptic.played == [patterns.FELT, patterns.IMPAIRED]
    assert bench.lines == [
        {"sound": "storage low"},
        {"status": "here I am", "sound": "here I am"},
    ]


def test_an_output_that_fails_is_named_once_and_each_time_written() -> None:
    bench = Bench()
    for output in (bench.front, bench.haptic, bench.front):
        output.fails("no such pin")
    bench.wait(0)
    assert bench.it.failed == ["front light", "vibration"]
    assert [line["failed"] for line in bench.lines] == ["front light", "vibration", "front light"]
    assert bench.lines[0]["reason"] == "no such pin"


def test_at_the_end_of_the_agent_all_is_dark() -> None:
    bench = Bench()
    bench.it.begin()
    bench.it.dark()
    for output in (bench.front, bench.status, bench.beeper, bench.haptic):
        assert output.shows[-1] == (patterns.DARK, None, patterns.DARK)
