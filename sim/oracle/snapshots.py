"""A snapshot shows the keyframe that it names, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from hal.ports import SECOND_NS
from hal.simulated.capture import StubVideo
from sim.oracle.evidence import Finding, Record, Said


def snapshot_findings(record: Record) -> Iterator[Finding]:
    """Judged where the pictures are stubs, whose stills are digests of what they show."""
    video = record.world.media.video
    if not isinstance(video, StubVideo):
        return
    for said in record.of_kind("still"):
        shown = record.stills.get(said.fields["segment"], b"")
        if shown and not _shows(record, said, shown):
            text = f"{said.fields['segment']} does not show the keyframe of its time"
            yield Finding("snapshots", said.at_ns, text)
            return


def _shows(record: Record, said: Said, shown: bytes) -> bool:
    video, fps = record.world.media.video, record.world.media.video.format.fps
    number = (said.world_ns("pts_ns") * fps + SECOND_NS // 2) // SECOND_NS
    may_be = [video.keyframe(number) or b"", video.gop(number // fps)[number % fps]]
    return any(hashlib.sha256(picture).digest() in shown for picture in may_be)
