"""What the fingers did has its effect: every gesture is obeyed at once, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hal.ports import SECOND_NS, Level
from sim.oracle import gestures
from sim.oracle.course import (
    AT_ONCE_NS,
    DOCKED,
    READY,
    RECORDING,
    RECORDS,
    STARTING,
    STOPPED,
    Course,
)
from sim.oracle.evidence import CAPTURE_TROUBLE, STORAGE_TROUBLE, Finding, Record, Said
from sim.oracle.gestures import MS, Meaning

LIGHT_WITHIN_NS = 200 * MS
# The next keyframe, and what the disk needs.
SNAPSHOT_NS = 4 * SECOND_NS
FELT_NS = 3 * SECOND_NS
# A gauge is looked at every few seconds.
NOTICED_NS = 15 * SECOND_NS


def hand_findings(record: Record, course: Course) -> Iterator[Finding]:
    yield from _covert_ends_in_the_dock(course)
    yield from _covert_ends_in_time(record, course)
    yield from _battery_speaks(record, course)
    for gesture in course.gestures:
        if not course.lives_on(gesture.at_ns) or course.in_motion_but_for(gesture):
            continue
        mode = course.mode(gesture.at_ns)
        if mode != STOPPED:
            yield from _effect(record, course, gesture, mode)


def _covert_ends_in_the_dock(course: Course) -> Iterator[Finding]:
    for change in course.changes:
        hidden = change.after in (DOCKED, STOPPED) and _covert(course, change.at_ns)
        if hidden and course.keeps_lines(change.at_ns):
            yield Finding("covert", change.at_ns, f"covert mode goes on when it is {change.after}")


def _covert_ends_in_time(record: Record, course: Course) -> Iterator[Finding]:
    limit_ns = record.world.settings.policy.covert_limit_min * 60 * SECOND_NS
    lines: list[Said | None] = [*course.lines("covert"), None]
    for said, following in pairwise(lines):
        assert said is not None
        until_ns = said.when_ns() + limit_ns + AT_ONCE_NS
        over = following is not None and following.when_ns() <= until_ns
        if said.fields["on"] and not over and course.keeps_lines(until_ns + SECOND_NS):
            yield Finding("covert", until_ns, "covert mode goes on beyond its limit")
            return


def _battery_speaks(record: Record, course: Course) -> Iterator[Finding]:
    """A low battery is heard soon, an empty one ends the shift in order."""
    alarms = record.world.settings.alarms
    for gauge in record.witness.gauges:
        from_ns = max(gauge.from_ns, course.life.started_ns + NOTICED_NS)
        lasts = gauge.to_ns - from_ns > NOTICED_NS and course.lives_on(from_ns, 2 * NOTICED_NS)
        there = course.life.started_ns <= from_ns <= course.life.ended_ns
        until_ns = from_ns + NOTICED_NS
        unreadable = any(
            record.in_trouble(("gauge-unreadable",), at_ns, NOTICED_NS)
            for at_ns in (from_ns, until_ns)
        )
        # What has not started yet has nothing to end in order.
        docked = course.mode(from_ns) in (DOCKED, STOPPED, STARTING)
        kept = course.keeps_lines(until_ns)
        if gauge.charging or unreadable or docked or not (there and lasts and kept):
            continue
        if gauge.percent <= alarms.battery_stop_percent:
            if course.mode(until_ns) not in (DOCKED, STOPPED):
                yield Finding("battery", until_ns, "it is empty, and the camera does not stop")
                return
        elif gauge.percent <= alarms.battery_low_percent and not _warned(course, from_ns):
            yield Finding("battery", until_ns, "it is low, and no alarm came")
            return


def _warned(course: Course, from_ns: int) -> bool:
    """Once when it got low, then at intervals."""
    return any(
        said.fields.get("sound") == "battery low" and said.when_ns() <= from_ns + NOTICED_NS
        for said in course.lines("cue")
    )


def _effect(record: Record, course: Course, gesture: Meaning, mode: str) -> Iterator[Finding]:
    name = gesture.name
    if name == gestures.TWICE:
        yield from _starts(record, course, gesture, mode)
    elif name in (gestures.HELD, gestures.TWICE_HELD):
        yield from _stops(course, gesture, mode)
    elif name == gestures.PRESS:
        yield from _marks(record, course, gesture, mode)
    elif name == gestures.MARKER_HELD:
        yield from _leaves(course, gesture, "flag")
    elif name == gestures.MARKER_TWICE:
        yield from _takes_a_picture(record, course, gesture, mode)
    elif name == gestures.MARKER_THRICE:
        allowed = record.world.settings.policy.mute and mode in RECORDS
        yield from _switches(course, gesture, "mute", allowed=allowed)
    elif name == gestures.MARKER_LET_GO:
        yield from _unmutes(course, gesture)
    elif name == gestures.BOTH:
        allowed = record.world.settings.policy.covert
        yield from _switches(course, gesture, "covert", allowed=allowed)
    elif name == gestures.STUCK:
        yield from _is_written_down(course, gesture)


def _is_written_down(course: Course, gesture: Meaning) -> Iterator[Finding]:
    faults = course.said("fault", gesture.at_ns)
    told = any(said.fields["part"] == "button" for said in faults)
    if course.keeps_lines(gesture.at_ns) and not told:
        yield Finding("hands", gesture.at_ns, "a button that is stuck left no line")


def _starts(record: Record, course: Course, gesture: Meaning, mode: str) -> Iterator[Finding]:
    at_ns = gesture.at_ns
    started = course.change("start", at_ns)
    if started is None:
        if course.keeps_lines(at_ns) and not _refused(course, at_ns, "start"):
            yield Finding("hands", at_ns, f"two presses began nothing while {mode}, nor refused")
        return
    if mode == READY and not record.in_trouble(("light-fails",), at_ns):
        yield from _lit(record, course, at_ns)


def _lit(record: Record, course: Course, at_ns: int) -> Iterator[Finding]:
    """Press to light: what comes out of the pin, within 200 ms. Covert mode keeps it dark."""
    if _covert(course, at_ns):
        return
    for shown in record.witness.shown("front light"):
        if shown.level is Level.ON and at_ns <= shown.at_ns <= at_ns + LIGHT_WITHIN_NS:
            return
    yield Finding("press to light", at_ns, "the front light is not on 200 ms after the press")


def _stops(course: Course, gesture: Meaning, mode: str) -> Iterator[Finding]:
    started_it = gesture.name == gestures.TWICE_HELD and course.change("start", gesture.down_ns)
    if mode != RECORDING or started_it:
        return
    if course.change("stop", gesture.at_ns) is None:
        yield Finding("hands", gesture.at_ns, f"{gesture.name} did not end the recording")


def _marks(record: Record, course: Course, gesture: Meaning, mode: str) -> Iterator[Finding]:
    at_ns = gesture.at_ns
    if mode not in RECORDS or not course.keeps_lines(at_ns):
        return
    lines = [s for s in course.lines("marker") if abs(s.world_ns("at_ns") - at_ns) <= MS]
    lines = [s for s in lines if s.fields["marker"] != "remote"]
    if len(lines) != 1:
        yield Finding("markers", at_ns, f"one press left {len(lines)} marker lines of its time")
        return
    kind, due = lines[0].fields["marker"], _marker_kind(record, course, at_ns)
    if kind != due:
        yield Finding("markers", at_ns, f"a press left a marker {kind!r}, and should {due!r}")
    if not _felt(record, at_ns):
        yield Finding("vibration", at_ns, "a marker was not felt")


def _marker_kind(record: Record, course: Course, at_ns: int) -> str:
    """The first press within the window says that those present were told."""
    began_ns = course.began_ns(at_ns)
    window_ns = record.world.settings.public.informed_window_s * SECOND_NS
    if began_ns is None or at_ns - began_ns > window_ns:
        return "moment"
    earlier = [
        said
        for said in course.lines("marker")
        if began_ns <= said.world_ns("at_ns") < at_ns and said.fields["marker"] == "informed"
    ]
    return "moment" if earlier else "informed"


def _felt(record: Record, at_ns: int) -> bool:
    if record.in_trouble(("beeper-fails",), at_ns, FELT_NS):
        return True
    return any(
        shown.level is Level.ON and at_ns <= shown.at_ns <= at_ns + FELT_NS
        for shown in record.witness.shown("vibration")
    )


def _leaves(course: Course, gesture: Meaning, kind: str) -> Iterator[Finding]:
    at_ns = gesture.at_ns
    obeyed = course.said(kind, at_ns)
    if course.keeps_lines(at_ns) and not obeyed and not _refused(course, at_ns, kind):
        yield Finding("hands", at_ns, f"{gesture.name} left no {kind} line, nor a refusal")


def _takes_a_picture(
    record: Record, course: Course, gesture: Meaning, mode: str
) -> Iterator[Finding]:
    at_ns = gesture.at_ns
    troubled = record.in_trouble((*STORAGE_TROUBLE, *CAPTURE_TROUBLE), at_ns, 30 * SECOND_NS)
    if troubled or not course.keeps_lines(at_ns + SNAPSHOT_NS):
        return
    if mode not in RECORDS:
        if not _refused(course, at_ns, "snapshot"):
            yield Finding("hands", at_ns, f"a snapshot while {mode} was not refused")
        return
    if not course.lives_on(at_ns, SNAPSHOT_NS) or not course.stays(at_ns, SNAPSHOT_NS):
        return
    if not course.said("still", at_ns, SNAPSHOT_NS):
        yield Finding("snapshots", at_ns, "two presses of the marker button left no still")


def _switches(course: Course, gesture: Meaning, kind: str, *, allowed: bool) -> Iterator[Finding]:
    at_ns = gesture.at_ns
    if not course.keeps_lines(at_ns):
        return
    lines = [s for s in course.said(kind, at_ns) if s.fields["reason"] == "button"]
    if allowed and not lines:
        yield Finding(kind, at_ns, f"{gesture.name} switched nothing")
    if lines and not allowed:
        yield Finding(kind, at_ns, f"{kind} was switched, which is not allowed")
    if not allowed and not _refused(course, at_ns, kind):
        yield Finding(kind, at_ns, f"{gesture.name} is not allowed, and was not refused")


def _unmutes(course: Course, gesture: Meaning) -> Iterator[Finding]:
    """What the third press has muted is heard again when it ends."""
    began = [s for s in course.said("mute", gesture.down_ns) if s.fields["reason"] == "button"]
    if not any(said.fields["on"] for said in began) or not course.keeps_lines(gesture.at_ns):
        return
    until_ns = gesture.at_ns - gesture.down_ns + AT_ONCE_NS
    ended = course.said("mute", gesture.down_ns, until_ns)
    if not any(not said.fields["on"] for said in ended):
        yield Finding("mute", gesture.at_ns, "it goes on after the button was let go")


def _refused(course: Course, at_ns: int, what: str) -> bool:
    return any(said.fields["event"] == what for said in course.said("refused", at_ns))


def _covert(course: Course, at_ns: int) -> bool:
    """Whether covert mode was on, as its lines say; whether they may is judged in `causes`."""
    on = False
    for said in course.lines("covert"):
        if said.when_ns() <= at_ns + AT_ONCE_NS:
            on = bool(said.fields["on"])
    return on
