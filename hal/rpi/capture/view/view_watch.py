"""A covered lens, black or frozen pictures: looks at small, rare samples of the view."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hal.rpi.capture.impairment import Impairments

Luma = npt.NDArray[np.uint8]

# BT.601 black is 16; a lens cap still lets some noise through.
BLACK_LUMA = 28
# Variance of the Laplacian behind a small blur, which takes the sensor's noise away. Measured: a
# drawn hand on the lens comes to 2.5 at most, the simulated street at an eighth of its light to
# 3.8, real streets by day to 25 and more.
PLAIN_SHARPNESS = 3.0
# A sensor's noise changes pixels all the time; the same picture again and again is none.
FROZEN_CHANGE = 0.02


class ViewWatch:
    """Feed it small grey pictures, about two a second."""

    def __init__(self, tell: Callable[[str, bool], None]) -> None:
        self._impairments = Impairments(tell)
        self._before: Luma | None = None

    def feed(self, luma: Luma, at_s: float) -> None:
        """`luma`: (height, width), any small size, always the same."""
        smooth = blurred(luma)
        plain = float(laplacian(smooth).var()) < PLAIN_SHARPNESS
        dark = float(smooth.mean()) < BLACK_LUMA
        self._impairments.note("black", plain and dark, at_s)
        self._impairments.note("covered", plain and not dark, at_s)
        if self._before is not None and self._before.shape == luma.shape:
            change = float(np.abs(np.subtract(luma, self._before, dtype=np.int16)).mean())
            self._impairments.note("frozen", change < FROZEN_CHANGE, at_s)
        self._before = luma.copy()


def blurred(luma: Luma) -> npt.NDArray[np.int32]:
    """Rounded to whole levels; two pixels less at each border, where there are no neighbours."""
    rows = _binomial(luma.astype(np.int32))
    return (_binomial(rows.T).T + 128) >> 8


def _binomial(image: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """1 4 6 4 1 over five rows: close to a Gaussian of one pixel."""
    a, b, c, d, e = (image[at : len(image) - 4 + at] for at in range(5))
    return np.asarray(a + e + 4 * (b + d) + 6 * c, np.int32)


def laplacian(image: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """How much a pixel differs from its four neighbours; a pixel less at each border."""
    around = image[:-2, 1:-1] + image[2:, 1:-1] + image[1:-1, :-2] + image[1:-1, 2:]
    return np.asarray(around - 4 * image[1:-1, 1:-1], np.int32)
