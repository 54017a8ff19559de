"""What the simulated camera sees: a street with people, drawn by OpenCV and encoded as H.264.

Every second is encoded on its own, so it depends on nothing but its number: seconds can be made
ahead on other cores, and a shift is the same every time. The picture carries UTC and frame number.

Where time runs faster than pictures can be encoded, the scene stands still within each second.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from fractions import Fraction
from functools import cache
from multiprocessing import get_context

import av
import cv2
import numpy as np
import numpy.typing as npt

from hal.annex_b import from_annex_b
from hal.child_process import serve_parent
from hal.ports import VideoFormat

Image = npt.NDArray[np.uint8]

AHEAD = 8
PEOPLE = (
    # colour (BGR), height as share of the picture, speed in widths a minute, phase
    ((60, 60, 180), 0.42, 5.0, 0.1),
    ((150, 110, 40), 0.36, -3.5, 0.45),
    ((70, 140, 70), 0.30, 2.6, 0.7),
    ((120, 60, 130), 0.26, -2.0, 0.25),
)


class Scene:
    """`hal.simulated.capture.VideoSource`, with workers that encode ahead."""

    def __init__(
        self, width: int, height: int, fps: int, bitrate_bps: int, epoch_utc_ns: int
    ) -> None:
        self.format = VideoFormat(width, height, fps, bitrate_bps, "libx264 ultrafast")
        self._epoch_utc_ns = epoch_utc_ns
        # Spawned: a fork of a process with threads may inherit a lock that nobody releases.
        self._pool = ProcessPoolExecutor(2, get_context("spawn"), initializer=serve_parent)
        self._coming: dict[int, Future[list[bytes]]] = {}
        self._still = False

    def stand_still(self, still: bool) -> None:
        """From the next second on; what was asked for ahead and is not made yet is made so too."""
        if still != self._still:
            self._still = still
            for number in [n for n, made in self._coming.items() if made.cancel()]:
                del self._coming[number]

    def keyframe(self, number: int) -> None:
        """This encoder keeps its rhythm of one a second."""

    def gop(self, number: int) -> Sequence[bytes]:
        make = encode_still_second if self._still else encode_second
        for ahead in range(number, number + AHEAD):
            if ahead not in self._coming:
                self._coming[ahead] = self._pool.submit(
                    make, self.format, self._epoch_utc_ns, ahead
                )
        for old in [n for n in self._coming if n < number]:
            self._coming.pop(old).cancel()
        return self._coming[number].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def encode_second(video: VideoFormat, epoch_utc_ns: int, number: int) -> list[bytes]:
    """The pictures of one second, encoded, each with four-byte NAL lengths."""
    cv2.setNumThreads(1)
    first = number * video.fps
    images = (draw(video, epoch_utc_ns, first + i) for i in range(video.fps))
    return encode(video, [to_i420(image) for image in images])


def encode_still_second(video: VideoFormat, epoch_utc_ns: int, number: int) -> list[bytes]:
    """The first picture of a second, and pictures that say "as before": a tenth of the work."""
    cv2.setNumThreads(1)
    first = to_i420(draw(video, epoch_utc_ns, number * video.fps))
    return [encode(video, [first])[0], *_as_before(video)]


@cache
def _as_before(video: VideoFormat) -> list[bytes]:
    """Pictures that skip every macroblock, behind any keyframe of this encoder: taken from a second
    of plain grey, in which nothing changes."""
    grey = np.full((video.height * 3 // 2, video.width), 128, np.uint8)
    return encode(video, [grey] * video.fps)[1:]


def to_i420(image: Image) -> Image:
    """(height, width, 3) BGR → (height * 3 / 2, width)."""
    planes: Image = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420).astype(np.uint8, copy=False)
    return planes


def encode(video: VideoFormat, planes: Sequence[Image]) -> list[bytes]:
    """A closed group of pictures from I420 images, (height * 3 / 2, width), by libx264."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = video.width, video.height, "yuv420p"
    encoder.framerate = Fraction(video.fps)
    encoder.time_base = Fraction(1, video.fps)
    encoder.bit_rate = video.bitrate_bps
    encoder.thread_count = 1
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x264-params": f"keyint={video.fps}:min-keyint={video.fps}:scenecut=0:vbv-maxrate="
        f"{video.bitrate_bps // 1000}:vbv-bufsize={video.bitrate_bps // 1000}",
    }
    packets = []
    for index, plane in enumerate(planes):
        frame = av.VideoFrame.from_ndarray(plane, format="yuv420p")
        frame.pts = index
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [from_annex_b(bytes(packet)) for packet in packets]


