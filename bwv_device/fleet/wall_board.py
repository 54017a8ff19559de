"""What a wall board shows of a fleet: rows, alarms that a person acknowledged, and the last day.

Fed by the watching thread, read by the page's. What is read is never changed: each update puts a
new view in its place.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bwv_device.fleet.watch_table import troubles

MINUTE_NS = 60_000_000_000
DAY_MIN = 24 * 60
# A step of the last day as it is drawn: a quarter of an hour, by its worst minute.
STEP_MIN = 15
LONGEST_NAME = 64
NUMBER = re.compile(r"\d+")


class Minute(NamedTuple):
    """How a minute is counted: the worst wins where several are drawn as one."""

    code: int
    word: str


UNKNOWN, DOCKED, READY, RECORDING, OFFLINE, TROUBLE = (
    Minute(code, word)
    for code, word in enumerate(
        ("not seen", "docked", "on", "recording", "offline", "with trouble")
    )
)
MINUTES = (UNKNOWN, DOCKED, READY, RECORDING, OFFLINE, TROUBLE)


class Acknowledged(NamedTuple):
    """Who took note of an alarm, and when."""

    name: str
    utc_ns: int


class Alarm(NamedTuple):
    """A trouble of a camera, for as long as it lasts."""

    device: str
    trouble: str
    since_ns: int
    acknowledged: Acknowledged | None

    @property
    def kind(self) -> str:
        return kind_of(self.trouble)


class Bar(NamedTuple):
    """In steps of the last day."""

    start: int
    width: int
    minute: Minute


class Day:
    """A byte a minute, for a day."""

    def __init__(self) -> None:
        self._minutes = bytearray(DAY_MIN)
        self._last: int | None = None

    def note(self, minute: Minute, at: int) -> None:
        """The worst of each minute stays; minutes in which nobody looked are unknown."""
        if self._last is None or at - self._last >= DAY_MIN:
            self._minutes[:] = bytes(DAY_MIN)
            self._last = at
        while self._last < at:
            self._last += 1
            self._minutes[self._last % DAY_MIN] = 0
        place = at % DAY_MIN
        self._minutes[place] = max(self._minutes[place], minute.code)

    def steps(self) -> list[Minute]:
        """The last day in steps of a quarter of an hour, the newest last."""
        assert self._last is not None
        first = self._last - DAY_MIN + 1
        codes = [self._minutes[(first + n) % DAY_MIN] for n in range(DAY_MIN)]
        return [MINUTES[max(codes[n : n + STEP_MIN])] for n in range(0, DAY_MIN, STEP_MIN)]

    def bars(self) -> list[Bar]:
        """The same for drawing: neighbours that are alike are one."""
        found: list[Bar] = []
        at = 0
        for minute, alike in itertools.groupby(self.steps()):
            width = len(list(alike))
            if minute is not UNKNOWN:
                found.append(Bar(at, width, minute))
            at += width
        return found


class Row(NamedTuple):
    """A camera."""

    row: dict[str, Any]
    alarms: list[Alarm]
    day: Day


class View(NamedTuple):
    """All that the page may show at one moment."""

    rows: Sequence[Row]
    broker: str
    utc_ns: int


def kind_of(trouble: str) -> str:
    """The same alarm stays the same when only its count changes."""
    return NUMBER.sub("#", trouble)


class WallBoard:
    """`utc_ns` is the wall clock. `kept` is a file to which acknowledgements are appended."""

    def __init__(self, utc_ns: Callable[[], int], kept: Path | None = None) -> None:
        self._utc_ns, self._kept = utc_ns, kept
        self._alarms: dict[tuple[str, str], Alarm] = {}
        self._days: dict[str, Day] = {}
        self._lock = threading.Lock()
        self.view = View((), "", utc_ns())

    def update(self, rows: Sequence[dict[str, Any]], broker: str) -> None:
        """The newest rows; `broker` says what is wrong with the line, or ""."""
        now_ns = self._utc_ns()
        with self._lock:
            seen = [self._row(row, now_ns) for row in rows]
            standing = {(a.device, a.kind) for row in seen for a in row.alarms}
            self._alarms = {key: a for key, a in self._alarms.items() if key in standing}
            self.view = View(seen, broker, now_ns)

    def acknowledge(self, device: str, kind: str, name: str) -> bool:
        """False where there is no such alarm any more. Raises `OSError` where it can't be kept:
        then it does not count."""
        name = "".join(c for c in name.strip() if c.isprintable())[:LONGEST_NAME]
        with self._lock:
            alarm = self._alarms.get((device, kind))
            if alarm is None or not name:
                return False
            taken = Acknowledged(name, self._utc_ns())
            self._keep(alarm, taken)
            self._alarms[device, kind] = alarm._replace(acknowledged=taken)
            return True

    def _row(self, row: dict[str, Any], now_ns: int) -> Row:
        device = row["device"]
        alarms = []
        for trouble in troubles(row):
            key = device, kind_of(trouble)
            known = self._alarms.get(key, Alarm(device, trouble, now_ns, None))
            self._alarms[key] = known._replace(trouble=trouble)
            alarms.append(self._alarms[key])
        day = self._days.setdefault(device, Day())
        day.note(_minute(row, bool(alarms)), now_ns // MINUTE_NS)
        return Row(row, alarms, day)

    def _keep(self, alarm: Alarm, taken: Acknowledged) -> None:
        if self._kept is None:
            return
        line = {"device": alarm.device, "trouble": alarm.trouble, "since_utc_ns": alarm.since_ns,
                "by": taken.name, "utc_ns": taken.utc_ns}  # fmt: skip
        with self._kept.open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _minute(row: dict[str, Any], troubled: bool) -> Minute:
    if row["online"] is False:
        return OFFLINE
    if troubled:
        return TROUBLE
    if row["recording"]:
        return RECORDING
    return DOCKED if row["state"] == "docked" else READY if row["online"] else UNKNOWN
