"""The course of a shift as the camera tells it: modes, and the gestures that the world saw. Claims,
to be held against each other (`hands`, `causes`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from hal.ports import SECOND_NS
from sim.oracle.evidence import Record, Said
from sim.oracle.gestures import MS, Habits, Meaning, meanings
from sim.world.observations import BootLife

# What is obeyed is obeyed at that moment (docs/cues.md): virtual time knows no other delay.
AT_ONCE_NS = 60 * MS
STARTING, READY, RECORDING = "starting", "ready", "recording"
POST_EVENT, DOCKED, STOPPED = "post-event", "docked", "stopped"
RECORDS = (RECORDING, POST_EVENT)


class Change(NamedTuple):
    """The camera says that it went from one mode into another."""

    at_ns: int
    before: str
    event: str
    after: str


@dataclass(slots=True)
class Course:
    """One life's changes and gestures, in order of time."""

    record: Record
    life: BootLife
    changes: list[Change]
    gestures: list[Meaning]

    def mode(self, at_ns: int) -> str:
        """Where it said to be just before."""
        before = [change for change in self.changes if change.at_ns < at_ns]
        return before[-1].after if before else STARTING

    def in_motion_but_for(self, gesture: Meaning) -> bool:
        """Whether it changed at about this time by something else: what comes first is chance."""
        return any(
            abs(change.at_ns - gesture.at_ns) <= AT_ONCE_NS
            for change in self.changes
            if change.event not in ("start", "stop", "post-event over")
        )

    def stays(self, at_ns: int, for_ns: int) -> bool:
        """Whether it does not change for so long."""
        return not any(0 <= change.at_ns - at_ns <= for_ns for change in self.changes)

    def change(self, event: str, at_ns: int, within_ns: int = AT_ONCE_NS) -> Change | None:
        """A change by this event from then on, within so long."""
        for change in self.changes:
            if change.event == event and 0 <= change.at_ns - at_ns <= within_ns:
                return change
        return None

    def gesture(self, at_ns: int, *names: str) -> Meaning | None:
        """A gesture of one of these kinds at this time."""
        for meaning in self.gestures:
            if meaning.name in names and abs(meaning.at_ns - at_ns) <= AT_ONCE_NS:
                return meaning
        return None

    def lines(self, kind: str) -> Iterator[Said]:
        return (said for said in self.record.of_kind(kind) if said.life is self.life)

    def said(self, kind: str, at_ns: int, within_ns: int = AT_ONCE_NS) -> list[Said]:
        """Lines of a kind that were noted from then on, within so long."""
        return [s for s in self.lines(kind) if 0 <= s.when_ns() - at_ns + MS <= within_ns]

    def began_ns(self, at_ns: int) -> int | None:
        """When the recording of this time was begun."""
        began = [c.at_ns for c in self.changes if c.event == "start" and c.before == READY]
        return max((at for at in began if at <= at_ns), default=None)

    def lives_on(self, at_ns: int, for_ns: int = SECOND_NS) -> bool:
        """Whether nothing ended it soon behind this time."""
        return at_ns + for_ns < self.life.ended_ns

    def keeps_lines(self, at_ns: int) -> bool:
        """Whether a line of this time must be on the disk in the end."""
        if self.life.how == "switched off":
            return True
        return at_ns + 2 * SECOND_NS < self.record.stored_until_ns(self.life)


def courses(record: Record) -> Iterator[Course]:
    buttons = record.world.settings.buttons
    habits = Habits(
        buttons.debounce_ms * MS,
        buttons.double_press_ms * MS,
        buttons.stop_hold_ms * MS,
        buttons.flag_hold_ms * MS,
        buttons.covert_hold_ms * MS,
        buttons.mute_hold_ms * MS,
    )
    touches = record.world.touches_so_far()
    for life in record.witness.lives:
        changes = [
            Change(t.at_ns, t.before.value, t.event.value, t.after.value)
            for t in record.world.transitions
            if life.started_ns <= t.at_ns <= life.ended_ns
        ]
        own = [t for t in touches if life.started_ns <= t.at_ns <= life.ended_ns]
        yield Course(record, life, changes, meanings(own, habits, life.ended_ns))
