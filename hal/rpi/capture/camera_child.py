"""The process that owns the camera: picamera2 with an encoder, units with the sensor's own time.

Everything here runs on picamera2's threads, under its locks: so it only copies and queues. It may
be killed at any moment, and is.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt
from picamera2 import MappedArray, Picamera2
from picamera2.outputs import Output

from hal.annex_b import from_annex_b
from hal.host import HostClock
from hal.ports import SECOND_NS, AccessUnit, Track
from hal.rpi.capture import camera_settings, encoder_probe, exposure_limits
from hal.rpi.capture.camera import CameraRequest
from hal.rpi.capture.child_output import Outlet, listen, own_pipe
from hal.rpi.capture.keyframe_request import request_keyframe
from hal.rpi.capture.pipe_messages import Kind, Message
from hal.rpi.capture.view import overlay
from hal.rpi.capture.view.view_watch import ViewWatch

# The view is looked at so often, on every eighth pixel.
LOOK_NS, LOOK_STEP = SECOND_NS // 2, 8

Picture = npt.NDArray[np.uint8]


class Units(Output):  # type: ignore[misc]  # picamera2 carries no types
    """Encoded pictures → the outlet. An exception here would end the camera's thread."""

    def __init__(self, outlet: Outlet, fps: int, encoder: Any) -> None:
        super().__init__()
        self._outlet, self._encoder = outlet, encoder
        self._duration_ns = SECOND_NS // fps
        self._begun = False

    def outputframe(
        self,
        frame: Any,
        keyframe: bool = True,
        timestamp: int | None = None,
        packet: Any = None,
        audio: bool = False,
    ) -> None:
        try:
            self._take(bytes(frame), keyframe, timestamp)
        except Exception as error:  # whatever it is must not end the camera's thread
            self._outlet.lost(Track.VIDEO, 1, f"encoder: {type(error).__name__}: {error}"[:200])

    def _take(self, data: bytes, keyframe: bool, timestamp: int | None) -> None:
        """`timestamp`: microseconds of the sensor's clock, CLOCK_MONOTONIC, less those of the
        encoder's first picture: put back here."""
        if timestamp is None or not (keyframe or self._begun):
            return
        self._begun = True
        pts_ns = (self._encoder.firsttimestamp + timestamp) * 1000
        unit = from_annex_b(data)
        self._outlet.unit(AccessUnit(Track.VIDEO, pts_ns, self._duration_ns, keyframe, unit))


class View:
    """Looks at pictures before they are encoded: draws the overlay, hands a small copy on."""

    def __init__(self, asked: CameraRequest, outlet: Outlet) -> None:
        self._asked, self._outlet = asked, outlet
        self.words = ""
        self._clock = HostClock()
        self._certain = self._clock.utc().source != "none"
        self._looked_ns = 0
        self._small: queue.Queue[tuple[Picture, float]] = queue.Queue(2)
        self._broken = False
        if asked.watch_view:
            threading.Thread(target=self._watch, name="view", daemon=True).start()

    def before_encoding(self, request: Any) -> None:
        """picamera2's `pre_callback`."""
        if self._broken:
            return
        try:
            sensor_ns = int(request.get_metadata()["SensorTimestamp"])
            due = self._asked.watch_view and sensor_ns - self._looked_ns >= LOOK_NS
            if self._asked.overlay or due:
                with MappedArray(request, "main") as mapped:
                    luma = mapped.array[: self._asked.height, : self._asked.width]
                    if due:
                        self._look(luma, sensor_ns)
                    if self._asked.overlay:
                        self._draw(luma, sensor_ns)
        except Exception as error:  # the picture is worth more than what is drawn on it
            self._broken = True
            self._outlet.lost(Track.VIDEO, 0, f"overlay: {type(error).__name__}: {error}"[:200])

    def _look(self, luma: Picture, sensor_ns: int) -> None:
        self._looked_ns = sensor_ns
        self._certain = self._clock.utc().source != "none"
        with contextlib.suppress(queue.Full):  # one picture more or less
            self._small.put_nowait((luma[::LOOK_STEP, ::LOOK_STEP].copy(), sensor_ns / 1e9))

    def _draw(self, luma: Picture, sensor_ns: int) -> None:
        utc_ns = time.time_ns() - (time.monotonic_ns() - sensor_ns)
        text = overlay.caption(utc_ns, self._asked.device, self.words, certain=self._certain)
        overlay.draw(luma, text)

    def _watch(self) -> None:
        watch = ViewWatch(
            lambda what, present: self._outlet.say(Kind.IMPAIRED, what=what, present=present)
        )
        while True:
            watch.feed(*self._small.get())


class NoCameraError(Exception):
    """There is none, or none as it is configured: no restart helps."""


