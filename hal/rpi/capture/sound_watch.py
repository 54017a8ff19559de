"""Sound that is none: every microphone has a noise, a broken one has not."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from hal.rpi.capture.impairment import Impairments

PATIENCE_S = 5.0


class SoundWatch:
    """Feed it blocks of 16 bit samples, of this machine's byte order."""

    def __init__(self, tell: Callable[[str, bool], None]) -> None:
        self._impairments = Impairments(tell, PATIENCE_S)

    def feed(self, data: bytes, at_s: float) -> None:
        samples = array("h", data)
        if samples:
            self._impairments.note("silent", max(samples) - min(samples) <= 1, at_s)
