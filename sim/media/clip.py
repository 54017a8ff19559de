"""Any video file as the scene: fitted to the camera's format, encoded once, looped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from bwv_device.errors import ClipError
from hal.ports import VideoFormat
from hal.simulated.capture import SAMPLES_PER_FRAME
from sim.media.scene import Image, encode, to_i420
from sim.media.sound import RATE, Samples, silence

LONGEST_S = 60
# A file that gives less than this share of the length it declares was cut off.
WHOLE_SHARE = 0.9


class Clip:
    """A looped clip: a `VideoSource`, and samples for `sim.media.sound.Sound`."""

    def __init__(self, path: Path, width: int, height: int, fps: int, bitrate_bps: int) -> None:
        self.format = VideoFormat(width, height, fps, bitrate_bps, "libx264 ultrafast")
        self._gops = [encode(self.format, second) for second in _seconds(path, self.format)]
        self._samples = _samples(path, len(self._gops))

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


def _seconds(path: Path, video: VideoFormat) -> Iterator[list[Image]]:
    """I420 pictures at the camera's rate, a second at a time; a last partial second is filled."""
    second: list[Image] = []
    count, last = 0, None
    for at_s, image in _pictures(path, video):
        while last is not None and at_s * video.fps > count:
            second.append(last)
            count += 1
            if len(second) == video.fps:
                yield second
                second = []
        last = image
        if count >= LONGEST_S * video.fps:
            return
    if last is None:
        raise ClipError(f"{path} has no picture that decodes.", "Give another file.")
    if second or not count:
        yield second + [last] * (video.fps - len(second))


def _pictures(path: Path, video: VideoFormat) -> Iterator[tuple[float, Image]]:
    """Decoded pictures, fitted, with their time since the first."""
    with _open(path) as container:
        if not container.streams.video:
            raise ClipError(f"{path} has no video track.", "Give a file with pictures.")
        stream = container.streams.video[0]
        declared_s = min(float((container.duration or 0) / av.time_base), LONGEST_S)
        first_s, at_s = None, 0.0
        try:
            for frame in container.decode(stream):
                moment_s = frame.time or 0.0
                first_s = moment_s if first_s is None else first_s
                at_s = moment_s - first_s
                yield at_s, _fitted(frame, video)
        except av.FFmpegError as error:
            raise ClipError(
                f"{path} is damaged after {at_s:.1f} s: {error.strerror}.", "Give a whole file."
            ) from None
        if at_s + 1 < declared_s * WHOLE_SHARE:
            raise ClipError(
                f"{path} is truncated: it ends after {at_s:.1f} of {declared_s:.1f} s.",
                "Give a whole file.",
            )


def _open(path: Path) -> av.container.InputContainer:
    try:
        return av.open(str(path))
    except FileNotFoundError:
        raise ClipError(f"{path} is not there.", "Check the path.") from None
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ClipError(
            f"{path} is not a readable video: {reason}.", "Give a file that plays."
        ) from None


def _fitted(frame: av.VideoFrame, video: VideoFormat) -> Image:
    """Scaled to fit, black around it."""
    scale = min(video.width / frame.width, video.height / frame.height)
    width, height = round(frame.width * scale), round(frame.height * scale)
    image = cv2.resize(frame.to_ndarray(format="bgr24"), (width, height))
    top, left = (video.height - height) // 2, (video.width - width) // 2
    bottom, right = video.height - height - top, video.width - width - left
    padded = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT)
    return to_i420(padded.astype(np.uint8, copy=False))


def _samples(path: Path, seconds: int) -> Samples | None:
    """The clip's own sound, (seconds * 48000,), or None where it has none."""
    with _open(path) as container:
        if not container.streams.audio:
            return None
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
        blocks = []
        try:
            for frame in container.decode(container.streams.audio[0]):
                blocks += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        except av.FFmpegError as error:
            raise ClipError(
                f"The sound of {path} is damaged: {error.strerror}.", "Give a whole file."
            ) from None
    sound = np.zeros(seconds * RATE, np.float32)
    if blocks:
        joined = np.concatenate(blocks)[: len(sound)]
        sound[: len(joined)] = joined
    return sound
