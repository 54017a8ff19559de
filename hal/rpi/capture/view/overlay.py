"""Burns UTC, device and officer into the picture before it is encoded.

Its letters are ready-made (`overlay_font`): no library is loaded for them beside the encoder.
"""

from __future__ import annotations

import datetime

import numpy as np
import numpy.typing as npt

from hal.rpi.capture.view.overlay_font import FIRST, GLYPHS, HEIGHT, WIDTH

Luma = npt.NDArray[np.uint8]

DARK, BRIGHT = 16, 235  # BT.601 studio range
# A letter is 8 pixels wide on a picture of 640.
UNSCALED_WIDTH = 640
MARGIN = 6
_LETTERS = np.unpackbits(np.frombuffer(GLYPHS, np.uint8)).reshape(-1, HEIGHT, WIDTH).astype(bool)
_UNKNOWN = ord("?") - FIRST


def caption(utc_ns: int, device: str, words: str, *, certain: bool) -> str:
    """2026-11-23 10:15:30.250 UTC · a clock that nobody has set says so with a question mark."""
    at = datetime.datetime.fromtimestamp(utc_ns // 1_000_000_000, datetime.UTC)
    milliseconds = utc_ns // 1_000_000 % 1000
    time = f"{at:%Y-%m-%d %H:%M:%S}.{milliseconds:03d} UTC{'' if certain else '?'}"
    return "  ".join(part for part in (time, device, words) if part)


def draw(luma: Luma, text: str) -> None:
    """Into the brightness plane, (height, width), top left: white in a dark outline, legible on
    anything. Colour planes stay as they are; what has no room is left out."""
    scale = max(1, luma.shape[1] // UNSCALED_WIDTH)
    ink, outline = _line(text)
    place = luma[MARGIN * scale :, MARGIN * scale :]
    for mask, level in ((outline, DARK), (ink, BRIGHT)):
        scaled = mask.repeat(scale, axis=0).repeat(scale, axis=1)
        room = place[: scaled.shape[0], : scaled.shape[1]]
        room[scaled[: room.shape[0], : room.shape[1]]] = level


def _line(text: str) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """The ink of a line, and what surrounds it by a pixel; both with a pixel's margin."""
    known = (
        letter.isprintable() and FIRST <= ord(letter) < FIRST + len(_LETTERS) for letter in text
    )
    codes = [ord(a) - FIRST if has else _UNKNOWN for a, has in zip(text, known, strict=True)]
    letters = _LETTERS[codes]
    ink = np.pad(letters.transpose(1, 0, 2).reshape(HEIGHT, -1), 1)
    wide = ink.copy()
    wide[:, 1:] |= ink[:, :-1]
    wide[:, :-1] |= ink[:, 1:]
    outline = wide.copy()
    outline[1:] |= wide[:-1]
    outline[:-1] |= wide[1:]
    return ink, outline
