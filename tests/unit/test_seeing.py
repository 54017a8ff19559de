"""A red light that flashes in a mirror, drawn into the simulated street."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bwv_device.field_test.seeing import flashing, redness
from hal.ports import VideoFormat
from sim.media.scene import draw

VIDEO = VideoFormat(640, 360, 15, 0, "")


def look(on_s: float, off_s: float, *, radius: int = 9, colour=(40, 30, 235), seconds: int = 8):
    """What is seen of a lamp: flashing or not."""
    times_s, fields = [], []
    for number in range(seconds * VIDEO.fps):
        at_s = number / VIDEO.fps
        image = draw(VIDEO, 0, number)
        if at_s % (on_s + off_s) < on_s:
            cv2.circle(image, (430, 150), radius, colour, -1, cv2.LINE_AA)
        times_s.append(at_s)
        fields.append(redness(image))
    return flashing(times_s, fields)


@pytest.mark.parametrize(("on_s", "off_s"), [(0.5, 0.5), (0.25, 0.75), (1.0, 1.0), (0.2, 0.2)])
def test_its_rhythm_and_place_are_told(on_s: float, off_s: float) -> None:
    seen = look(on_s, off_s)
    assert seen is not None
    assert (seen.on_s, seen.off_s) == pytest.approx((on_s, off_s), abs=1.01 / VIDEO.fps)
    assert seen.place == pytest.approx((430 / 640, 150 / 360), abs=0.04)


def test_a_small_lamp_is_seen() -> None:
    assert look(0.5, 0.5, radius=5) is not None


@pytest.mark.parametrize(
    ("on_s", "colour"),
    [
        (1000.0, (40, 30, 235)),
        (0.5, (235, 235, 235)),
        (0.5, (40, 235, 30)),
        (0.0001, (40, 30, 235)),
    ],
)
def test_what_is_not_a_flashing_red_light(on_s: float, colour: tuple[int, int, int]) -> None:
    """A red light that stays, a white one, a green one, and people in red who walk by."""
    assert look(on_s, 0.5, colour=colour) is None


def test_too_short_a_look_says_nothing() -> None:
    assert flashing([0.0, 0.1], [np.zeros((36, 64), np.float32)] * 2) is None
