"""Sound and pictures of a film, by PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt

from bwv_device.errors import ClipError


class FilmSound(NamedTuple):
    """(samples,) of one channel between -1 and 1; a hole in the track is silence."""

    samples: npt.NDArray[np.float32]
    rate_hz: int


def sound(path: Path) -> FilmSound:
    """Raises `ClipError` where there is none."""
    try:
        with av.open(str(path)) as film:
            if not film.streams.audio:
                raise ClipError(f"{path} has no sound.", "Name another recording.")
            stream = film.streams.audio[0]
            rate_hz = stream.codec_context.sample_rate
            frames = [
                (round(float(frame.pts * frame.time_base) * rate_hz), _mono(frame))
                for frame in film.decode(stream)
                if frame.pts is not None and frame.time_base is not None
            ]
    except (av.FFmpegError, OSError) as error:
        raise ClipError(f"{path} can't be read: {error}.", "Is it an exported film?") from None
    length = max((at + len(samples) for at, samples in frames), default=0)
    whole = np.zeros(length, np.float32)
    for at, samples in frames:
        start = max(0, at)
        whole[start : at + len(samples)] = samples[start - at :]
    return FilmSound(whole, rate_hz)


def _mono(frame: av.AudioFrame) -> npt.NDArray[np.float32]:
    data = frame.to_ndarray()
    if not frame.format.is_planar:
        data = data.reshape(-1, frame.layout.nb_channels).T
    scale = 1.0 if data.dtype.kind == "f" else float(np.iinfo(str(data.dtype)).max)
    mono: npt.NDArray[np.float32] = (data.astype(np.float32) / scale).mean(axis=0)
    return mono


class FilmPicture(NamedTuple):
    at_s: float
    image: npt.NDArray[np.uint8]  # (height, width, 3), BGR


def pictures(path: Path) -> Iterator[FilmPicture]:
    """Raises `ClipError`."""
    try:
        with av.open(str(path)) as film:
            if not film.streams.video:
                raise ClipError(f"{path} has no pictures.", "Name another recording.")
            stream = film.streams.video[0]
            for frame in film.decode(stream):
                if frame.pts is not None and frame.time_base is not None:
                    image = frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
                    yield FilmPicture(float(frame.pts * frame.time_base), image)
    except (av.FFmpegError, OSError) as error:
        raise ClipError(f"{path} can't be read: {error}.", "Is it an exported film?") from None
