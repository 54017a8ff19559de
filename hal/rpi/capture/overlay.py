"""Burns UTC, device and officer into the picture before it is encoded (OpenCV)."""

from __future__ import annotations

import datetime

import cv2
import numpy as np
import numpy.typing as npt

Luma = npt.NDArray[np.uint8]

DARK, BRIGHT = 16, 235  # BT.601 studio range
FONT = cv2.FONT_HERSHEY_SIMPLEX


def caption(utc_ns: int, device: str, words: str, *, certain: bool) -> str:
    """2026-11-23 10:15:30.250 UTC · a clock that nobody has set says so with a question mark."""
    at = datetime.datetime.fromtimestamp(utc_ns // 1_000_000_000, datetime.UTC)
    milliseconds = utc_ns // 1_000_000 % 1000
    time = f"{at:%Y-%m-%d %H:%M:%S}.{milliseconds:03d} UTC{'' if certain else '?'}"
    return "  ".join(part for part in (time, device, words) if part)


def draw(luma: Luma, text: str) -> None:
    """Into the brightness plane, (height, width), top left: white in a dark outline, legible on
    anything. Colour planes stay as they are."""
    scale = luma.shape[1] / 1600
    place = (round(16 * scale) + 2, round(34 * scale) + 4)
    for colour, thickness in ((DARK, 6), (BRIGHT, 2)):
        weight = max(1, round(thickness * scale))
        cv2.putText(luma, text, place, FONT, 0.9 * scale, (colour,), weight, cv2.LINE_AA)
