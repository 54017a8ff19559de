"""The ledger's times: they never go back, and every wall clock reading contains the truth."""

from __future__ import annotations

from collections.abc import Iterator

from hal.ports import SECOND_NS
from sim.oracle.record import Finding, Record, Said


def diary_findings(record: Record) -> list[Finding]:
    return [*_times(record), *_readings(record), *_presses(record)]


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
