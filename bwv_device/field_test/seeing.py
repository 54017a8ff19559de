"""Finds a flashing red light in pictures of a mirror."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

# The picture is looked at in so many fields; a lamp in a mirror fills one or two.
FIELDS = (36, 64)
# How much redder a field must become, in levels of 255, and how many times.
LEAST_CHANGE, LEAST_FLASHES = 40.0, 3
# A lamp keeps its rhythm; people in red who walk by do not. So many phases are near their median.
REGULAR, NEAR = 0.8, 0.25
LONGEST_S = 3.0
CANDIDATES = 400


class Flashing(NamedTuple):
    """`on_s` and `off_s`: the medians of its phases; `place`: column and row, 0 to 1."""

    on_s: float
    off_s: float
    flashes: int
    place: tuple[float, float]


def redness(image: Image) -> npt.NDArray[np.float32]:
    """(height, width, 3) BGR → how much redder than green and blue each field is."""
    small = cv2.resize(image, FIELDS[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    red = small[..., 2] - np.maximum(small[..., 0], small[..., 1])
    return np.maximum(red, 0)


def flashing(
    times_s: Sequence[float], fields: Sequence[npt.NDArray[np.float32]]
) -> Flashing | None:
    """The field that goes from red to not red and back most clearly. None where none does."""
    if len(fields) < 2 * LEAST_FLASHES:
        return None
    series = np.stack(fields).reshape(len(fields), -1)
    low, high = np.percentile(series, 10, axis=0), np.percentile(series, 90, axis=0)
    for field in np.argsort(low - high)[:CANDIDATES]:
        if high[field] - low[field] < LEAST_CHANGE:
            return None
        found = _phases(times_s, series[:, field] > (low[field] + high[field]) / 2)
        if found is not None:
            row, column = divmod(int(field), FIELDS[1])
            place = ((column + 0.5) / FIELDS[1], (row + 0.5) / FIELDS[0])
            return Flashing(*found, place)
    return None


def _phases(times_s: Sequence[float], on: npt.NDArray[np.bool_]) -> tuple[float, float, int] | None:
    """Median length of the phases between the first and the last change, where it is a rhythm."""
    changes = np.flatnonzero(on[1:] != on[:-1]) + 1
    if len(changes) < 2 * LEAST_FLASHES:
        return None
    lengths, lit = np.diff(np.array(times_s)[changes]), on[changes[:-1]]
    frame_s = float(np.median(np.diff(times_s)))
    medians = []
    for phases in (lengths[lit], lengths[~lit]):
        median = float(np.median(phases)) if len(phases) else LONGEST_S
        near = np.abs(phases - median) <= max(NEAR * median, 1.5 * frame_s)
        if median >= LONGEST_S or near.mean() < REGULAR:
            return None
        medians.append(median)
    return medians[0], medians[1], int(lit.sum())
