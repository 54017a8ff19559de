"""Any video file as the scene: fitted to the camera's format, encoded once, looped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from bwv_device.errors import ClipError
from bwv_device.field_test.films import BGR, FilmSound, cut_off_after_s, pictures, sound_length_s
from hal.ports import VideoFormat
from hal.simulated.capture import SAMPLES_PER_FRAME
from sim.media.scene import Image, encode, to_i420
from sim.media.sound import RATE, Samples, silence

LONGEST_S = 60
# Of a picture: stamps are fractions.
ROUNDING = 0.01


class Clip:
    """A looped clip: a `VideoSource`, and samples for `sim.media.sound.Sound`."""

    def __init__(self, path: Path, width: int, height: int, fps: int, bitrate_bps: int) -> None:
        self.format = VideoFormat(width, height, fps, bitrate_bps, "libx264 ultrafast")
        if (end_s := cut_off_after_s(path, LONGEST_S)) is not None:
            raise ClipError(
                f"{path} is truncated: it ends after {end_s:.1f} s.", "Give a whole file."
            )
        sound_s = sound_length_s(path)
        seconds = _seconds(path, self.format, still_s=sound_s)
        self._gops = [encode(self.format, second) for second in seconds]
        self._samples = _samples(path, len(self._gops)) if sound_s else None

    @property
    def seconds(self) -> int:
        return len(self._gops)

    def keyframe(self, number: int) -> None:
        """This encoder keeps its rhythm of one a second."""

    def gop(self, number: int) -> Sequence[bytes]:
        return self._gops[number % len(self._gops)]

    def samples(self, number: int) -> Samples:
        """Samples of AAC frame `number`, (1024,), looped with the pictures."""
        if self._samples is None:
            return silence(number)
        first = number * SAMPLES_PER_FRAME
        places = np.arange(first, first + SAMPLES_PER_FRAME) % len(self._samples)
        looped: Samples = self._samples[places]
        return looped

    def close(self) -> None:
        """Nothing is held."""


def _seconds(path: Path, video: VideoFormat, still_s: float) -> Iterator[list[Image]]:
    """I420 pictures at the camera's rate, a second at a time, at most `LONGEST_S`; a last partial
    second is filled. A single picture, the cover of a piece of music say, stays for `still_s`.
    Raises `ClipError`."""
    second: list[Image] = []
    count, shown, last = 0, 0, None
    limit = LONGEST_S * video.fps
    for picture in pictures(path):
        due = min(limit, int(picture.at_s * video.fps + ROUNDING))
        while last is not None and due > count:
            second.append(last)
            count += 1
            if len(second) == video.fps:
                yield second
                second = []
        if count >= limit:
            return
        last, shown = _fitted(picture.image, video), shown + 1
    if last is None:
        return
    still = int(min(still_s, LONGEST_S)) * video.fps if shown == 1 else 0
    for _ in range(count + video.fps, still, video.fps):
        yield [last] * video.fps
    # The last picture is shown too, also at a full second.
    yield second + [last] * (video.fps - len(second))


def _fitted(image: BGR, video: VideoFormat) -> Image:
    """Scaled to fit, black around it."""
    rows, columns = image.shape[:2]
    scale = min(video.width / columns, video.height / rows)
    width, height = max(1, round(columns * scale)), max(1, round(rows * scale))
    small = cv2.resize(image, (width, height))
    top, left = (video.height - height) // 2, (video.width - width) // 2
    bottom, right = video.height - height - top, video.width - width - left
    padded = cv2.copyMakeBorder(small, top, bottom, left, right, cv2.BORDER_CONSTANT)
    return to_i420(padded.astype(np.uint8, copy=False))


def _samples(path: Path, seconds: int) -> Samples | None:
    """The clip's own sound, (seconds * 48000,), or None where it has none that decodes."""
    sound = np.zeros(seconds * RATE, np.float32)
    at = 0
    try:
        for block in FilmSound(path, RATE):
            part = block[: len(sound) - at]
            sound[at : at + len(part)] = part
            at += len(part)
            if at >= len(sound):
                break
    except ClipError:
        return None
    return sound
