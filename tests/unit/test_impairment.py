"""Lens covered, picture black or frozen, no sound: noticed, told once, and never in a good view."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hal.ports import VideoFormat
from hal.rpi.capture.impairment import Impairments
from hal.rpi.capture.sound_watch import SoundWatch
from hal.rpi.capture.view.view_watch import ViewWatch
from sim.media.scene import draw

VIDEO = VideoFormat(640, 480, 10, 0, "")


def grey(number: int, noise: int = 2) -> np.ndarray:
    """The street at a moment, as the watch sees it: every eighth pixel, with a sensor's noise."""
    image = cv2.cvtColor(draw(VIDEO, 0, number), cv2.COLOR_BGR2GRAY)[::8, ::8]
    chance = np.random.default_rng(number)
    return np.clip(image + chance.normal(0, noise, image.shape), 0, 255).astype(np.uint8)


def told(pictures: list[np.ndarray]) -> list[tuple[str, bool]]:
    """What a watch tells of two pictures a second."""
    words: list[tuple[str, bool]] = []
    watch = ViewWatch(lambda what, present: words.append((what, present)))
    for number, picture in enumerate(pictures):
        watch.feed(picture, number / 2)
    return words


def even(level: int, number: int) -> np.ndarray:
    chance = np.random.default_rng(number)
    return np.clip(chance.normal(level, 2, (60, 80)), 0, 255).astype(np.uint8)


def shaded(number: int) -> np.ndarray:
    """A hand that lets light through at one side."""
    slope = np.tile(np.linspace(40, 160, 80), (60, 1))
    chance = np.random.default_rng(number)
    return np.clip(slope + chance.normal(0, 3, slope.shape), 0, 255).astype(np.uint8)


GOOD = [grey(number) for number in range(20)]


@pytest.mark.parametrize(
    ("what", "bad"),
    [
        ("black", [even(14, number) for number in range(20)]),
        ("covered", [even(120, number) for number in range(20)]),
        ("covered", [cv2.GaussianBlur(even(70, n), (9, 9), 4) for n in range(20)]),
        ("covered", [shaded(n) for n in range(20)]),
        ("frozen", [grey(7)] * 20),
    ],
)
def test_each_is_told_once_and_when_it_is_over(what: str, bad: list[np.ndarray]) -> None:
    assert told(GOOD + bad + GOOD) == [(what, True), (what, False)]


@pytest.mark.parametrize(
    "pictures",
    [
        GOOD * 5,
        [np.clip(p.astype(int) // 5, 0, 255).astype(np.uint8) for p in GOOD] * 5,  # a dark night
        [np.clip(p.astype(int) + 90, 0, 255).astype(np.uint8) for p in GOOD] * 5,  # glare
        [grey(3, noise=1) for _ in range(2)] + GOOD,
    ],
)
def test_a_good_view_is_never_accused(pictures: list[np.ndarray]) -> None:
    assert told(pictures) == []


def test_a_hand_that_passes_is_not_told() -> None:
    assert told(GOOD + [even(120, n) for n in range(4)] + GOOD) == []


def test_a_microphone_without_a_voice() -> None:
    words: list[tuple[str, bool]] = []
    watch = SoundWatch(lambda what, present: words.append((what, present)))
    chance = np.random.default_rng(1)
    for block in range(1000):
        dead = 200 <= block < 700
        samples = np.zeros(960) if dead else chance.normal(0, 3, 960)
        watch.feed(samples.astype(np.int16).tobytes(), block * 0.02)
    assert words == [("silent", True), ("silent", False)]


def test_what_comes_and_goes_is_not_told() -> None:
    words: list[tuple[str, bool]] = []
    impairments = Impairments(lambda what, present: words.append((what, present)), patience_s=3)
    for step in range(100):
        impairments.note("black", step % 2 == 0, step)
    assert words == []
