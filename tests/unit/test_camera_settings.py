"""What a builder configures is set where the camera offers it, and said where it does not."""

from __future__ import annotations

import pytest

from hal.rpi.capture import camera_settings
from hal.rpi.capture.camera import CameraRequest

ASKED = CameraRequest(1280, 720, 30, 4_000_000, "h264_v4l2m2m")
MODULE_3 = {"AfMode", "AfRange", "LensPosition", "HdrMode", "AeFlickerMode", "AeFlickerPeriod"}
MODULE_2 = {"AeFlickerMode", "AeFlickerPeriod", "FrameDurationLimits"}


def test_a_lens_that_can_be_moved_is_put_where_a_body_camera_looks() -> None:
    """libcamera leaves it at one metre: manual, 1.0 dioptre."""
    chosen = camera_settings.choose(ASKED, MODULE_3)
    assert chosen.controls == {"AfMode": 0, "LensPosition": 0.4}
    assert chosen.facts == ["focus 0.4 dioptres"]
    assert chosen.missing == []


def test_a_lens_that_is_fixed_is_no_fault() -> None:
    chosen = camera_settings.choose(ASKED._replace(focus="continuous"), MODULE_2)
    assert chosen == ({}, ["focus fixed"], [])


def test_all_that_is_asked_for_is_set() -> None:
    asked = ASKED._replace(focus="continuous", hdr=True, flicker_hz=50)
    chosen = camera_settings.choose(asked, MODULE_3)
    assert chosen.controls == {
        "AfMode": 2, "AfRange": 0, "HdrMode": 3, "AeFlickerMode": 1, "AeFlickerPeriod": 10_000
    }  # fmt: skip
    assert chosen.facts == ["focus continuous", "HDR", "flicker 50 Hz"]


@pytest.mark.parametrize("hertz", [50, 60])
def test_what_is_not_offered_is_said(hertz: int) -> None:
    chosen = camera_settings.choose(ASKED._replace(hdr=True, flicker_hz=hertz), set())
    assert chosen.controls == {}
    assert chosen.missing == ["HDR", f"flicker {hertz} Hz"]


MODES = [
    {"size": (1536, 864), "bit_depth": 10},
    {"size": (2304, 1296), "bit_depth": 8},
    {"size": (2304, 1296), "bit_depth": 10},
]


def test_a_mode_of_the_sensor_is_found_by_its_size() -> None:
    mode = camera_settings.sensor_mode("2304x1296", MODES)
    assert mode == {"output_size": (2304, 1296), "bit_depth": 10}
    assert camera_settings.sensor_mode("4608x2592", MODES) is None
