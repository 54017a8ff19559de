"""Patterns as `docs/cues.md` says them, in milliseconds: what is on, for how long."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from bwv_device.camera.indicators import patterns
from bwv_device.settings import Light
from hal.ports import Level, Pattern

ON, OFF, GREEN, AMBER, RED = Level.ON, Level.OFF, Level.GREEN, Level.AMBER, Level.RED

REPEATED = {
    "RECORDING": [(ON, 500), (OFF, 500)],
    "NOT_STORED": [(ON, 100), (OFF, 100)],
    "MUTED": [(ON, 150), (OFF, 150), (ON, 150), (OFF, 550)],
    "READY": [(GREEN, 1000), (OFF, 1000)],
    "DELIVERING": [(GREEN, 200), (OFF, 1800)],
    "UNDELIVERED": [(AMBER, 1000), (OFF, 1000)],
    "ALARM": [(ON, 200), (OFF, 100)],
}
STEADY = {"DARK": OFF, "QUIET": OFF, "UNABLE": AMBER, "FAULT": RED, "DOCKED": GREEN}
# Beeps and pulses: how many, how long, and the quiet between.
COUNTED = {
    "STARTED": (2, 100, 120),
    "STOPPED": (1, 800, 120),
    "REMINDER": (2, 100, 120),
    "BATTERY": (4, 100, 120),
    "STORAGE": (3, 100, 120),
    "CLOCK": (5, 100, 120),
    "REFUSED": (2, 400, 120),
    "FELT": (1, 150, 120),
    "INFORM": (3, 200, 120),
    "IMPAIRED": (2, 600, 300),
    "COVERT": (1, 600, 120),
}


def pattern(name: str) -> Pattern:
    found = patterns.recording(Light()) if name == "RECORDING" else getattr(patterns, name)
    assert isinstance(found, Pattern)
    return found


def steps_ms(it: Pattern) -> list[tuple[Level, int]]:
    return [(step.level, step.duration_ns // 1_000_000) for step in it.steps]


@pytest.mark.parametrize("name", REPEATED)
def test_what_is_repeated(name: str) -> None:
    assert steps_ms(pattern(name)) == REPEATED[name]
    assert not pattern(name).once


@pytest.mark.parametrize("name", STEADY)
def test_what_is_steady(name: str) -> None:
    assert steps_ms(pattern(name)) == [(STEADY[name], 0)]


@pytest.mark.parametrize("name", COUNTED)
def test_what_is_counted(name: str) -> None:
    count, on_ms, off_ms = COUNTED[name]
    assert steps_ms(pattern(name)) == [(ON, on_ms), (OFF, off_ms)] * count
    assert pattern(name).once


def test_a_camera_that_is_looked_for_is_not_taken_for_one_that_records() -> None:
    light, beep = patterns.locate(3)
    assert steps_ms(light) == [(GREEN, 250), (AMBER, 250)] * 6
    assert steps_ms(beep) == [(ON, 50), (OFF, 450)] * 6
    assert light.once
    assert beep.once
    assert sum(ms for _, ms in steps_ms(light)) == sum(ms for _, ms in steps_ms(beep)) == 3000


def test_an_end_without_battery_is_a_low_battery_and_a_long_beep() -> None:
    counted = [(ON, 100), (OFF, 120)] * 4 + [(ON, 800), (OFF, 120)]
    assert steps_ms(patterns.ENDED_EMPTY) == counted
    assert patterns.ENDED_EMPTY.once


def test_each_pattern_is_here_and_is_told_from_the_others_of_its_output() -> None:
    """Two that look alike are two words for one thing."""
    known = {name for name, value in vars(patterns).items() if isinstance(value, Pattern)}
    assert known == (set(REPEATED) | set(STEADY) | set(COUNTED) | {"ENDED_EMPTY"}) - {"RECORDING"}
    front = ["RECORDING", "NOT_STORED", "MUTED", "DARK"]
    status = ["READY", "UNABLE", "FAULT", "DOCKED", "DELIVERING", "UNDELIVERED", "DARK"]
    beeper = ["STARTED", "STOPPED", "BATTERY", "STORAGE", "CLOCK", "REFUSED", "ALARM", "QUIET",
              "ENDED_EMPTY"]  # fmt: skip
    vibration = ["FELT", "INFORM", "IMPAIRED", "COVERT"]
    for output in (front, status, beeper, vibration):
        for one, other in itertools.combinations(output, 2):
            assert steps_ms(pattern(one)) != steps_ms(pattern(other)), (one, other)
            assert pattern(one).name != pattern(other).name


def test_the_document_says_the_same() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cues.md").read_text()
    for words in ("500 ms on, 500 ms off", "100 ms on, 100 ms off", "green 1 s / 1 s",
                  "green 200 ms every 2 s", "amber 1 s / 1 s"):  # fmt: skip
        assert words in text
