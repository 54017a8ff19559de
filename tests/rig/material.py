"""What the rig's camera sees and its microphone hears: ten seconds, round and round.

Which picture is shown and which sample is heard is a matter of CLOCK_MONOTONIC alone. Each picture
carries its number as a bar code twice, so that a doubled, lost or torn picture can't be missed. At
each full second there is a flash, and a click in the sound.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from hal.ports import VideoFormat
from sim.media.scene import draw

Image = npt.NDArray[np.uint8]

LOOP_S = 10
RATE_HZ = 48_000
CLICK_HZ, CLICK_S = 3000, 0.04
LAMP = (590, 240)
BITS = 12
# Set in every code, so that a black or covered picture has no number.
PRESENT = 1 << BITS - 1


class View(NamedTuple):
    width: int = 640
    height: int = 480
    fps: int = 10

    @property
    def pictures(self) -> int:
        return LOOP_S * self.fps


def write_scene(path: Path, view: View) -> None:
    """Raw NV12 pictures, one after another."""
    video = VideoFormat(view.width, view.height, view.fps, 0, "")
    with path.open("wb") as file:
        for number in range(view.pictures):
            image = draw(video, 0, number)
            if number % view.fps == 0:
                cv2.rectangle(image, (view.width // 2 - 40, 200), (view.width // 2 + 40, 280),
                              (255, 255, 255), -1)  # fmt: skip
            if number % view.fps < view.fps / 2:  # a lamp in a mirror: 500 ms on, 500 ms off
                cv2.circle(image, LAMP, 14, (40, 30, 235), -1, cv2.LINE_AA)
            for top in _tops(view.height, view.width):
                _bars(image, number, top)
            file.write(_nv12(image))


def write_sound(path: Path) -> None:
    """16 bit samples: a faint noise, and a click at each full second."""
    chance = np.random.default_rng(1)
    sound = chance.normal(0, 30, LOOP_S * RATE_HZ)
    t = np.arange(int(CLICK_S * RATE_HZ)) / RATE_HZ
    click = 12_000 * np.sin(2 * np.pi * CLICK_HZ * t)
    for second in range(LOOP_S):
        sound[second * RATE_HZ : second * RATE_HZ + len(click)] += click
    path.write_bytes(sound.astype("<i2").tobytes())


def read_number(luma: Image) -> int | None:
    """The number of a picture, (height, width) of brightness; None where both codes differ."""
    cell = _cell(luma.shape[1])
    codes = {_read(luma[top : top + cell]) for top in _tops(*luma.shape)}
    code = codes.pop() if len(codes) == 1 else 0
    return code - PRESENT if code & PRESENT else None


def _tops(height: int, width: int) -> tuple[int, int]:
    """Where the two codes are: clear of clocks and overlays at the top."""
    return height // 4, height - _cell(width)


def _cell(width: int) -> int:
    return width // (BITS + 4)


def _bars(image: Image, number: int, top: int) -> None:
    cell = _cell(image.shape[1])
    for bit in range(BITS):
        shade = 235 if (number | PRESENT) >> bit & 1 else 16
        left = (bit + 2) * cell
        cv2.rectangle(image, (left, top), (left + cell - 1, top + cell - 1), (shade,) * 3, -1)


def _read(strip: Image) -> int:
    cell = strip.shape[0]
    middle = strip[cell // 4 : cell - cell // 4]
    cells = [middle[:, (bit + 2) * cell + cell // 4 : (bit + 3) * cell - cell // 4].mean()
             for bit in range(BITS)]  # fmt: skip
    return sum(1 << bit for bit, mean in enumerate(cells) if mean > 125)


def _nv12(image: Image) -> bytes:
    height = image.shape[0]
    planes = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
    chroma = planes[height:].reshape(2, -1)
    return planes[:height].tobytes() + chroma.T.tobytes()
