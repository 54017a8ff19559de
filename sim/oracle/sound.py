"""Judges sound: present unless muted or missing, and absent where policy forbids it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hal.ports import SECOND_NS
from sim.oracle.evidence import STORAGE_TROUBLE, Episode, Finding, Record, SegmentPiece

EDGE_NS = 60_000_000
HOLE_NS = 400_000_000
MICROPHONE = ("microphone-unplugged", "microphone-overflow", "microphone-late", "camera-stops-late")


def sound_findings(record: Record, presses: dict[str, int]) -> list[Finding]:
    muted = record.intervals("mute")
    findings = [*_early(record, presses), *_muted(record, muted)]
    for episode in record.episodes:
        findings += _absent(record, episode, muted)
    return findings


def _early(record: Record, presses: dict[str, int]) -> Iterator[Finding]:
    if record.world.settings.recording.pre_event_audio:
        return
    for piece in record.pieces:
        pressed_ns = presses.get(piece.recording)
        early = [
            at for at in piece.sounds_ns if pressed_ns is not None and at < pressed_ns - 1000_000
        ]
        if early:
            text = f"{piece.name} holds {len(early)} sound frames from before the press"
            yield Finding("pre-event audio", early[0], text)
            return


def _muted(record: Record, muted: list[tuple[int, int]]) -> Iterator[Finding]:
    for from_ns, to_ns in muted:
        for piece in record.pieces:
            heard = [at for at in piece.sounds_ns if from_ns + EDGE_NS < at < to_ns - EDGE_NS]
            if heard:
                text = f"{piece.name} holds {len(heard)} sound frames of a muted time"
                yield Finding("mute", heard[0], text)
                return


def _absent(record: Record, episode: Episode, muted: list[tuple[int, int]]) -> Iterator[Finding]:
    """A hole in the sound of an orderly recording that no gap line and no mute explains."""
    if not episode.orderly or record.stored_until_ns(episode.life) < episode.end_ns:
        return
    if any(t.from_ns <= episode.end_ns and t.to_ns + 15 * SECOND_NS >= episode.start_ns
           for t in record.witness.troubled(*MICROPHONE, *STORAGE_TROUBLE)):  # fmt: skip
        return
    start_ns, end_ns = episode.start_ns, episode.end_ns - SECOND_NS
    heard = sorted(at for piece in record.pieces for at in _within(piece, start_ns, end_ns))
    gaps = [
        (said.world_ns("from_ns") - SECOND_NS, said.world_ns("to_ns") + SECOND_NS)
        for said in record.of_kind("gap")
        if said.fields["track"] == "audio"
    ]
    times = [start_ns, *heard, end_ns]
    for before, after in pairwise(times):
        explained = any(a <= after and before <= b for a, b in (*gaps, *muted))
        if after - before > HOLE_NS + SECOND_NS * (before == start_ns) and not explained:
            hole_s = (after - before) / SECOND_NS
            yield Finding(
                "sound", before, f"{hole_s:.3f} s of sound are missing without a gap line"
            )
            return


def _within(piece: SegmentPiece, from_ns: int, to_ns: int) -> list[int]:
    return [at for at in piece.sounds_ns if from_ns <= at <= to_ns]
