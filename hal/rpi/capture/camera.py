"""`hal.ports.Camera` over a process that owns picamera2 (hal.rpi.capture.camera_child)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hal.ports import Clock, Track, UnitSink, VideoFormat
from hal.rpi.capture.capture_process import Allowance, CaptureChild, Patience, python_command
from hal.rpi.capture.pipe_messages import Kind

MODULE = "hal.rpi.capture.camera_child"


class CameraRequest(NamedTuple):
    """Everything the capture process is told; also what stands in its ASKED message."""

    width: int
    height: int
    fps: int
    bitrate_bps: int
    encoder: str  # hal.rpi.capture.encoder_probe.HARDWARE or SOFTWARE
    profile: str = "main"
    pixel_format: str = "YUV420"
    buffers: int = 6
    batch_ms: int = 250
    overlay: bool = False
    device: str = ""
    watch_view: bool = True
    max_exposure_ms: int = 0  # 0: the tuning's own
    max_gain: int = 0
    tuning: str = ""  # a file of libcamera's, as for a camera without an infrared filter
    sensor_mode: str = ""  # "2304x1296": which part of the sensor is read; "" lets libcamera choose
    rotation: int = 0  # or 180
    focus: str = "manual"  # or "continuous"
    focus_dioptres: float = 0.4
    hdr: bool = False
    flicker_hz: int = 0  # of the mains, 50 or 60; 0 does nothing about it


# Named alike in the section [camera] of config.toml.
FROM_SETTINGS = (
    "profile",
    "pixel_format",
    "buffers",
    "watch_view",
    "max_exposure_ms",
    "max_gain",
    "tuning",
    "sensor_mode",
    "rotation",
    "focus",
    "focus_dioptres",
    "hdr",
    "flicker_hz",
)


class RpiCamera:
    """The child is asked for one encoder; one that opens another is not used."""

    def __init__(
        self,
        asked: CameraRequest,
        clock: Clock,
        interpreter: str = "",
        patience: Patience = Patience(),
        command: list[str] | None = None,
        opened: Callable[[dict[str, Any]], None] = lambda fields: None,
    ) -> None:
        self._format = VideoFormat(
            asked.width, asked.height, asked.fps, asked.bitrate_bps, asked.encoder
        )
        self._caption = ""
        self._told = opened
        # What the outlet may have kept while the agent was busy: minutes of small pictures.
        allowance = Allowance(4 * asked.fps, max(asked.bitrate_bps // 2, 4 << 20), burst_s=30)
        self.child = CaptureChild(
            Track.VIDEO,
            command or python_command(MODULE, interpreter),
            asked._asdict(),
            allowance,
            clock,
            patience,
            self._opened,
        )

    @property
    def format(self) -> VideoFormat:
        return self._format

    def start(self, sink: UnitSink) -> None:
        self.child.start(sink)

    def stop(self) -> None:
        self.child.stop()

    def request_keyframe(self) -> None:
        self.child.say(Kind.KEYFRAME)

    def caption(self, words: str) -> None:
        self._caption = words
        self.child.say(Kind.CAPTION, words=words)

    def _opened(self, fields: dict[str, Any]) -> None:
        self._told(fields)
        if self._caption:  # a new child has not heard it
            self.child.say(Kind.CAPTION, words=self._caption)
