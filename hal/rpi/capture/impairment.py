"""Notices what makes a recording useless while everything seems to run: a covered lens, black or
frozen pictures, sound that is no sound. Looks at small, rare samples; says each change once.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Luma = npt.NDArray[np.uint8]

# A view must stay bad for so long before it is told, and good for so long before that is over.
PATIENCE_S = 3.0
# BT.601 black is 16; a lens cap still lets some noise through.
BLACK_LUMA = 28
# Variance of the Laplacian behind a small blur, which takes the sensor's noise away. Measured: a
# drawn hand on the lens comes to 2.5 at most, the simulated street at an eighth of its light to 4,
# streets by day to 40 and more.
PLAIN_SHARPNESS = 3.0
BLUR = (5, 5)
# A sensor's noise changes pixels all the time; the same picture again and again is none.
FROZEN_CHANGE = 0.02


class Impairments:
    """Turns momentary findings into changes. `tell` hears (what, present)."""

    def __init__(self, tell: Callable[[str, bool], None], patience_s: float = PATIENCE_S) -> None:
        self._tell, self._patience_s = tell, patience_s
        self._since_s: dict[str, float] = {}
        self._present: set[str] = set()

    def note(self, what: str, found: bool, at_s: float) -> None:
        """What was found at a time, in seconds of any clock that goes on."""
        if found == (what in self._present):
            self._since_s.pop(what, None)
            return
        since_s = self._since_s.setdefault(what, at_s)
        if at_s - since_s >= self._patience_s:
            del self._since_s[what]
            (self._present.add if found else self._present.discard)(what)
            self._tell(what, found)


class ViewWatch:
    """Feed it small grey pictures, about two a second."""

    def __init__(self, tell: Callable[[str, bool], None]) -> None:
        self._impairments = Impairments(tell)
        self._before: Luma | None = None

    def feed(self, luma: Luma, at_s: float) -> None:
        """`luma`: (height, width), any small size, always the same."""
        smooth = cv2.GaussianBlur(luma, BLUR, 0).astype(np.float32)
        plain = float(cv2.Laplacian(smooth, cv2.CV_32F).var()) < PLAIN_SHARPNESS
        dark = float(smooth.mean()) < BLACK_LUMA
        self._impairments.note("black", plain and dark, at_s)
        self._impairments.note("covered", plain and not dark, at_s)
        if self._before is not None and self._before.shape == luma.shape:
            change = float(cv2.absdiff(luma, self._before).mean())
            self._impairments.note("frozen", change < FROZEN_CHANGE, at_s)
        self._before = luma.copy()


class SoundWatch:
    """Feed it blocks of 16 bit samples. Every microphone has a noise; a broken one has none."""

    def __init__(self, tell: Callable[[str, bool], None]) -> None:
        self._impairments = Impairments(tell, patience_s=5.0)

    def feed(self, samples: npt.NDArray[np.int16], at_s: float) -> None:
        self._impairments.note("silent", int(np.ptp(samples)) <= 1, at_s)
