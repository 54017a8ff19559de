"""Each claim of the camera has its cause in the world: what it did, refused, wrote, sounded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from hal.ports import SECOND_NS
from sim.oracle import gestures
from sim.oracle.course import (
    AT_ONCE_NS,
    DOCKED,
    READY,
    RECORDING,
    RECORDS,
    STARTING,
    Change,
    Course,
)
from sim.oracle.evidence import CAPTURE_TROUBLE, STORAGE_TROUBLE, Finding, Record, Said
from sim.oracle.gestures import MS

# A gauge is looked at this often, and the world is asked each second.
LOOKED_AT_NS = 15 * SECOND_NS
# From power on, or from the dock, until pictures come.
WARM_UP_NS = 4 * SECOND_NS
ROOM = ("storage-full", "inodes-used-up")
SNAPSHOT_NS = 60 * SECOND_NS
DOCK = {"dock": "docked", "undock": "taken off the dock"}


def cause_findings(record: Record, course: Course) -> Iterator[Finding]:
    for change in course.changes:
        cause = _CHANGES.get(change.event)
        if cause is None or not cause(record, course, change):
            text = f"{change.event!r} while {change.before}: nothing in the world was a cause"
            yield Finding("every claim has a cause", change.at_ns, text)
    for kind, judged in _LINES.items():
        for said in course.lines(kind):
            if problem := judged(record, course, said):
                yield Finding("every claim has a cause", said.at_ns, f"{kind}: {problem}")


# --- changes --------------------------------------------------------------------------------------


def _started(record: Record, course: Course, change: Change) -> bool:
    return change.before == STARTING


def _start(record: Record, course: Course, change: Change) -> bool:
    if course.gesture(change.at_ns, gestures.TWICE):
        return True
    allowed = record.world.settings.policy.remote_start
    return allowed and _commanded(course, change.at_ns, "start")


def _stop(record: Record, course: Course, change: Change) -> bool:
    return course.gesture(change.at_ns, gestures.HELD, gestures.TWICE_HELD) is not None


def _post_event_over(record: Record, course: Course, change: Change) -> bool:
    lingers_ns = record.world.settings.recording.post_event_s * SECOND_NS
    stops = [c.at_ns for c in course.changes if c.event == "stop" and c.at_ns <= change.at_ns]
    return bool(stops) and 0 <= change.at_ns - stops[-1] - lingers_ns <= AT_ONCE_NS


def _abort(record: Record, course: Course, change: Change) -> bool:
    """Storage is used up: nothing else ends a recording on its own."""
    return record.in_trouble(ROOM, change.at_ns)


def _dock(record: Record, course: Course, change: Change) -> bool:
    """Somebody did it just now; or it was so already when the camera came to be ready."""
    what = DOCK[change.event]
    moved = [h for h in record.world.happenings if h.what in DOCK.values()]
    before = [h for h in moved if h.at_ns <= change.at_ns]
    if not before or before[-1].what != what:
        return False
    ready = [c.at_ns for c in course.changes if c.after == READY and c.at_ns <= change.at_ns]
    since_ns = max([before[-1].at_ns, *ready[-1:]])
    return change.at_ns - since_ns <= AT_ONCE_NS


def _shutdown(record: Record, course: Course, change: Change) -> bool:
    told = ("the officer switches off", "the end of the shift")
    if any(
        h.what in told and abs(h.at_ns - change.at_ns) <= AT_ONCE_NS
        for h in record.world.happenings
    ):
        return True
    return _battery_was(record, change.at_ns, record.world.settings.alarms.battery_stop_percent)


_CHANGES: dict[str, Callable[[Record, Course, Change], bool]] = {
    "started": _started,
    "start": _start,
    "stop": _stop,
    "post-event over": _post_event_over,
    "abort": _abort,
    "dock": _dock,
    "undock": _dock,
    "shutdown": _shutdown,
}


# --- lines ----------------------------------------------------------------------------------------


def _refused(record: Record, course: Course, said: Said) -> str:
    """What was refused was asked for, and the reason is true."""
    what, at_ns = said.fields["event"], said.when_ns()
    if what == "command":
        return ""
    asked = _ASKED.get(what)
    commanded = what == "start" and _commanded(course, at_ns, "start")
    if asked and not course.gesture(at_ns, *asked) and not commanded:
        return f"{what} was refused, and nobody had asked for it"
    for condition in said.fields["conditions"]:
        true = _CONDITIONS.get(condition)
        if true is None or not true(record, course, at_ns):
            return f"{what} was refused because {condition!r}, and that was not so"
    return ""


def _marker(record: Record, course: Course, said: Said) -> str:
    at_ns = said.world_ns("at_ns")
    if said.fields["marker"] == "remote":
        return "" if _commanded(course, at_ns, "mark") else "nobody sent it"
    pressed = course.gesture(at_ns, gestures.PRESS)
    return "" if pressed and abs(pressed.at_ns - at_ns) <= MS else "nobody pressed then"


def _flag(record: Record, course: Course, said: Said) -> str:
    if said.fields.get("by") == "command":
        return "" if _commanded(course, said.when_ns(), "hold", LOOKED_AT_NS) else "nobody sent it"
    held = course.gesture(said.when_ns(), gestures.MARKER_HELD)
    return "" if held else "nobody held the marker button"


def _still(record: Record, course: Course, said: Said) -> str:
    asked = [
        g.at_ns
        for g in course.gestures
        if g.name == gestures.MARKER_TWICE and 0 <= said.at_ns - g.at_ns <= SNAPSHOT_NS
    ]
    if not asked:
        return "nobody asked for a snapshot"
    early = said.world_ns("pts_ns") < max(asked) - SECOND_NS
    return "it shows a moment before it was asked for" if early and len(asked) == 1 else ""


def _mute(record: Record, course: Course, said: Said) -> str:
    at_ns = said.when_ns()
    if course.gesture(at_ns, gestures.MARKER_THRICE):
        return ""
    if not said.fields["on"] and course.gesture(at_ns, gestures.MARKER_LET_GO):
        return ""
    ended = not said.fields["on"] and course.mode(at_ns + MS) != RECORDING
    return "" if ended else "nobody pressed three times, and no recording ended"


def _covert(record: Record, course: Course, said: Said) -> str:
    at_ns, on = said.when_ns(), said.fields["on"]
    if course.gesture(at_ns, gestures.BOTH):
        return ""
    if on:
        return "nobody held both buttons"
    limit_ns = record.world.settings.policy.covert_limit_min * 60 * SECOND_NS
    began = [s.when_ns() for s in course.lines("covert") if s.fields["on"]]
    if any(abs(at_ns - start_ns - limit_ns) <= AT_ONCE_NS for start_ns in began):
        return ""
    left = any(
        abs(c.at_ns - at_ns) <= AT_ONCE_NS and c.event in ("dock", "shutdown")
        for c in course.changes
    )
    return "" if left else "it ended before its time"


def _alarm(record: Record, course: Course, said: Said) -> str:
    """Alarms of battery, storage and clock speak of the world."""
    sound, at_ns, alarms = said.fields.get("sound"), said.when_ns(), record.world.settings.alarms
    if sound == "battery low" and not _battery_was(record, at_ns, alarms.battery_low_percent):
        return "the battery alarm sounds, and the battery is good"
    if sound == "ended without battery" and not _went_out(record, course):
        return "it did not end without battery"
    if sound == "storage low" and not record.in_trouble(ROOM, at_ns):
        return "the storage alarm sounds, and there is room"
    return ""


def _went_out(record: Record, course: Course) -> bool:
    """Whether the battery was nearly empty when the life before this one ended."""
    earlier = [x for x in record.witness.lives if x.ended_ns <= course.life.started_ns]
    ends = [max(x.ended_ns for x in earlier)] if earlier else []
    critical = record.world.settings.alarms.battery_critical_percent
    return any(_battery_was(record, at_ns, critical) for at_ns in ends)


_LINES: dict[str, Callable[[Record, Course, Said], str]] = {
    "refused": _refused,
    "marker": _marker,
    "flag": _flag,
    "still": _still,
    "mute": _mute,
    "covert": _covert,
    "cue": _alarm,
}
_ASKED = {
    "start": (gestures.TWICE,),
    "flag": (gestures.MARKER_HELD,),
    "snapshot": (gestures.MARKER_TWICE,),
    "mute": (gestures.MARKER_THRICE,),
    "covert": (gestures.BOTH,),
}


# --- what the world knows -------------------------------------------------------------------------


def _battery_was(record: Record, at_ns: int, percent: int) -> bool:
    """Whether the battery was that low at about this time; two percent are hysteresis."""
    return any(
        gauge.percent <= percent + 2
        for gauge in record.witness.gauges
        if at_ns - LOOKED_AT_NS <= gauge.to_ns and gauge.from_ns <= at_ns + SECOND_NS
    )


def _commanded(course: Course, at_ns: int, name: str, within_ns: int = AT_ONCE_NS) -> bool:
    """Whether a command of this name was accepted just then; whose it is, `commands` judges."""
    for said in course.lines("command"):
        told = json.loads(said.fields["statement"].partition("\t")[0])
        if told["command"] == name and abs(said.when_ns() - at_ns) <= within_ns:
            return True
    return False


def _storage_troubled(record: Record, course: Course, at_ns: int) -> bool:
    since_boot_ns = at_ns - course.life.started_ns
    return since_boot_ns < WARM_UP_NS or record.in_trouble(STORAGE_TROUBLE, at_ns)


def _no_pictures(record: Record, course: Course, at_ns: int) -> bool:
    """The camera had trouble; or it had just been switched on."""
    undocked = [c.at_ns for c in course.changes if c.event == "undock" and c.at_ns <= at_ns]
    on_ns = max([course.life.started_ns, *undocked])
    return at_ns - on_ns < WARM_UP_NS or record.in_trouble(CAPTURE_TROUBLE, at_ns, 15 * SECOND_NS)


def _battery_empty(record: Record, course: Course, at_ns: int) -> bool:
    return _battery_was(record, at_ns, record.world.settings.alarms.battery_stop_percent)


def _nothing_to_flag(record: Record, course: Course, at_ns: int) -> bool:
    if course.mode(at_ns) in RECORDS:
        return False
    window_ns = record.world.settings.buttons.flag_after_s * SECOND_NS
    ends = [c.at_ns for c in course.changes if c.before in RECORDS and c.after not in RECORDS]
    late_ns = 45 * SECOND_NS if record.in_trouble(STORAGE_TROUBLE, at_ns, 2 * window_ns) else 0
    return not any(0 <= at_ns - end_ns <= window_ns - late_ns for end_ns in ends)


_CONDITIONS: dict[str, Callable[[Record, Course, int], bool]] = {
    "the ledger can be written": _storage_troubled,
    "storage takes files": _storage_troubled,
    "storage has room": lambda record, course, at_ns: record.in_trouble(ROOM, at_ns),
    "the battery lasts": _battery_empty,
    "the camera delivers pictures": _no_pictures,
    "the camera is docked": lambda record, course, at_ns: course.mode(at_ns) == DOCKED,
    "it is recording already": lambda record, course, at_ns: course.mode(at_ns) == RECORDING,
    "the camera is not ready yet": lambda record, course, at_ns: course.mode(at_ns) == STARTING,
    "it is not recording": lambda record, course, at_ns: course.mode(at_ns) not in RECORDS,
    "there is no recording to flag": _nothing_to_flag,
    "policy forbids mute": lambda record, *_: not record.world.settings.policy.mute,
    "policy forbids covert mode": lambda record, *_: not record.world.settings.policy.covert,
    "policy forbids starting from afar": lambda record, *_: (
        not record.world.settings.policy.remote_start
    ),
}
