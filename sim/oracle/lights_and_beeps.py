"""Judges what came out of the pins, level by level: the light is honest within two seconds, flashes
while it records, and nothing shines, sounds or shakes without a cause.

Names of patterns are the camera's own words; nothing here reads them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from hal.ports import SECOND_NS, Level
from hal.simulated.panel import Shown
from sim.oracle.course import RECORDS, Course
from sim.oracle.evidence import CAPTURE_TROUBLE, STORAGE_TROUBLE, Episode, Finding, Record
from sim.oracle.gestures import MS

HONEST_NS = 2 * SECOND_NS
HANDLING_NS = 150 * MS
# A recording that ends waits for its last units and for the disk.
ENDING_NS = 3 * SECOND_NS
# "Not stored" flashes this long; what shines longer says that it records.
FAST_NS = 120 * MS
# Muted, it is dark for longer than otherwise (docs/cues.md).
MUTED_DARK_NS = 550 * MS
SHORT_NS, LONG_NS = 130 * MS, 700 * MS
# What follows a cause at once, or has to wait for what sounds before it.
FOLLOWS_NS = 6 * SECOND_NS
PAUSE_NS = 450 * MS
LIGHT_FAILS = ("light-fails",)
OUTPUTS_FAIL = ("light-fails", "beeper-fails")


class Run(NamedTuple):
    """An output had one level from one time to another."""

    from_ns: int
    to_ns: int
    level: Level


def sign_findings(record: Record, courses: Sequence[Course]) -> Iterator[Finding]:
    end_ns = record.world.loop.now_ns()
    light = runs(record.witness.shown("front light"), end_ns)
    beeps = [r for r in runs(record.witness.shown("beeper"), end_ns) if r.level is not Level.OFF]
    shakes = [r for r in runs(record.witness.shown("vibration"), end_ns) if r.level is Level.ON]
    shines = [run for run in light if run.level is not Level.OFF]
    covert = record.intervals("covert")
    proofs = _Proofs(record)
    yield from _dishonest(record, shines, proofs)
    yield from _lit_without_recording(record, shines)
    yield from _lit_in_covert_mode(record, shines, beeps, covert)
    for episode in record.episodes:
        yield from _dark(record, episode, light, covert)
        yield from _silent(record, episode, beeps, covert)
        yield from _stop_heard(record, episode, beeps, covert)
    yield from _sounds_without_cause(record, courses, beeps, proofs)
    for course in courses:
        yield from _refusals_unheard(record, course, beeps, covert)
        yield from _reminded_to_inform(record, course, shakes)
    yield from _shakes_without_cause(record, courses, shakes, covert)
    yield from _status(record, courses, runs(record.witness.shown("status light"), end_ns))


def runs(history: Sequence[Shown], end_ns: int) -> list[Run]:
    """Runs of one level; what lasts no time is left out."""
    found: list[Run] = []
    for at, shown in enumerate(history):
        to_ns = history[at + 1].at_ns if at + 1 < len(history) else end_ns
        if to_ns <= shown.at_ns:
            continue
        if found and found[-1].level is shown.level and found[-1].to_ns == shown.at_ns:
            found[-1] = found[-1]._replace(to_ns=to_ns)
        else:
            found.append(Run(shown.at_ns, to_ns, shown.level))
    return found


# --- the front light ------------------------------------------------------------------------------


class _Proofs:
    """When which picture got durable: by the bytes of each sync, and what is in them."""

    def __init__(self, record: Record) -> None:
        known, frame_ns = {}, SECOND_NS // record.world.media.video.format.fps
        for piece in record.pieces:
            ends = [picture.sealed_end for picture in piece.pictures]
            # Whether these times are right is judged in `footage`.
            times = [picture.at_ns + frame_ns for picture in piece.pictures]
            known[piece.name] = (ends, list(accumulate(times, max)))
        # A card that lies or decays says nothing of what was on it then.
        harmed = record.witness.troubled("lying-sync", "erased-block")
        proofs = [(episode.start_ns, episode.start_ns) for episode in record.episodes]
        for synced in record.witness.footage_synced:
            name = synced.path.rpartition("/")[2].removesuffix(".part")
            ends, times = known.get(name, ([], []))
            at = bisect_right(ends, synced.length)
            if at and not harmed:
                proofs.append((synced.at_ns, times[at - 1]))
            elif name not in known or harmed:  # a file that a power cut took, or a still
                proofs.append((synced.at_ns, synced.at_ns))
        proofs.sort()
        self._at = [at for at, _ in proofs]
        self._newest: list[int] = []
        for _, picture_end_ns in proofs:
            self._newest.append(max(picture_end_ns, self._newest[-1] if self._newest else 0))

    def newest_ns(self, at_ns: int) -> int:
        """The end of the newest picture that was durable then."""
        index = bisect_right(self._at, at_ns)
        return self._newest[index - 1] if index else -SECOND_NS


def _dishonest(record: Record, shines: list[Run], proofs: _Proofs) -> Iterator[Finding]:
    """It says "recording" while nothing has got durable for longer than allowed."""
    for run in shines:
        if run.to_ns - run.from_ns <= FAST_NS:
            continue
        for at_ns in (run.from_ns + FAST_NS, run.to_ns):
            over_ns = at_ns - proofs.newest_ns(at_ns) - HONEST_NS - HANDLING_NS
            if over_ns > 0 and not _fails(record, LIGHT_FAILS, run.from_ns, at_ns):
                text = f"it says recording {over_ns / SECOND_NS:.3f} s longer than it may"
                yield Finding("honest light", at_ns, text)
                return


def _dark(
    record: Record, episode: Episode, light: list[Run], covert: list[tuple[int, int]]
) -> Iterator[Finding]:
    """While it records the light flashes: it is never dark for long, and never steady."""
    settings = record.world.settings.light
    dark_ns = max(settings.recording_off_ms * MS, MUTED_DARK_NS) + HANDLING_NS
    # Where "recording" and "not stored" take turns, each begins with light.
    steady_ns = 2 * settings.recording_on_ms * MS + HANDLING_NS
    from_ns, to_ns = episode.start_ns + HANDLING_NS, episode.end_ns
    for run in light:
        since_ns, until_ns = max(run.from_ns, from_ns), min(run.to_ns, to_ns)
        limit_ns = dark_ns if run.level is Level.OFF else steady_ns
        # It may have been dark for a moment when covert mode began.
        hidden = any(a - dark_ns <= since_ns and until_ns <= b + SECOND_NS for a, b in covert)
        if until_ns - since_ns <= limit_ns or hidden:
            continue
        if not _fails(record, LIGHT_FAILS, since_ns, until_ns):
            word = "dark" if run.level is Level.OFF else "on without a break"
            text = f"the front light is {word} for {(until_ns - since_ns) / SECOND_NS:.3f} s"
            yield Finding("the light is on", since_ns, text)
            return


def _lit_without_recording(record: Record, shines: list[Run]) -> Iterator[Finding]:
    """After the end it says nothing any more."""
    spans = [(e.start_ns, e.end_ns + ENDING_NS) for e in record.episodes]
    for run in shines:
        covered_to = max((to for start, to in spans if start <= run.to_ns), default=-1)
        late_ns = run.to_ns - covered_to
        troubled = record.in_trouble(STORAGE_TROUBLE, covered_to, 45 * SECOND_NS)
        if late_ns > 0 and not troubled and not _fails(record, LIGHT_FAILS, run.from_ns, run.to_ns):
            text = f"the front light shines {late_ns / SECOND_NS:.3f} s after the end"
            yield Finding("honest light", run.to_ns, text)
            return


def _lit_in_covert_mode(
    record: Record, shines: list[Run], beeps: list[Run], covert: list[tuple[int, int]]
) -> Iterator[Finding]:
    """Covert is dark and silent, but for what had begun before."""
    for what, heard, grace_ns in (("shines", shines, HANDLING_NS), ("sounds", beeps, FOLLOWS_NS)):
        for run in heard:
            for from_ns, to_ns in covert:
                inside = from_ns + grace_ns < run.from_ns < to_ns
                if inside and not _fails(record, OUTPUTS_FAIL, run.from_ns, run.to_ns):
                    yield Finding("covert", run.from_ns, f"the camera {what} in covert mode")
                    return


# --- sounds ---------------------------------------------------------------------------------------


def _silent(
    record: Record, episode: Episode, beeps: list[Run], covert: list[tuple[int, int]]
) -> Iterator[Finding]:
    """From the start on there is something to hear at least as often as reminders are due."""
    if any(a <= episode.end_ns and b >= episode.start_ns for a, b in covert):
        return
    due_ns = record.world.settings.sounds.reminder_s * SECOND_NS + 3 * SECOND_NS
    heard = [b for b in beeps if episode.start_ns <= b.from_ns <= episode.end_ns]
    times = [*(b.from_ns for b in heard), episode.end_ns]
    if times[0] - episode.start_ns > SECOND_NS and not _deaf(record, episode.start_ns, times[0]):
        yield Finding("beeps", episode.start_ns, "the start was not heard")
    for before, after in zip([episode.start_ns, *times], times, strict=False):
        if after - before > due_ns and not _deaf(record, before, after):
            text = f"nothing is heard for {(after - before) / SECOND_NS:.1f} s of a recording"
            yield Finding("beeps", before, text)
            return


def _stop_heard(
    record: Record, episode: Episode, beeps: list[Run], covert: list[tuple[int, int]]
) -> Iterator[Finding]:
    """One long beep at the end of a recording, unless something else is going on."""
    end_ns = episode.end_ns
    around = [e.start_ns for e in record.episodes if end_ns < e.start_ns < end_ns + 4 * SECOND_NS]
    late = episode.life.ended_ns < end_ns + 4 * SECOND_NS
    hidden = any(a <= end_ns <= b + SECOND_NS for a, b in covert)
    deaf = _deaf(record, end_ns, end_ns + 4 * SECOND_NS)
    if not episode.orderly or around or late or hidden or deaf:
        return
    if record.in_trouble(STORAGE_TROUBLE, end_ns):
        return
    long_ones = [b.from_ns for b in beeps if b.to_ns - b.from_ns >= LONG_NS]
    if not any(end_ns <= at_ns <= end_ns + 4 * SECOND_NS for at_ns in long_ones):
        yield Finding("beeps", end_ns, "the stop was not heard")


def _deaf(record: Record, from_ns: int, to_ns: int) -> bool:
    """Whether the beeper was broken in between."""
    return _fails(record, ("beeper-fails",), from_ns, to_ns)


def _fails(record: Record, names: tuple[str, ...], from_ns: int, to_ns: int) -> bool:
    """Whether an output was broken in between, or had just been mended."""
    return any(
        trouble.from_ns <= to_ns and trouble.to_ns + 3 * SECOND_NS >= from_ns
        for trouble in record.witness.troubled(*names)
    )


def _refusals_unheard(
    record: Record, course: Course, beeps: list[Run], covert: list[tuple[int, int]]
) -> Iterator[Finding]:
    """Every refusal of what a hand asked for is heard: two long beeps."""
    for said in course.lines("refused"):
        at_ns = said.when_ns()
        hidden = any(a - SECOND_NS <= at_ns <= b + SECOND_NS for a, b in covert)
        if said.fields["event"] == "command" or hidden or _deaf(record, at_ns, at_ns + FOLLOWS_NS):
            continue
        if not course.lives_on(at_ns, FOLLOWS_NS):
            continue
        long_ns = 2 * SHORT_NS
        heard = [b for b in beeps if at_ns <= b.from_ns <= at_ns + FOLLOWS_NS]
        if not any(b.to_ns - b.from_ns > long_ns for b in heard):
            yield Finding("beeps", at_ns, f"the refusal of {said.fields['event']} was not heard")
            return


def _sounds_without_cause(
    record: Record, courses: Sequence[Course], beeps: list[Run], proofs: _Proofs
) -> Iterator[Finding]:
    causes = sorted(_causes(record, courses))
    last_ns = -SECOND_NS
    for beep in beeps:
        goes_on, last_ns = beep.from_ns - last_ns < PAUSE_NS, beep.to_ns
        at = bisect_right(causes, beep.from_ns)
        if goes_on or (at and beep.from_ns - causes[at - 1] <= FOLLOWS_NS):
            continue
        # A line that the disk refused is no proof, whatever its bytes are.
        undurable = beep.from_ns - proofs.newest_ns(beep.from_ns) > HONEST_NS - HANDLING_NS
        undurable = undurable or record.in_trouble(STORAGE_TROUBLE, beep.from_ns)
        if undurable and _recorded(record, beep.from_ns):
            continue
        if not _deaf(record, beep.from_ns, beep.to_ns):
            yield Finding("beeps", beep.from_ns, "something sounds, and nothing was its cause")
            return


def _recorded(record: Record, at_ns: int) -> bool:
    """Whether a recording was on, or its end still waited for the disk."""
    return any(
        e.start_ns <= at_ns <= e.end_ns + ENDING_NS
        or (at_ns >= e.start_ns and record.in_trouble(STORAGE_TROUBLE, e.end_ns, 45 * SECOND_NS))
        for e in record.episodes
    )


def _causes(record: Record, courses: Sequence[Course]) -> Iterator[int]:
    """When something happened that may be heard."""
    reminder_ns = record.world.settings.sounds.reminder_s * SECOND_NS
    for course in courses:
        yield course.life.started_ns  # the clock is not set
        # What a hand asked for is obeyed or refused; the line of it may never reach a dead card.
        yield from (gesture.at_ns for gesture in course.gestures)
        yield from (said.when_ns() for said in course.lines("refused"))
        yield from (s.when_ns() for s in course.lines("cue") if "sound" in s.fields)
        for said in course.lines("command"):
            # It shows itself for as long as it was told to.
            yield from (said.at_ns + n * SECOND_NS for n in range(3))
    for episode in record.episodes:
        troubled = record.in_trouble(STORAGE_TROUBLE, episode.end_ns, 45 * SECOND_NS)
        until_ns = episode.end_ns + (45 * SECOND_NS if troubled else 0)
        yield from range(episode.start_ns, until_ns + 1, reminder_ns)
        yield from (episode.end_ns + n * SECOND_NS for n in range(4))


# --- vibration ------------------------------------------------------------------------------------


def _reminded_to_inform(record: Record, course: Course, shakes: list[Run]) -> Iterator[Finding]:
    """Nobody has said that those present were told: the camera shakes three times, once."""
    public = record.world.settings.public
    wait_ns = public.reminder_after_s * SECOND_NS
    for change in course.changes:
        if change.event != "start" or change.before in RECORDS:
            continue
        due_ns = change.at_ns + wait_ns
        informed = [
            said
            for said in course.lines("marker")
            if said.fields["marker"] == "informed"
            and change.at_ns <= said.world_ns("at_ns") <= due_ns
        ]
        silent = informed or not course.stays(change.at_ns + MS, wait_ns + SECOND_NS)
        late = not course.lives_on(due_ns, FOLLOWS_NS) or not course.keeps_lines(due_ns)
        if silent or late or _deaf(record, due_ns, due_ns + FOLLOWS_NS):
            continue
        if public.reminder_after_s >= public.informed_window_s:
            continue
        felt = [s for s in shakes if due_ns <= s.from_ns <= due_ns + 2 * SECOND_NS]
        if len(felt) < 3:
            yield Finding("vibration", due_ns, "nobody was reminded to tell those present")
            return


def _shakes_without_cause(
    record: Record,
    courses: Sequence[Course],
    shakes: list[Run],
    covert: list[tuple[int, int]],
) -> Iterator[Finding]:
    wait_ns = record.world.settings.public.reminder_after_s * SECOND_NS
    causes = sorted(
        [
            *(g.at_ns for course in courses for g in course.gestures),
            *(c.at_ns + wait_ns for course in courses for c in course.changes),
        ]
    )
    for shake in shakes:
        at = bisect_right(causes, shake.from_ns)
        hidden = any(a - SECOND_NS <= shake.from_ns <= b + FOLLOWS_NS for a, b in covert)
        followed = at and shake.from_ns - causes[at - 1] <= FOLLOWS_NS
        if not (hidden or followed or _deaf(record, shake.from_ns, shake.to_ns)):
            yield Finding("vibration", shake.from_ns, "it shakes, and nothing was its cause")
            return


# --- the status light -----------------------------------------------------------------------------


def _status(record: Record, courses: Sequence[Course], shown: list[Run]) -> Iterator[Finding]:
    """Red is a fault of storage; amber, that a press would be refused or footage stays behind."""
    for run in shown:
        fails = _fails(record, LIGHT_FAILS, run.from_ns, run.to_ns)
        if fails or run.level not in (Level.RED, Level.AMBER):
            continue
        course = _course(courses, run.from_ns)
        if course is None or run.from_ns - course.life.started_ns < 4 * SECOND_NS:
            continue
        troubled = record.in_trouble(STORAGE_TROUBLE, run.from_ns, 60 * SECOND_NS)
        if run.level is Level.RED and not troubled:
            yield Finding("status light", run.from_ns, "red, and storage is well")
            return
        if run.level is Level.AMBER and not troubled and not _unable(record, course, run.from_ns):
            yield Finding("status light", run.from_ns, "amber, and a press would be obeyed")
            return


def _course(courses: Sequence[Course], at_ns: int) -> Course | None:
    lives = [c for c in courses if c.life.started_ns <= at_ns <= c.life.ended_ns]
    return lives[-1] if lives else None


def _unable(record: Record, course: Course, at_ns: int) -> bool:
    """Whether a press would be refused, or something in the dock could not be delivered."""
    if course.mode(at_ns + MS) not in ("ready", *RECORDS):
        return True
    undocked = [c.at_ns for c in course.changes if c.event in ("undock", "started")]
    warm_up = any(0 <= at_ns - at <= 4 * SECOND_NS for at in undocked)
    limit = record.world.settings.alarms.battery_stop_percent + 2
    low = any(
        gauge.percent <= limit and gauge.from_ns <= at_ns <= gauge.to_ns + 15 * SECOND_NS
        for gauge in record.witness.gauges
    )
    located = any(0 <= at_ns - said.at_ns <= FOLLOWS_NS for said in course.lines("command"))
    return warm_up or low or located or record.in_trouble(CAPTURE_TROUBLE, at_ns, 15 * SECOND_NS)
