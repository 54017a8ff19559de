"""What an exported film shows and sounds like, read with PyAV."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt
from material import CLICK_HZ, RATE_HZ, read_number

Samples = npt.NDArray[np.float32]


class Shown(NamedTuple):
    """A picture: its time in the film, and the number that it carries (None: unreadable)."""

    at_s: float
    number: int | None
    luma: npt.NDArray[np.uint8]


def pictures(path: Path) -> list[Shown]:
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        return [
            Shown(float(frame.pts * stream.time_base), read_number(luma), luma)
            for frame in film.decode(stream)
            for luma in (frame.to_ndarray(format="gray"),)
        ]


def clicks(path: Path) -> list[float]:
    """When clicks begin, in seconds of the film. Each frame of sound is where its own time says:
    what was lost stays a hole."""
    with av.open(str(path)) as film:
        stream = film.streams.audio[0]
        frames = [
            (float(frame.pts * stream.time_base), frame.to_ndarray()[0])
            for frame in film.decode(stream)
        ]
    length = round((frames[-1][0] + 1) * RATE_HZ)
    sound = np.zeros(length, np.float32)
    for at_s, samples in frames:
        at = round(at_s * RATE_HZ)
        sound[at : at + len(samples)] = samples
    return _onsets(sound)


def _onsets(sound: Samples) -> list[float]:
    """Where the tone of a click sets in, to about a millisecond."""
    t = np.arange(len(sound)) / RATE_HZ
    wave = sound * np.exp(-2j * np.pi * CLICK_HZ * t)
    window = RATE_HZ // 500
    level = np.abs(np.convolve(wave, np.ones(window) / window, "valid"))
    loud = level > 0.06
    starts = np.flatnonzero(loud[1:] & ~loud[:-1])
    found: list[float] = []
    for start in starts:
        at_s = (start + window / 2) / RATE_HZ
        if not found or at_s - found[-1] > 0.5:
            found.append(at_s)
    return found
