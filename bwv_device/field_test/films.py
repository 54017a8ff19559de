"""Sound and pictures of a film as a player shows them, by PyAV, read in pieces.

Rules:

- Times count from the film's start, whatever stamp that has. Where stamps jump backwards, or
  forwards by more than `LONGEST_HOLE_S`, time goes on where it was.
- One damaged packet costs itself. Only a film of which nothing decodes is an error.
- A path is a file, never a protocol, and never a pipe.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
import numpy.typing as npt

from bwv_device.errors import ClipError

Samples = npt.NDArray[np.float32]
BGR = npt.NDArray[np.uint8]

# Enough for a beeper's tone and its neighbours.
RATE_HZ = 16_000
LONGEST_HOLE_S = 600.0
# Packets whose stamps differ by less follow each other.
SMOOTH_S = 0.02
# A file that gives less than this share of the length it declares was cut off.
WHOLE_SHARE = 0.9
# Where nothing says how fast pictures follow each other: what rpicam writes by default.
ASSUMED_FPS = 30.0


class FilmPicture(NamedTuple):
    at_s: float
    image: BGR  # (height, width, 3)


class FilmSound:
    """Sound of one channel between -1 and 1, in blocks; holes in the track are silence. Each
    iteration reads the film anew."""

    def __init__(self, path: Path, rate_hz: int = RATE_HZ) -> None:
        self.path, self.rate_hz = path, rate_hz
        self.length_s = 0.0  # of the newest whole pass

    def __iter__(self) -> Iterator[Samples]:
        """Raises `ClipError` where there is no sound."""
        written = 0
        for at_s, samples in _sound(self.path, self.rate_hz):
            hole = round(at_s * self.rate_hz) - written
            if hole > SMOOTH_S * self.rate_hz:
                yield from _silence(hole)
                written += hole
            # What was there already is left out.
            fresh = samples[-hole:] if hole < -SMOOTH_S * self.rate_hz else samples
            written += len(fresh)
            if len(fresh):
                yield fresh
        self.length_s = written / self.rate_hz


def pictures(path: Path) -> Iterator[FilmPicture]:
    """Turned and stretched as a player does. Raises `ClipError`."""
    with open_film(path) as film:
        if not film.streams.video:
            raise ClipError(f"{path} has no video track.", "Give a file with pictures.")
        stream = min(film.streams.video, key=_is_cover)
        clock = _Clock(_start_s(film), 1 / _rate(stream))
        empty = True
        for frame in _decoded(film, stream, path):
            empty = False
            yield FilmPicture(clock.at_s(frame.time), shown(frame, stream))
        if empty:
            raise ClipError(f"{path} has no picture that decodes.", "Give another file.")


def cut_off_after_s(path: Path, looked_at_s: float) -> float | None:
    """Where a file ends whose header promises more of its first `looked_at_s` seconds; None where
    it keeps its promise."""
    with open_film(path) as film:
        promised_s = min((film.duration or 0) / av.time_base, looked_at_s)
        start_s, reached_s = _start_s(film), 0.0
        with contextlib.suppress(av.FFmpegError):
            for packet in film.demux():
                if packet.pts is not None:
                    end = packet.pts + (packet.duration or 0)
                    reached_s = max(reached_s, float(end * packet.time_base) - start_s)
                if reached_s + 1 >= promised_s * WHOLE_SHARE:
                    return None
    return reached_s if reached_s + 1 < promised_s * WHOLE_SHARE else None


def sound_length_s(path: Path) -> float:
    """As the file declares it; 0 where there is no sound."""
    with open_film(path) as film:
        return (film.duration or 0) / av.time_base if film.streams.audio else 0.0


def open_film(path: Path) -> av.container.InputContainer:
    """Raises `ClipError` for what is no readable media file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ClipError(f"{path} is not a regular file.", "Give a file that plays.")
        return av.open(f"file:{path.absolute()}")
    except FileNotFoundError:
        raise ClipError(f"{path} is not there.", "Check the path.") from None
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ClipError(
            f"{path} is not a readable video: {reason}.", "Give a file that plays."
        ) from None


def shown(frame: av.VideoFrame, stream: Any) -> BGR:
    """(height, width, 3): with square pixels and turned upright."""
    image: BGR = frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if aspect and aspect != 1 and 0.01 < aspect < 100:
        width = max(1, round(image.shape[1] * float(aspect)))
        image = cv2.resize(image, (width, image.shape[0])).astype(np.uint8, copy=False)
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


class _Clock:
    """Stamps → seconds since the film's start; a frame without a stamp follows the one before."""

    def __init__(self, start_s: float, step_s: float) -> None:
        self._start_s, self._step_s = start_s, step_s
        self._shift_s = 0.0
        self._last_s: float | None = None

    def at_s(self, stamp_s: float | None) -> float:
        last_s = self._last_s
        due_s = 0.0 if last_s is None else last_s + self._step_s
        at_s = due_s if stamp_s is None else stamp_s - self._start_s + self._shift_s
        first = last_s is None and not -1 <= at_s <= LONGEST_HOLE_S
        if first or (last_s is not None and not -1 <= at_s - last_s <= LONGEST_HOLE_S):
            self._shift_s += due_s - at_s
            at_s = due_s
        self._last_s = at_s = max(0.0, at_s)
        return at_s


def _sound(path: Path, rate_hz: int) -> Iterator[tuple[float, Samples]]:
    with open_film(path) as film:
        if not film.streams.audio:
            raise ClipError(f"{path} has no sound.", "Name another recording.")
        stream = film.streams.audio[0]
        clock, form = _Clock(_start_s(film), 0.0), ("", "", 0)
        resampler = av.AudioResampler("fltp", "mono", rate_hz)
        empty, end_s = True, 0.0
        for frame in _decoded(film, stream, path):
            now = (frame.format.name, frame.layout.name, frame.sample_rate)
            if now != form:  # sound may change its form in the middle
                form, resampler = now, av.AudioResampler("fltp", "mono", rate_hz)
            at_s = clock.at_s(frame.time if frame.time is not None else end_s + _start_s(film))
            end_s = at_s + frame.samples / max(1, frame.sample_rate)
            parts = [part.to_ndarray()[0] for part in resampler.resample(frame)]
            if parts:
                empty = False
                yield at_s, np.concatenate(parts).astype(np.float32, copy=False)
        if empty:
            raise ClipError(f"{path} has no sound that decodes.", "Give another file.")


def _decoded(film: av.container.InputContainer, stream: Any, path: Path) -> Iterator[Any]:
    """Frames; what is damaged is passed over, as players do."""
    packets = film.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError:  # the rest can't be read
            return
        with contextlib.suppress(av.FFmpegError):
            yield from packet.decode()


def _is_cover(stream: Any) -> bool:
    """A still picture beside sound."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _start_s(film: av.container.InputContainer) -> float:
    return 0.0 if film.start_time is None else film.start_time / av.time_base


def _rate(stream: Any) -> float:
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate and 0.1 < rate < 1000 else ASSUMED_FPS


def _silence(samples: int) -> Iterator[Samples]:
    block = np.zeros(1 << 16, np.float32)
    for at in range(0, samples, len(block)):
        yield block[: samples - at]
