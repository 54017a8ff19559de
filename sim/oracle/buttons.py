"""Compares button presses with what the camera did. Only isolated presses are judged: no other
within seconds, no contact bounce, no change of state shortly before.
"""

from __future__ import annotations

from collections.abc import Iterator

from bwv_device.camera.state_table import Event, State
from hal.ports import SECOND_NS
from sim.oracle.evidence import STORAGE_TROUBLE, Finding, Record
from sim.world.observations import BootLife
from sim.world.world import Happening, Transition

ALONE_NS = 4 * SECOND_NS
# From the beginning of a movement of one second at most to what follows from it.
OBEYED_NS = 2 * SECOND_NS
BUTTON_TROUBLE = ("button-bounce", "button-stuck")
HANDS = ("record ", "marker ")


def hand_findings(record: Record) -> list[Finding]:
    acts = [h for h in record.world.happenings if h.what.startswith(HANDS)]
    hold_ms = record.world.settings.buttons.stop_hold_ms + 100
    flag_ms = record.world.settings.buttons.flag_hold_ms + 100
    findings: list[Finding] = []
    for number, act in enumerate(acts):
        life = _life_around(record, act)
        near = acts[max(0, number - 1) : number] + acts[number + 1 : number + 2]
        if life is None or any(abs(other.at_ns - act.at_ns) < 2 * ALONE_NS for other in near):
            continue
        if record.in_trouble(BUTTON_TROUBLE, act.at_ns, 2 * ALONE_NS):
            continue
        state = _state(record, life, act.at_ns)
        if state is None:
            continue
        if act.what == "record pressed 2 times" and state is State.READY:
            findings += _starts(record, act)
        elif act.what == "record pressed 1 times":
            findings += _changes_nothing(record, act)
        elif act.what == f"record held for {hold_ms} ms" and state is State.RECORDING:
            findings += _stops(record, act, hold_ms)
        elif act.what == "marker pressed 1 times" and state is State.RECORDING:
            findings += _leaves_a_line(record, life, act, "marker")
        elif act.what == f"marker held for {flag_ms} ms" and state is State.RECORDING:
            findings += _leaves_a_line(record, life, act, "flag")
    return findings


def _life_around(record: Record, act: Happening) -> BootLife | None:
    """The agent that was there before, and went on to be."""
    for life in record.witness.lives:
        if life.started_ns < act.at_ns - ALONE_NS and act.at_ns + 2 * ALONE_NS < life.ended_ns:
            return life
    return None


def _state(record: Record, life: BootLife, at_ns: int) -> State | None:
    """Where the camera had been for a while; None where it had just changed, or soon did without
    the hand."""
    before = [t for t in record.world.transitions if life.started_ns <= t.at_ns <= at_ns]
    if not before or at_ns - before[-1].at_ns < ALONE_NS:
        return None
    after = _transitions(record, at_ns, at_ns + 2 * ALONE_NS)
    if any(t.event in (Event.DOCK, Event.SHUTDOWN, Event.ABORT, Event.UNDOCK) for t in after):
        return None
    return before[-1].after


def _transitions(record: Record, from_ns: int, to_ns: int) -> list[Transition]:
    return [t for t in record.world.transitions if from_ns < t.at_ns <= to_ns]


def _starts(record: Record, act: Happening) -> Iterator[Finding]:
    events = [t.event for t in _transitions(record, act.at_ns, act.at_ns + OBEYED_NS)]
    if Event.START not in events and not _said(record, "refused", act.at_ns, OBEYED_NS):
        yield Finding("hands", act.at_ns, "two presses began nothing, and were not refused")


def _stops(record: Record, act: Happening, hold_ms: int) -> Iterator[Finding]:
    until_ns = act.at_ns + hold_ms * 1_000_000 + OBEYED_NS
    if Event.STOP not in [t.event for t in _transitions(record, act.at_ns, until_ns)]:
        yield Finding("hands", act.at_ns, "a long hold did not end the recording")


def _changes_nothing(record: Record, act: Happening) -> Iterator[Finding]:
    for transition in _transitions(record, act.at_ns, act.at_ns + OBEYED_NS):
        if transition.event in (Event.START, Event.STOP):
            text = f"a single press came to {transition.event.value!r}"
            yield Finding("hands", act.at_ns, text)


def _leaves_a_line(record: Record, life: BootLife, act: Happening, kind: str) -> Iterator[Finding]:
    if life.how != "switched off" and record.stored_until_ns(life) < act.at_ns + 2 * ALONE_NS:
        return
    if not _said(record, kind, act.at_ns, 2 * ALONE_NS):
        yield Finding("hands", act.at_ns, f"{act.what} left no {kind} line")


def _said(record: Record, kind: str, at_ns: int, within_ns: int) -> bool:
    """Whether such a line was written then; while the disk was in trouble it may come later."""
    for said in record.of_kind(kind):
        when_ns = said.when_ns()
        if at_ns <= when_ns <= at_ns + within_ns:
            return True
    return record.in_trouble(STORAGE_TROUBLE, at_ns)
