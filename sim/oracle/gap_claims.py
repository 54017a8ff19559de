"""A gap line excuses exactly what the world lost: its first and its last picture are missing, and
the camera that is said to have stalled gave nothing."""

from __future__ import annotations

from collections.abc import Iterator

from hal.ports import SECOND_NS
from sim.oracle.evidence import STORAGE_TROUBLE, Finding, Record, Said
from sim.oracle.gestures import MS
from sim.world.observations import BootLife

# Gaps of these kinds speak of pictures by their own times; of the others a timestamp was wrong.
OF_PICTURES = ("missing", "queue overflow", "no keyframe yet")
# The disk said no, and may have kept them all the same: recovery finds that out.
OF_THE_DISK = ("queue overflow", "not taken by the disk")
# Pictures that are less late than this may still have come when it was written.
STALLED_NS = 700 * MS


def gap_findings(record: Record) -> Iterator[Finding]:
    found = {picture.number for piece in record.pieces for picture in piece.pictures}
    spoiled = {number for life in record.witness.lives for number in life.spoiled}
    fps = record.world.media.video.format.fps
    for said in record.of_kind("gap"):
        disk = said.fields["reason"] in OF_THE_DISK
        if disk and not record.in_trouble(STORAGE_TROUBLE, said.when_ns(), 60 * SECOND_NS):
            yield Finding("gaps", said.at_ns, "a gap is put down to the disk, which was well")
            return
        if said.fields["track"] == "video" and said.fields["reason"] in OF_PICTURES:
            first = _number(said.world_ns("from_ns"), fps)
            last = _number(said.world_ns("to_ns"), fps) - 1
            there = [n for n in (first, max(first, last)) if n in found and n not in spoiled]
            if there:
                text = f"a gap line ({said.fields['reason']}) claims pictures that are there"
                yield Finding("gaps", said.at_ns, f"{text}, number {there[0]}")
                return
    for said in record.of_kind("fault"):
        stalls = said.fields["part"] == "camera" and said.fields["reason"] == "no pictures"
        if stalls and _gave_pictures(record, said, fps):
            yield Finding("gaps", said.at_ns, "it says that no pictures come, and they come")
            return


def _number(at_ns: int, fps: int) -> int:
    return (at_ns * fps + SECOND_NS // 2) // SECOND_NS


def _gave_pictures(record: Record, said: Said, fps: int) -> bool:
    """Whether whole pictures were handed over until just before."""
    at_ns, life = said.when_ns(), said.life
    newest = _number(at_ns - STALLED_NS, fps)
    return any(first <= newest <= last for first, last in life.handed) and not _spoiled(
        life, newest, fps
    )


def _spoiled(life: BootLife, number: int, fps: int) -> bool:
    """What came with a wrong time, or without its keyframe, may not count as a picture."""
    return any(number - 4 * fps <= spoiled <= number + fps for spoiled in life.spoiled)
