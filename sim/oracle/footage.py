"""Judges pictures: complete, unchanged, from the right one on, no sound that policy forbids."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from bwv_device.formats.media.h264 import split_keyframe
from hal.ports import SECOND_NS
from hal.simulated.capture import StubVideo
from sim.oracle.evidence import STORAGE_TROUBLE, Episode, Finding, Record, TakenPicture
from sim.oracle.sound import sound_findings
from sim.world.observations import BootLife

# A gap is a line at the latest when it has been quiet for a while, or goes on for long.
GAP_WRITTEN_NS = 14 * SECOND_NS
TIME_TOLERANCE_NS = 1_000_000
WRONG_TIMES = ("duplicate", "backward", "future")


class Span(NamedTuple):
    from_ns: int
    to_ns: int
    reason: str
    said_ns: int


def footage_findings(record: Record) -> list[Finding]:
    found = _found(record)
    presses = _presses(record)
    findings = list(_wrong_pictures(record))
    for life in record.witness.lives:
        spans, keyframes = _explained(record, life), sorted(life.keyframes)
        known = [picture_ns(record, number) for number in keyframes]
        for episode in record.episodes:
            if episode.life is life:
                first_ns = _first_ns(record, episode, presses)
                findings += _missing(record, episode, found, spans, first_ns)
                findings += _beginning(record, episode, presses, known)
    findings += _untold(record)
    findings += sound_findings(record, presses)
    return findings


def picture_ns(record: Record, number: int) -> int:
    """When the world took it."""
    world = record.world
    return number * SECOND_NS // world.media.video.format.fps + world.jitter_ns(number)


def _found(record: Record) -> dict[int, TakenPicture]:
    return {picture.number: picture for piece in record.pieces for picture in piece.pictures}


# --- everything is there --------------------------------------------------------------------------


def _missing(
    record: Record,
    episode: Episode,
    found: dict[int, TakenPicture],
    spans: list[Span],
    first_ns: int,
) -> Iterator[Finding]:
    """Pictures that were captured, should be there, are not, and are not explained."""
    life = episode.life
    until_ns = said_until_ns = episode.end_ns
    if life.how != "switched off":
        until_ns = min(until_ns, record.stored_until_ns(life))
        said_until_ns = min(until_ns, record.stored_until_ns(life) - GAP_WRITTEN_NS)
    spoiled = set(life.spoiled)
    fps = record.world.media.video.format.fps
    begin_ns = min(episode.start_ns, first_ns) if until_ns > episode.start_ns else until_ns
    begin, end = begin_ns * fps // SECOND_NS, until_ns * fps // SECOND_NS
    lost: list[int] = []
    for first, last in life.captured:
        for number in range(max(first, begin), min(last, end) + 1):
            at_ns, end_ns = picture_ns(record, number), picture_ns(record, number + 1)
            if at_ns < begin_ns or end_ns > until_ns or number in found:
                continue
            # Behind a picture with a wrong time the next ones may be too early for the camera.
            spoils = record.in_trouble(("wrong-times",), at_ns, 3 * SECOND_NS)
            if (number in spoiled or spoils) and at_ns > said_until_ns:
                continue
            if number in spoiled and _refused_near(spans, at_ns):
                continue
            if not _covered(record, spans, at_ns, end_ns):
                lost.append(number)
    if lost:
        at_ns = picture_ns(record, lost[0])
        kind = "spoiled" if lost[0] in spoiled else "whole"
        text = (
            f"{len(lost)} pictures are missing without a gap line, the first is number {lost[0]} "
            f"({kind}) of the recording from {episode.start_ns / SECOND_NS:.3f} to "
            f"{episode.end_ns / SECOND_NS:.3f} s ({life.how})"
        )
        yield Finding("nothing is lost", at_ns, text)


def _explained(record: Record, life: BootLife) -> list[Span]:
    """What the ledger says is missing: gaps, and times without pictures."""
    spans: list[Span] = []
    for said in record.lines:
        fields = said.fields
        if said.life is not life:
            continue
        if fields["kind"] == "gap" and fields["track"] == "video":
            span = Span(
                said.world_ns("from_ns"), said.world_ns("to_ns"), fields["reason"], said.at_ns
            )
            spans.append(span)
        elif fields["kind"] == "fault" and fields["part"] == "camera":
            at_ns = said.when_ns()
            if fields["reason"] == "no pictures":
                spans.append(Span(at_ns - 3 * SECOND_NS, life.ended_ns, "no pictures", at_ns))
            else:
                _end_stall(spans, at_ns)
    return spans


def _end_stall(spans: list[Span], at_ns: int) -> None:
    """Pictures came again: the newest time without them is over."""
    for at in reversed(range(len(spans))):
        if spans[at].reason == "no pictures":
            spans[at] = spans[at]._replace(to_ns=at_ns)
            return


def _refused_near(spans: list[Span], at_ns: int) -> bool:
    """A picture that came with a wrong time is named by that time, written at about its own."""
    return any(
        span.reason in WRONG_TIMES and abs(span.said_ns - at_ns) < GAP_WRITTEN_NS for span in spans
    )


def _covered(record: Record, spans: list[Span], at_ns: int, end_ns: int) -> bool:
    for span in spans:
        if span.from_ns <= at_ns + TIME_TOLERANCE_NS and end_ns <= span.to_ns + TIME_TOLERANCE_NS:
            overflow = span.reason == "queue overflow"
            if not overflow or record.in_trouble(STORAGE_TROUBLE, at_ns, 60 * SECOND_NS):
                return True
    return False


def _first_ns(record: Record, episode: Episode, presses: dict[str, int]) -> int:
    """The first picture of what was begun by this press."""
    pieces = [p for p in record.pieces if presses.get(p.recording) == episode.start_ns]
    numbers = [picture.number for piece in pieces for picture in piece.pictures]
    return picture_ns(record, min(numbers)) if numbers else episode.start_ns


def _untold(record: Record) -> Iterator[Finding]:
    """Every picture on the disk belongs to a recording that somebody had begun, or to its pre-event
    time, which reaches back to a keyframe."""
    pre_event_ns = record.world.settings.recording.pre_event_s * SECOND_NS
    spans = []
    for episode in record.episodes:
        keyframes = [picture_ns(record, n) for n in sorted(episode.life.keyframes)]
        horizon_ns = episode.start_ns - pre_event_ns
        at = bisect_right(keyframes, horizon_ns)
        group_ns = keyframes[at - 1] if at and pre_event_ns else horizon_ns
        spans.append((max(group_ns, _capture_since(record, episode)), episode.end_ns))
    spoiled = {number for life in record.witness.lives for number in life.spoiled}
    for piece in record.pieces:
        for picture in piece.pictures:
            at_ns = picture_ns(record, picture.number)
            told = any(a - TIME_TOLERANCE_NS <= at_ns <= b for a, b in spans)
            if picture.number not in spoiled and not told:
                text = f"picture {picture.number} in {piece.name} was taken when nobody had said so"
                yield Finding("told to record", at_ns, text)
                return


def _capture_since(record: Record, episode: Episode) -> int:
    """When the camera began to see before this: switched on, or taken off the dock."""
    undocked = [
        t.at_ns
        for t in record.world.transitions
        if t.event.value == "undock" and episode.life.started_ns <= t.at_ns <= episode.start_ns
    ]
    return max([episode.life.started_ns, *undocked])


# --- it begins where it should --------------------------------------------------------------------


def _beginning(
    record: Record, episode: Episode, presses: dict[str, int], known: list[int]
) -> Iterator[Finding]:
    """The first picture is the newest keyframe that is a whole pre-event time before the press, or
    the oldest there is."""
    life = episode.life
    if life.how != "switched off" and episode.start_ns > record.stored_until_ns(life):
        return
    pieces = [p for p in record.pieces if presses.get(p.recording) == episode.start_ns]
    numbers = sorted(p.number for piece in pieces for p in piece.pictures)
    since_ns = _history_since(record, episode)
    known = known[bisect_left(known, since_ns) :]
    before = [at_ns for at_ns in known if at_ns <= episode.start_ns]
    if not numbers:
        if (
            before
            and episode.end_ns - episode.start_ns > 2 * SECOND_NS
            and not _shut(record, episode)
        ):
            yield Finding("pre-event", episode.start_ns, "nothing of this recording is there")
        return
    start_ns = picture_ns(record, numbers[0])
    horizon_ns = episode.start_ns - record.world.settings.recording.pre_event_s * SECOND_NS
    at = bisect_right(before, horizon_ns)
    if record.world.settings.recording.pre_event_s == 0 or not before:
        return
    expected_ns = before[at - 1] if at else before[0]
    if at and _ended_before(record, life, expected_ns, horizon_ns):
        at = 0  # the camera had stalled: what it left was forgotten as a whole
        later = [at_ns for at_ns in before if at_ns > horizon_ns]
        if not later:
            return
        expected_ns = later[0]
    if start_ns > max(expected_ns, horizon_ns) + TIME_TOLERANCE_NS:
        late_s = (start_ns - expected_ns) / SECOND_NS
        text = f"the recording starts {late_s:.3f} s after the keyframe it should start with"
        yield Finding("pre-event", episode.start_ns, text)
    if start_ns < expected_ns - TIME_TOLERANCE_NS and at:
        early_s = (expected_ns - start_ns) / SECOND_NS
        text = f"the recording reaches {early_s:.3f} s further back than it may"
        yield Finding("pre-event", episode.start_ns, text)
    first = min((p for piece in pieces for p in piece.pictures), key=lambda p: p.number)
    if not StubVideo.is_keyframe(first.data):
        yield Finding("pre-event", episode.start_ns, "the recording does not start at a keyframe")


def _shut(record: Record, episode: Episode) -> bool:
    """Whether the disk took nothing all the time."""
    return record.in_trouble(STORAGE_TROUBLE, episode.end_ns)


def _presses(record: Record) -> dict[str, int]:
    return {
        said.fields["recording"]: said.world_ns("pressed_ns")
        for said in record.of_kind("open")
        if "pressed_ns" in said.fields
    }


def _ended_before(record: Record, life: BootLife, keyframe_ns: int, horizon_ns: int) -> bool:
    """Whether nothing was captured any more from this keyframe's run of pictures on."""
    for first, last in life.handed:
        if picture_ns(record, first) <= keyframe_ns <= picture_ns(record, last):
            return picture_ns(record, last + 1) <= horizon_ns
    return False


