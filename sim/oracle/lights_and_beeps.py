"""Judges light and beeps: honest within two seconds, never dark while recording, heard when
promised.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from bwv_device.camera.indicators import patterns
from hal.ports import SECOND_NS, Level
from hal.simulated.panel import Shown
from sim.oracle.evidence import STORAGE_TROUBLE, Episode, Finding, Record

HONEST_NS = 2 * SECOND_NS
HANDLING_NS = 150_000_000
# A recording that ends waits for its last units and for the disk.
ENDING_NS = 3 * SECOND_NS
RECORDING = ("recording", patterns.MUTED.name)
SAID = (*RECORDING, patterns.NOT_STORED.name)


class Phase(NamedTuple):
    """An output said the same from one time to another."""

    from_ns: int
    to_ns: int
    pattern: str


def sign_findings(record: Record) -> list[Finding]:
    light = phases(record.witness.shown("front light"), record.world.loop.now_ns())
    findings = list(_dishonest(record, light))
    stops = [
        shown.at_ns
        for shown in record.witness.shown("beeper")
        if shown.level is Level.ON and shown.pattern == patterns.STOPPED.name
    ]
    beeps = [shown.at_ns for shown in record.witness.shown("beeper") if shown.level is Level.ON]
    for episode in record.episodes:
        findings += _dark(record, episode, light)
        findings += _silent(record, episode, beeps)
        findings += _stop_heard(record, episode, stops)
    findings += _lit_without_recording(record, light)
    return findings


def phases(history: list[Shown], end_ns: int) -> list[Phase]:
    """Runs of one pattern."""
    found: list[Phase] = []
    for at, shown in enumerate(history):
        to_ns = history[at + 1].at_ns if at + 1 < len(history) else end_ns
        if found and found[-1].pattern == shown.pattern:
            found[-1] = found[-1]._replace(to_ns=to_ns)
        else:
            found.append(Phase(shown.at_ns, to_ns, shown.pattern))
    return found


def _dishonest(record: Record, light: list[Phase]) -> Iterator[Finding]:
    """It says "recording" while nothing has got durable for longer than allowed."""
    proofs = sorted([*_newest_durable(record), *(e.start_ns for e in record.episodes)])
    for phase in light:
        if phase.pattern not in RECORDING:
            continue
        at_ns = phase.from_ns
        index = bisect_right(proofs, at_ns)
        proof_ns = proofs[index - 1] if index else -SECOND_NS
        for next_ns in [*(p for p in proofs[index:] if p < phase.to_ns), phase.to_ns]:
            over_ns = next_ns - proof_ns - HONEST_NS - HANDLING_NS
            if over_ns > 0 and not _broken(record, ("light-fails",), next_ns):
                text = f"it says recording {over_ns / SECOND_NS:.3f} s longer than it may"
                yield Finding("honest light", proof_ns + HONEST_NS, text)
                return
            proof_ns = next_ns


def _newest_durable(record: Record) -> list[int]:
    """For each sync of footage, when the newest picture was taken that could be in it."""
    fps = record.world.media.video.format.fps
    runs = [(a * SECOND_NS // fps, (b + 1) * SECOND_NS // fps)
            for life in record.witness.lives for a, b in life.handed]  # fmt: skip
    starts = [start for start, _ in runs]
    newest = []
    for at_ns in record.witness.footage_synced_ns:
        run = bisect_right(starts, at_ns) - 1
        if run >= 0:
            newest.append(min(at_ns, runs[run][1]))
    return newest


def _dark(record: Record, episode: Episode, light: list[Phase]) -> Iterator[Finding]:
    """While it records the light is on, but for covert mode."""
    covert = record.intervals("covert")
    from_ns, to_ns = episode.start_ns + HANDLING_NS, episode.end_ns
    for phase in light:
        since_ns, until_ns = max(phase.from_ns, from_ns), min(phase.to_ns, to_ns)
        if phase.pattern in SAID or until_ns - since_ns <= HANDLING_NS:
            continue
        if any(a - HANDLING_NS <= since_ns and until_ns <= b + SECOND_NS for a, b in covert):
            continue
        if not _broken(record, ("light-fails",), since_ns):
            dark_s = (until_ns - since_ns) / SECOND_NS
            text = f"the front light says {phase.pattern!r} for {dark_s:.3f} s"
            yield Finding("the light is on", since_ns, text)
            return


def _lit_without_recording(record: Record, light: list[Phase]) -> Iterator[Finding]:
    """After the end it says nothing any more."""
    spans = [(e.start_ns, e.end_ns + ENDING_NS) for e in record.episodes]
    for phase in light:
        if phase.pattern not in SAID:
            continue
        covered_to = max((to for start, to in spans if start <= phase.to_ns), default=-1)
        late_ns = phase.to_ns - covered_to
        troubled = record.in_trouble(STORAGE_TROUBLE, covered_to)
        if late_ns > 0 and not troubled and not _broken(record, ("light-fails",), phase.to_ns):
            text = f"it says {phase.pattern!r} {late_ns / SECOND_NS:.3f} s after the end"
            yield Finding("honest light", phase.to_ns, text)
            return


def _silent(record: Record, episode: Episode, beeps: list[int]) -> Iterator[Finding]:
    """From the start on there is something to hear at least as often as reminders are due."""
    if any(a <= episode.end_ns and b >= episode.start_ns for a, b in record.intervals("covert")):
        return
    due_ns = record.world.settings.sounds.reminder_s * SECOND_NS + 3 * SECOND_NS
    heard = beeps[bisect_left(beeps, episode.start_ns) : bisect_right(beeps, episode.end_ns)]
    times = [*heard, episode.end_ns]
    if times[0] - episode.start_ns > SECOND_NS and not _deaf(record, episode.start_ns, times[0]):
        yield Finding("beeps", episode.start_ns, "the start was not heard")
    for before, after in zip([episode.start_ns, *times], times, strict=False):
        if after - before > due_ns and not _deaf(record, before, after):
            text = f"nothing is heard for {(after - before) / SECOND_NS:.1f} s of a recording"
            yield Finding("beeps", before, text)
            return


def _stop_heard(record: Record, episode: Episode, stops: list[int]) -> Iterator[Finding]:
    """One long beep at the end of a recording, unless something else is going on."""
    end_ns = episode.end_ns
    around = [e.start_ns for e in record.episodes if end_ns < e.start_ns < end_ns + 4 * SECOND_NS]
    late = episode.life.ended_ns < end_ns + 4 * SECOND_NS
    covert = any(a <= end_ns <= b + SECOND_NS for a, b in record.intervals("covert"))
    if not episode.orderly or around or late or covert or _deaf(record, end_ns, end_ns):
        return
    if record.in_trouble(STORAGE_TROUBLE, end_ns):
        return
    if not any(end_ns <= at_ns <= end_ns + 4 * SECOND_NS for at_ns in stops):
        yield Finding("beeps", end_ns, "the stop was not heard")


def _deaf(record: Record, from_ns: int, to_ns: int) -> bool:
    """Whether the beeper was broken in between."""
    return any(
        trouble.from_ns <= to_ns and trouble.to_ns + 3 * SECOND_NS >= from_ns
        for trouble in record.witness.troubled("beeper-fails")
    )


def _broken(record: Record, names: tuple[str, ...], at_ns: int) -> bool:
    return record.in_trouble(names, at_ns, 3 * SECOND_NS)