def open_camera(asked: CameraRequest) -> tuple[Picamera2, camera_settings.Chosen]:
    """Configured once; libcamera's memory does not like to be configured again."""
    found = Picamera2.global_camera_info()
    if not found:
        raise NoCameraError("there is no camera: look at its ribbon cable")
    camera = Picamera2(tuning=_tuning(asked, found[0]["Model"]))
    chosen = camera_settings.choose(asked, camera.camera_controls)
    size = {"size": (asked.width, asked.height), "format": asked.pixel_format}
    more: dict[str, Any] = {}
    if asked.sensor_mode:
        mode = camera_settings.sensor_mode(asked.sensor_mode, camera.sensor_modes)
        (chosen.facts if mode else chosen.missing).append(f"sensor mode {asked.sensor_mode}")
        more |= {"sensor": mode} if mode else {}
    if asked.rotation:
        import libcamera  # noqa: PLC0415 - picamera2 has loaded it

        more["transform"] = libcamera.Transform(hflip=1, vflip=1)
        chosen.facts.append("rotated by 180 degrees")
    frame_us = 1_000_000 // asked.fps
    limits = {"FrameDurationLimits": (frame_us, frame_us)}
    controls = {k: v for k, v in limits.items() if k in camera.camera_controls}
    configuration = camera.create_video_configuration(
        main=size, raw=None, buffer_count=asked.buffers, controls=controls | chosen.controls, **more
    )
    camera.configure(configuration)
    return camera, chosen


def _tuning(asked: CameraRequest, sensor: str) -> dict[str, Any] | None:
    if not (asked.tuning or asked.max_exposure_ms or asked.max_gain):
        return None
    name = asked.tuning or f"{sensor}.json"
    try:
        loaded: dict[str, Any] = Picamera2.load_tuning_file(name)
    except (OSError, RuntimeError, ValueError) as error:
        raise NoCameraError(f"the tuning file {name} can't be used: {error}"[:200]) from None
    if not (asked.max_exposure_ms or asked.max_gain):
        return loaded
    return exposure_limits.limited(loaded, asked.max_exposure_ms, asked.max_gain)


def open_encoder(asked: CameraRequest) -> Any:
    """Exactly the one that was asked for."""
    if asked.encoder == encoder_probe.HARDWARE:
        from picamera2.encoders.h264_encoder import H264Encoder  # noqa: PLC0415 - opens a device

        kind = H264Encoder
    else:  # it brings FFmpeg's libraries, which a board with little memory can do without
        from hal.rpi.capture.software_encoder import SoftwareEncoder  # noqa: PLC0415

        kind = SoftwareEncoder
    encoder = kind(
        bitrate=asked.bitrate_bps,
        repeat=True,
        iperiod=asked.fps,
        framerate=asked.fps,
        profile=asked.profile,
    )
    return encoder


def capture(asked: CameraRequest, outlet: Outlet, view: View, keyframe: threading.Event) -> None:
    """Until the process ends."""
    (camera, chosen), encoder = open_camera(asked), open_encoder(asked)
    if asked.overlay or asked.watch_view:
        camera.pre_callback = view.before_encoding
    main = camera.camera_configuration()["main"]
    model = str(camera.camera_properties.get("Model", ""))[:100]
    outlet.say(
        Kind.READY,
        camera=model,
        encoder=asked.encoder,
        size=list(main["size"]),
        pixel_format=str(main["format"]),
        facts=[f"camera {model}", f"encoder {asked.encoder}", *_versions(), *chosen.facts],
        missing=chosen.missing,
    )
    camera.start_recording(encoder, Units(outlet, asked.fps, encoder))
    while True:
        keyframe.wait()
        keyframe.clear()
        request_keyframe(encoder)


def _versions() -> list[str]:
    """Distributions differ in these more than in anything else."""
    found = []
    for name in ("picamera2", "libcamera"):
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return found


def main() -> None:
    pipe = own_pipe()
    keyframe = threading.Event()
    views: list[View] = []

    def hear(message: Message) -> None:
        if message.kind is Kind.KEYFRAME:
            keyframe.set()
        elif message.kind is Kind.CAPTION and views:
            views[0].words = str(message.fields.get("words", ""))

    asked = CameraRequest(**listen(hear))
    outlet = Outlet(pipe, asked.batch_ms * 1_000_000)
    try:
        views.append(View(asked, outlet))
        capture(asked, outlet, views[0], keyframe)
    except NoCameraError as error:
        outlet.say(Kind.FAILED, reason=str(error), absent=True)
        outlet.close()
    except Exception as error:  # whatever it is, it is said, and the process ends
        outlet.say(Kind.FAILED, reason=f"the camera can't be used: {error}"[:200])
        outlet.close()
    os._exit(0)  # libcamera's own end may hang on a camera that is gone


if __name__ == "__main__":
    main()
