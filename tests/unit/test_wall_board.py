"""Alarms that somebody took note of, and a day of minutes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bwv_device.fleet.roster import Seen
from bwv_device.fleet.wall_board import (
    DAY_MIN,
    MINUTE_NS,
    OFFLINE,
    READY,
    RECORDING,
    STEP_MIN,
    UNKNOWN,
    Day,
    WallBoard,
)  # fmt: skip
from bwv_device.fleet.watch_table import row


class Clock:
    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def camera(**changes: Any) -> dict[str, Any]:
    seen = Seen("cam-1", online=True, last_ns=1)
    seen.state = {"state": "ready", "able": True, "clock": "ntp"}
    return {**row(seen, 1), **changes}


def test_an_alarm_whose_count_changes_is_the_same_alarm() -> None:
    board = WallBoard(Clock())
    board.update([camera(events_missing=3)], "")
    (alarm,) = board.view.rows[0].alarms
    assert board.acknowledge("cam-1", alarm.kind, "Ada")
    board.update([camera(events_missing=4)], "")
    (alarm,) = board.view.rows[0].alarms
    assert (alarm.trouble, alarm.acknowledged and alarm.acknowledged.name) == (
        "4 events missing", "Ada",
    )  # fmt: skip


def test_what_nobody_named_or_what_is_over_is_not_acknowledged() -> None:
    board = WallBoard(Clock())
    board.update([camera(online=False)], "")
    assert not board.acknowledge("cam-1", "offline", "  \n ")
    assert not board.acknowledge("cam-2", "offline", "Ada")
    board.update([camera()], "")
    assert not board.acknowledge("cam-1", "offline", "Ada")


def test_a_name_is_kept_as_plain_text_and_its_time(tmp_path: Path) -> None:
    clock, kept = Clock(), tmp_path / "acknowledged.jsonl"
    board = WallBoard(clock, kept)
    board.update([camera(online=False)], "")
    clock.now_ns = 5
    assert board.acknowledge("cam-1", "offline", "Ada\x1b[31m" + "x" * 100)
    line = json.loads(kept.read_text())
    assert (line["trouble"], line["since_utc_ns"], line["utc_ns"]) == ("offline", 0, 5)
    assert line["by"].startswith("Ada[31m")
    assert len(line["by"]) == 64


def test_what_can_not_be_kept_does_not_count(tmp_path: Path) -> None:
    board = WallBoard(Clock(), tmp_path / "no such folder" / "file")
    board.update([camera(online=False)], "")
    with pytest.raises(OSError, match="No such file"):
        board.acknowledge("cam-1", "offline", "Ada")
    (alarm,) = board.view.rows[0].alarms
    assert alarm.acknowledged is None


def test_a_day_keeps_the_worst_of_each_quarter_and_forgets_the_day_before() -> None:
    day = Day()
    day.note(READY, 0)
    day.note(RECORDING, 3)
    day.note(READY, 4)
    day.note(OFFLINE, 40)
    steps = day.steps()
    assert len(steps) == DAY_MIN // STEP_MIN
    assert [minute for minute in steps if minute is not UNKNOWN] == [RECORDING, OFFLINE]
    assert sum(bar.width for bar in day.bars()) == 2
    day.note(READY, 40 + DAY_MIN - 1)
    assert day.steps().count(OFFLINE) == 1
    day.note(READY, 40 + DAY_MIN)
    assert OFFLINE not in day.steps()
    day.note(READY, 10 * DAY_MIN)
    assert [minute for minute in day.steps() if minute is not UNKNOWN] == [READY]


def test_minutes_in_which_nobody_looked_are_unknown() -> None:
    clock = Clock()
    board = WallBoard(clock)
    for minute in (0, 100):
        clock.now_ns = minute * MINUTE_NS
        board.update([camera()], "")
    steps = board.view.rows[0].day.steps()
    assert steps.count(READY) == 2
    assert steps[-1] is READY
