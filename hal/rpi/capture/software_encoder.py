"""picamera2's software H.264 encoder, with keyframes that can be asked for.

Its own `force_key_frame` names the picture type by a letter, which PyAV has not taken since 14: the
exception ends the camera's thread, and no picture comes any more (picamera2 0.3.38, PyAV 19.0). And
without `forced-idr` the picture would be one that a decoder can't start with. Threads share a
picture (slices), where the parent's would each take one and hold it back: 1080p30 needs 4.1 G
instructions a second (counted for aarch64), more than a core of a Pi 5 gives.
"""

from __future__ import annotations

import os
import time
from typing import Any

import av
from av.codec.context import ThreadType
from av.video.frame import PictureType
from picamera2 import MappedArray
from picamera2.encoders import LibavH264Encoder


class SoftwareEncoder(LibavH264Encoder):  # type: ignore[misc]  # picamera2 carries no types
    """`_start` and `_encode` are those of the parent, but for what is said above."""

    _wanted = False

    def __init__(self, **asked: Any) -> None:
        super().__init__(**asked)
        self.threads = slice_threads(os.cpu_count() or 1)

    def force_key_frame(self) -> None:
        self._wanted = True

    def _start(self) -> None:
        super()._start()
        self._stream.codec_context.thread_type = ThreadType.SLICE
        self._stream.codec_context.options["forced-idr"] = "1"

    def _encode(self, stream: Any, request: Any) -> None:
        request.acquire()
        self._request_release_queue.append(request)
        timestamp_us = self._timestamp(request)
        with MappedArray(request, stream) as mapped:
            frame = av.VideoFrame.from_numpy_buffer(
                mapped.array, format=self._av_input_format, width=self.width
            )
            frame.pts = timestamp_us
            if self._wanted:
                self._wanted = False
                frame.pict_type = PictureType.I
            for packet in self._stream.encode(frame):
                self._lasttimestamp = (time.monotonic_ns(), packet.pts)
                self.outputframe(
                    bytes(packet), packet.is_keyframe, timestamp=packet.pts, packet=packet
                )
        while len(self._request_release_queue) > self._request_release_delay:
            self._request_release_queue.popleft().release()


def slice_threads(cores: int) -> int:
    """One core is left to everybody else; more slices than three cost bits, not time."""
    return max(1, min(3, cores - 1))