def _history_since(record: Record, episode: Episode) -> int:
    """Since when the camera could remember: switched on, off the dock, after the last recording."""
    since_ns = episode.life.started_ns
    for transition in record.world.transitions:
        if episode.life.started_ns <= transition.at_ns < episode.start_ns:
            ends = transition.event.value in ("post-event over", "abort", "undock")
            since_ns = max(since_ns, transition.at_ns) if ends else since_ns
    return since_ns


# --- and is what the camera gave ------------------------------------------------------------------


def _wrong_pictures(record: Record) -> Iterator[Finding]:
    spoiled = {number for life in record.witness.lives for number in life.spoiled}
    video, fps = record.world.media.video, record.world.media.video.format.fps
    second, gop = -1, video.gop(0)
    for piece in record.pieces:
        last = -1
        for picture in piece.pictures:
            if picture.number in spoiled:
                continue
            if picture.number // fps != second:
                second = picture.number // fps
                gop = video.gop(second)
            index = picture.number % fps
            sample = gop[index]
            if StubVideo.is_keyframe(picture.data):
                sample = split_keyframe(video.keyframe(picture.number) or b"")[1]
            if sample != picture.data:
                text = f"picture {picture.number} in {piece.name} is not what the camera gave"
                yield Finding("unchanged", picture.at_ns, text)
                return
            if picture.number <= last:
                yield Finding("order", picture.at_ns, f"pictures go back in {piece.name}")
                return
            last = picture.number
            if abs(picture.at_ns - picture_ns(record, picture.number)) > TIME_TOLERANCE_NS:
                text = f"picture {picture.number} in {piece.name} has another time than its own"
                yield Finding("times", picture.at_ns, text)
                return
