"""Judges what was spoken: each recording is announced by the notice that policy names, once and at
its start; in covert mode nothing speaks."""

from __future__ import annotations

from collections.abc import Iterator

from hal.ports import SECOND_NS
from sim.oracle.evidence import Finding, Record

AT_ONCE_NS = SECOND_NS


def notice_findings(record: Record) -> Iterator[Finding]:
    wanted = record.world.settings.public.spoken_notice
    covert = record.intervals("covert")
    starts = [episode.start_ns for episode in record.episodes]
    hidden = [ns for ns in starts if any(a <= ns <= b for a, b in covert)]
    for at_ns, notice in record.world.spoken:
        start_ns = max((ns for ns in starts if ns <= at_ns), default=-SECOND_NS)
        if notice != wanted or at_ns - start_ns > AT_ONCE_NS:
            yield Finding("notice", at_ns, f"{notice!r} is spoken, and nothing began")
        elif start_ns in hidden:
            yield Finding("notice", at_ns, f"{notice!r} is spoken in covert mode")
    if not wanted:
        return
    for episode in record.episodes:
        began_ns, until_ns = episode.start_ns, episode.start_ns + AT_ONCE_NS
        count = sum(began_ns <= at_ns <= until_ns for at_ns, _ in record.world.spoken)
        others = any(began_ns < ns <= until_ns for ns in starts)
        cut = episode.life.ended_ns <= until_ns
        if began_ns not in hidden and not others and not cut and count != 1:
            yield Finding("notice", began_ns, f"{wanted!r} is spoken {count} times")
