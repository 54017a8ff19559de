"""Records some seconds while light and beeper work as in a recording."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from bwv_device.camera.indicators import patterns
from bwv_device.formats.media.h264 import parameter_sets
from bwv_device.formats.media.mp4_writer import FragmentWriter, init_segment
from bwv_device.settings import Light
from hal.ports import (
    SECOND_NS,
    AccessUnit,
    Board,
    CaptureLoss,
    Clock,
    Impairment,
    Opened,
    Pattern,
    Stuck,
    Track,
)

# When the beeper sounds, and with what.
BEEPS = ((0.25, patterns.STARTED), (0.5, patterns.REMINDER), (0.75, patterns.STOPPED))
# Devices that start may take this long.
START_S = 30.0


class PlayedPattern(NamedTuple):
    at_ns: int
    pattern: Pattern


class Observation:
    """A sink that keeps everything. Read it when capture has stopped."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.began_ns = clock.monotonic_ns()
        self.units_of: dict[Track, list[AccessUnit]] = {Track.VIDEO: [], Track.AUDIO: []}
        self.first_ns: dict[Track, int] = {}
        self.losses: list[CaptureLoss] = []
        self.impairments: list[Impairment] = []
        self.opened_of: dict[Track, Opened] = {}
        self.played: list[PlayedPattern] = []
        self._arrived = threading.Condition()

    def units(self, batch: Sequence[AccessUnit]) -> None:
        with self._arrived:
            for unit in batch:
                self.units_of[unit.track].append(unit)
                self.first_ns.setdefault(unit.track, self._clock.monotonic_ns())
            self._arrived.notify_all()

    def lost(self, loss: CaptureLoss) -> None:
        self.losses.append(loss)

    def impaired(self, impairment: Impairment) -> None:
        self.impairments.append(impairment)

    def opened(self, opened: Opened) -> None:
        self.opened_of[opened.track] = opened

    def stuck(self, stuck: Stuck) -> None:
        self.losses.append(CaptureLoss(stuck.track, 0, stuck.reason))

    def wait_for_both(self, patience_s: float) -> None:
        with self._arrived:
            self._arrived.wait_for(lambda: len(self.first_ns) == len(Track), patience_s)

    def start_up_s(self, track: Track) -> float | None:
        first_ns = self.first_ns.get(track)
        return None if first_ns is None else (first_ns - self.began_ns) / SECOND_NS

    def fps(self) -> float:
        video = self.units_of[Track.VIDEO]
        passed_ns = video[-1].pts_ns - video[0].pts_ns if len(video) > 1 else 0
        return (len(video) - 1) * SECOND_NS / passed_ns if passed_ns else 0.0

    def missing(self, track: Track) -> int:
        """Units that should have been between others."""
        steps = pairwise(self.units_of[track])
        return sum(
            max(0, round((b.pts_ns - a.pts_ns) / a.duration_ns) - 1) for a, b in steps
        )  # fmt: skip

    def bitrate_bps(self) -> float:
        video = self.units_of[Track.VIDEO]
        passed_ns = video[-1].pts_ns - video[0].pts_ns if len(video) > 1 else 0
        size = sum(len(unit.data) for unit in video)
        return size * 8 * SECOND_NS / passed_ns if passed_ns else 0.0


def observe(
    board: Board,
    light: Light,
    seconds: float,
    progress: Callable[[float], None] = lambda share: None,
) -> Observation:
    """Everything is off again at the end, whatever happens."""
    seen = Observation(board.clock)
    board.camera.start(seen)
    board.microphone.start(seen)
    try:
        seen.wait_for_both(START_S)
        board.front_light.show(patterns.recording(light), None, patterns.DARK)
        start = time.monotonic()
        waiting = list(BEEPS)
        while (passed := time.monotonic() - start) < seconds:
            if waiting and passed >= waiting[0][0] * seconds:
                pattern = waiting.pop(0)[1]
                seen.played.append(PlayedPattern(board.clock.monotonic_ns(), pattern))
                board.beeper.play(pattern)
            progress(passed / seconds)
            threading.Event().wait(0.02)
    finally:
        for indicator in (board.front_light, board.beeper):
            indicator.show(patterns.DARK, None, patterns.DARK)
        board.camera.stop()
        board.microphone.stop()
    return seen


def write_film(board: Board, seen: Observation, path: Path) -> int | None:
    """An MP4 of what was captured; the time of its start. None where there is no keyframe."""
    video = seen.units_of[Track.VIDEO]
    at = next((i for i, unit in enumerate(video) if unit.keyframe), None)
    sets = None if at is None else parameter_sets(video[at].data)
    if at is None or sets is None:
        return None
    start_ns = video[at].pts_ns
    heard = [unit for unit in seen.units_of[Track.AUDIO] if unit.pts_ns >= start_ns]
    units = sorted([*video[at:], *heard], key=lambda unit: unit.pts_ns)
    audio = board.microphone.format
    writer = FragmentWriter(audio.sample_rate_hz, SECOND_NS, start_ns)
    with path.open("wb") as file:
        file.write(init_segment(board.camera.format, sets, audio, b"{}"))
        for unit in units:
            for fragment in writer.feed(unit):
                file.write(fragment.data)
        for fragment in writer.flush():
            file.write(fragment.data)
    return start_ns
