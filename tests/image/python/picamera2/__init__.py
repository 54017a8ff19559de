"""A camera for an emulated machine, under picamera2's name: its pictures were encoded beforehand,
and come at the rate of the clock. Everything above it is the product's."""

import threading
import time
from pathlib import Path

UNITS = Path("/mnt/units")


class MappedArray:
    """No picture is looked at: `camera.watch_view` and the overlay are off."""


class Picamera2:
    camera_controls = {}
    camera_properties = {"Model": "ready-made"}
    sensor_modes = []

    def __init__(self, tuning=None):
        self._main = {}
        self.pre_callback = None

    @staticmethod
    def global_camera_info():
        return [{"Model": "ready-made"}]

    def create_video_configuration(self, main, **more):
        self._main = dict(main)
        return self._main

    def configure(self, configuration):
        return

    def camera_configuration(self):
        return {"main": self._main}

    def start_recording(self, encoder, output):
        threading.Thread(target=self._show, args=(encoder, output), daemon=True).start()

    def _show(self, encoder, output):
        files = sorted(UNITS.glob("*.h264"))
        began_us = time.monotonic_ns() // 1000
        encoder.firsttimestamp = began_us
        step_us = 1_000_000 // encoder.framerate
        number = 0
        while True:
            file = files[number % len(files)]
            due_us = number * step_us
            time.sleep(max(0, began_us + due_us - time.monotonic_ns() // 1000) / 1e6)
            output.outputframe(file.read_bytes(), file.stem.endswith("key"), due_us)
            number += 1
