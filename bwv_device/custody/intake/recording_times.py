"""What a camera's ledger says of its recordings, and when they were by the best of its clocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bwv_device.formats.grammar.ledger_kinds import (
    Boot,
    FlagLine,
    Marker,
    Open,
    Seal,
    Still,
    Sync,
    TimeLine,
)
from bwv_device.formats.grammar.ledger_kinds import Greeting as GreetingLine
from bwv_device.formats.grammar.statements import Docking
from bwv_device.formats.ledger_lines import Line
from hal.ports import SECOND_NS

# The error of a clock that was never set.
UNKNOWN_NS = 1 << 60
# So much may custody's own clock be wrong when it bounds a recording's end: what bounds it must
# not end it before it ended.
CUSTODY_CLOCK_NS = 900 * SECOND_NS


@dataclass(slots=True)
class Story:
    """What the ledger says of a recording."""

    boot: int
    officer: str = ""
    trigger: str = ""
    first_ns: int | None = None
    last_ns: int = 0
    flagged: bool = False
    markers: list[tuple[str, int]] = field(default_factory=list)


class Reading(NamedTuple):
    """Wall clock and monotonic time, at once: the truth is within ± error."""

    t_ns: int
    utc_ns: int
    error_ns: int


class Stories:
    """Collects recordings, markers and clock readings while a ledger is read."""

    def __init__(self) -> None:
        self.recordings: dict[str, Story] = {}
        self.readings: dict[int, list[Reading]] = {}
        self.of_segment: dict[str, str] = {}
        self.flags: dict[str, None] = {}
        self.checkpoints: list[str] = []

    def hear(self, boot: int, line: Line, said: Any) -> None:
        """Each line that was accepted, with its typed value."""
        t_ns = line.fields["t"]
        if isinstance(said, Open):
            self._opened(boot, said)
        elif isinstance(said, Sync | Seal):
            self._lasted(said)
        elif isinstance(said, Marker | FlagLine | Still) and said.recording in self.recordings:
            self._told(said)
        elif isinstance(said, FlagLine):  # told of one that came before
            self.flags[said.recording] = None
        elif isinstance(said, GreetingLine):
            self.checkpoints.append(said.statement)
        if isinstance(said, Boot | Open | TimeLine) and said.time is not None:
            at_ns = said.first_pts_ns if isinstance(said, Open) else t_ns
            reading = Reading(at_ns, said.time.utc_ns, said.time.error_ns)
            self.readings.setdefault(boot, []).append(reading)

    def _opened(self, boot: int, said: Open) -> None:
        self.of_segment[said.segment] = said.recording
        story = self.recordings.setdefault(said.recording, Story(boot))
        story.officer = story.officer or said.officer or ""
        story.trigger = story.trigger or said.trigger or ""
        story.first_ns = said.first_pts_ns if story.first_ns is None else story.first_ns
        story.last_ns = max(story.last_ns, said.first_pts_ns)

    def _lasted(self, said: Sync | Seal) -> None:
        ended_ns = said.end_pts_ns if isinstance(said, Seal) else said.video_until_ns
        story = self.recordings.get(self.of_segment.get(said.segment, ""))
        if story is not None and ended_ns is not None:
            story.last_ns = max(story.last_ns, ended_ns)

    def _told(self, said: Marker | FlagLine | Still) -> None:
        story = self.recordings[said.recording]
        if isinstance(said, FlagLine):
            story.flagged = True
        elif isinstance(said, Marker):
            story.markers.append((said.marker, said.at_ns))
        else:
            self.of_segment[said.segment] = said.recording
            story.markers.append(("snapshot", said.pts_ns))


class Heard(NamedTuple):
    """When custody looked at a docking, and when the docking was written, by the store's clock."""

    now_ns: int
    written_ns: int


def times(name: str, stories: Stories, docking: Docking, heard: Heard) -> dict[str, Any]:
    """When it began and ended, by the best reading of its boot; and the latest possible end, which
    no reading moves behind the moment when custody heard of it. A clock that says another time than
    the store's is off by the difference, whatever it says of itself."""
    story = stories.recordings[name]
    first_ns = story.first_ns or 0
    readings = list(stories.readings.get(story.boot, []))
    heard_ns = heard.now_ns
    if story.boot == docking.boot:
        readings.append(Reading(docking.t, docking.time.utc_ns, docking.time.error_ns))
        readings = [_held_against(reading, docking.t, heard.written_ns) for reading in readings]
        heard_ns -= max(0, docking.t - story.last_ns)
    best = min(readings, key=lambda r: r.error_ns, default=Reading(0, 0, UNKNOWN_NS))
    end_ns = best.utc_ns + story.last_ns - best.t_ns
    error_ns = min(best.error_ns, UNKNOWN_NS)
    if error_ns > 86_400 * 10**9:  # the time is not known: only the bound is
        end_ns, error_ns = heard_ns, UNKNOWN_NS
    return {
        "recording": name,
        "officer": story.officer,
        "trigger": story.trigger,
        "start_ns": end_ns - (story.last_ns - first_ns),
        "end_ns": end_ns,
        "error_ns": error_ns,
        "latest_ns": min(end_ns + error_ns, heard_ns + CUSTODY_CLOCK_NS),
        "flagged": story.flagged,
        "markers": [
            {"marker": marker, "at_ns": end_ns - (story.last_ns - at_ns)}
            for marker, at_ns in story.markers
        ],
    }


def _held_against(reading: Reading, t_ns: int, utc_ns: int) -> Reading:
    """A reading, by what the store's clock said at another moment of the same boot."""
    off_ns = abs(reading.utc_ns + t_ns - reading.t_ns - utc_ns)
    return reading._replace(error_ns=max(reading.error_ns, off_ns - CUSTODY_CLOCK_NS))


def unknown(name: str, docking: Docking, now_ns: int) -> dict[str, Any]:
    return {
        "recording": name,
        "officer": "",
        "trigger": "",
        "start_ns": now_ns,
        "end_ns": now_ns,
        "error_ns": UNKNOWN_NS,
        "latest_ns": now_ns + CUSTODY_CLOCK_NS,
        "flagged": False,
        "markers": [],
    }