# --- drawing -----------------------------------------------------------------------------------


def draw(video: VideoFormat, epoch_utc_ns: int, number: int) -> Image:
    """Picture `number` of the scene, (height, width, 3), BGR."""
    width, height = video.width, video.height
    image = _street(width, height).copy()
    minutes = number / video.fps / 60
    for colour, size, speed, phase in sorted(PEOPLE, key=lambda person: person[1]):
        x = (phase + speed * minutes) % 1.3 - 0.15
        _person(image, int(x * width), int(height * 0.9), int(size * height), colour, number)
    _clock(image, epoch_utc_ns, number, video.fps)
    return image


_STREETS: dict[tuple[int, int], Image] = {}


def _street(width: int, height: int) -> Image:
    """Sky, houses with lit windows, pavement; drawn once."""
    if (width, height) in _STREETS:
        return _STREETS[width, height]
    sky = np.linspace((120, 70, 40), (170, 150, 130), height // 2)
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2] = sky[:, None, :]
    image[height // 2 :] = (70, 75, 80)
    house = width // 8
    for i in range(8):
        shade = 60 + 17 * (i * 5 % 7)
        top = int(height * (0.12 + 0.05 * (i * 3 % 4)))
        left, base = i * house, int(height * 0.66)
        cv2.rectangle(image, (left, top), (left + house - 3, base), (shade, shade, shade + 15), -1)
        for row in range(top + 14, base - 30, 34):
            for column in range(left + 12, left + house - 22, 30):
                lit = (row * 7 + column * 3 + i) % 5 < 2
                colour = (110, 205, 240) if lit else (48, 46, 44)
                cv2.rectangle(image, (column, row), (column + 14, row + 18), colour, -1)
    cv2.rectangle(image, (0, int(height * 0.66)), (width, int(height * 0.78)), (120, 122, 124), -1)
    for x in range(0, width, 110):
        cv2.rectangle(image, (x, int(height * 0.93)), (x + 55, int(height * 0.945)), (200,) * 3, -1)
    _STREETS[width, height] = image
    return image


def _person(
    image: Image, x: int, feet: int, size: int, colour: tuple[int, int, int], number: int
) -> None:
    """A walking figure: legs and arms swing with the frame number."""
    swing = math.sin(number / 5 + x * 0.01) * size * 0.13
    hip, shoulder = feet - int(size * 0.45), feet - int(size * 0.8)
    dark = tuple(c // 2 for c in colour)
    thick = max(3, size // 14)
    for side in (1, -1):
        foot = (x + int(side * swing), feet)
        hand = (x - int(side * swing), hip + int(size * 0.02))
        cv2.line(image, (x, hip), foot, dark, thick, cv2.LINE_AA)
        cv2.line(image, (x, shoulder), hand, colour, thick, cv2.LINE_AA)
    cv2.line(image, (x, shoulder), (x, hip), colour, thick * 3, cv2.LINE_AA)
    head = (x, shoulder - int(size * 0.1))
    cv2.circle(image, head, int(size * 0.08), (150, 180, 220), -1, cv2.LINE_AA)


def _clock(image: Image, epoch_utc_ns: int, number: int, fps: int) -> None:
    """UTC to the millisecond and the frame number, large enough to read."""
    at = datetime.datetime.fromtimestamp(epoch_utc_ns / 1e9 + number / fps, datetime.UTC)
    text = at.strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03d} UTC"
    scale = image.shape[1] / 1280
    lines = ((text, 46), (f"frame {number}", 92))
    for words, y in lines:
        place = (int(24 * scale), int(y * scale))
        for colour, thick in (((0, 0, 0), 7), ((255, 255, 255), 2)):
            weight = max(1, int(thick * scale))
            font = cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(image, words, place, font, 1.1 * scale, colour, weight, cv2.LINE_AA)
