"""Judges times in the ledger: they never go back, and each wall clock reading contains the true
time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from hal.ports import SECOND_NS
from sim.oracle.evidence import CAPTURE_TROUBLE, Finding, Record, Said


def diary_findings(record: Record) -> list[Finding]:
    return [
        *_times(record),
        *_readings(record),
        *_presses(record),
        *_states(record),
        *_officers(record),
        *_segments(record),
        *_post_event(record),
    ]


def _times(record: Record) -> Iterator[Finding]:
    last: Said | None = None
    for said in record.lines:
        if last and said.life is last.life and said.at_ns < last.at_ns:
            yield Finding("times", said.at_ns, f"line {said.fields['n']} goes back in time")
            return
        if not said.life.started_ns <= said.at_ns <= said.life.ended_ns:
            text = f"line {said.fields['n']} claims a time at which the camera was off"
            yield Finding("times", said.at_ns, text)
            return
        last = said


def _readings(record: Record) -> Iterator[Finding]:
    """Each `time` is the wall clock at the moment that its line speaks of."""
    epoch_utc_ns = record.world.clock.epoch_utc_ns
    for said in record.lines:
        reading = said.fields.get("time")
        if reading is None:
            continue
        moment = next(
            (name for name in ("first_pts_ns", "delayed_since_ns") if name in said.fields), "t"
        )
        truth_ns = epoch_utc_ns + said.world_ns(moment)
        off_ns = abs(reading["utc_ns"] - truth_ns)
        if off_ns > reading["error_ns"]:
            claim = f"{reading['source']} ± {reading['error_ns'] / SECOND_NS:.3f} s"
            off = f"{off_ns / SECOND_NS:.3f} s off"
            text = f"line {said.fields['n']} says {claim} and is {off}"
            yield Finding("clock error", said.at_ns, text)
            return


def _presses(record: Record) -> Iterator[Finding]:
    """Every recording that was begun by a press names a press that was obeyed."""
    starts = [episode.start_ns for episode in record.episodes]
    for said in record.of_kind("open"):
        if "pressed_ns" in said.fields and said.world_ns("pressed_ns") not in starts:
            text = f"{said.fields['recording']} names a press that nobody made"
            yield Finding("told to record", said.at_ns, text)


def _officers(record: Record) -> Iterator[Finding]:
    """A recording is the officer's to whom the agency had issued the camera, in words that its
    operator signed; before any, the configured one's."""
    issued = list(record.of_kind("officer"))
    for said in issued:
        if said.fields["statement"] not in record.world.commands:
            yield Finding("officers", said.at_ns, "nobody issued the camera to that officer")
            return
    for said in record.of_kind("open"):
        if "officer" not in said.fields:
            continue
        began_ns = said.world_ns("pressed_ns")
        before = [line for line in issued if line.when_ns() <= began_ns]
        officer = record.world.settings.device.officer
        if before:
            told = json.loads(before[-1].fields["statement"].partition("\t")[0])
            officer = told["arguments"]["officer"]
        if said.fields["officer"] != officer:
            text = f"{said.fields['recording']} names {said.fields['officer']!r}, not {officer!r}"
            yield Finding("officers", said.at_ns, text)
            return


def _states(record: Record) -> Iterator[Finding]:
    """Where a camera was switched off in order, its state lines are its transitions."""
    for life in record.witness.lives:
        if life.how != "switched off":
            continue
        shown = [
            (t.before.value, t.after.value)
            for t in record.world.transitions
            if life.started_ns <= t.at_ns <= life.ended_ns
        ]
        said = [
            (line.fields["from"], line.fields["to"])
            for line in record.of_kind("state")
            if line.life is life
        ]
        if shown != said:
            text = f"{len(shown)} transitions and {len(said)} state lines, or others"
            yield Finding("every interval explained", life.started_ns, text)


def _segments(record: Record) -> Iterator[Finding]:
    """A segment is cut at the first keyframe past its length."""
    length_ns = (record.world.settings.recording.segment_s + 3) * SECOND_NS
    for piece in record.pieces:
        if len(piece.pictures) > 1:
            long_ns = piece.pictures[-1].at_ns - piece.pictures[0].at_ns
            near = record.in_trouble(CAPTURE_TROUBLE, piece.pictures[-1].at_ns, 20 * SECOND_NS)
            if long_ns > length_ns and not near:
                text = f"{piece.name} is {long_ns / SECOND_NS:.1f} s long"
                yield Finding("segments", piece.pictures[0].at_ns, text)
                return


def _post_event(record: Record) -> Iterator[Finding]:
    lingers_ns = record.world.settings.recording.post_event_s * SECOND_NS
    stopped_ns = None
    for transition in record.world.transitions:
        if transition.event.value == "stop":
            stopped_ns = transition.at_ns
        over = transition.event.value == "post-event over" and stopped_ns is not None
        if over and stopped_ns is not None and transition.at_ns - stopped_ns < lingers_ns:
            yield Finding("post-event", stopped_ns, "the recording ended too early")
            return
