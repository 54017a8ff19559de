"""The small parts of a rig: exposure limits, gauges, the dock's contact, places, the encoder."""

from __future__ import annotations

import json
import queue
from pathlib import Path

import pytest

from hal.ports import Edge, Fix, HardwareError
from hal.rpi.board import choose_encoder
from hal.rpi.capture import encoder_probe, exposure_limits
from hal.rpi.capture.keyframe_request import request_keyframe
from hal.rpi.dock import ContactDock
from hal.rpi.location import parse_fix
from hal.rpi.panel.panel_process import RemoteButton
from hal.rpi.power import KernelPower, NoGauge, cell_percent, in_usb_dock


def tree(folder: Path, **files: str) -> Path:
    """A piece of /sys; "__" stands for "/"."""
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return folder


# --- power ---------------------------------------------------------------------------------------

BATTERY = "class__power_supply__BAT0__"
SENSOR = "class__hwmon__hwmon3__"


def test_a_fuel_gauge_is_read(tmp_path: Path) -> None:
    files = {"type": "Battery", "capacity": "43", "status": "Discharging"}
    files["time_to_empty_now"] = "7260"
    sys = tree(tmp_path, **{BATTERY + name: text for name, text in files.items()},
               class__thermal__thermal_zone0__temp="61250")  # fmt: skip
    reading = KernelPower(sys=sys).read()
    assert reading == (43, False, 121, False, 61)


def test_a_mouse_is_no_battery_of_ours(tmp_path: Path) -> None:
    sys = tree(tmp_path, **{BATTERY + "type": "Battery", BATTERY + "scope": "Device"})
    with pytest.raises(HardwareError, match="no battery gauge"):
        KernelPower(sys=sys).read()


@pytest.mark.parametrize(
    ("milliamperes", "charging", "minutes"), [("-800", False, 138), ("900", True, None)]
)
def test_an_ina219_is_read(
    tmp_path: Path, milliamperes: str, charging: bool, minutes: int | None
) -> None:
    sys = tree(
        tmp_path,
        **{SENSOR + "name": "ina219", SENSOR + "in1_input": "7600"},
        **{SENSOR + "curr1_input": milliamperes, "class__hwmon__hwmon1__name": "rpi_volt"},
        class__hwmon__hwmon1__in0_lcrit_alarm="1",
    )
    reading = KernelPower(cells=2, capacity_mah=3000, sys=sys).read()
    assert reading == (62, charging, minutes if minutes is None else 139, True, None)


def test_a_gauge_that_says_nonsense_is_an_error(tmp_path: Path) -> None:
    sys = tree(tmp_path, **{BATTERY + "type": "Battery", BATTERY + "capacity": "lots"})
    with pytest.raises(OSError, match="not a number"):
        KernelPower(sys=sys).read()


def test_a_gauge_that_only_counts_learns_of_charging_from_the_charger(tmp_path: Path) -> None:
    """MAX17040 and 17048: their driver tells per cent, and no status."""
    online = "class__power_supply__usb__online"
    files = {
        f"{BATTERY}type": "Battery", f"{BATTERY}capacity": "41",
        "class__power_supply__usb__type": "USB", online: "1",
    }  # fmt: skip
    gauge = KernelPower(sys=tree(tmp_path, **files))
    assert gauge.read()[:2] == (41, True)
    (tmp_path / online.replace("__", "/")).write_text("0")
    assert gauge.read()[:2] == (41, False)


def test_a_rig_on_a_power_supply_is_full(tmp_path: Path) -> None:
    assert NoGauge(tmp_path).read() == (100, True, None, False, None)


def test_power_over_usb_is_a_dock(tmp_path: Path) -> None:
    files = {"class__power_supply__usb__type": "USB", "class__power_supply__usb__online": "1"}
    assert in_usb_dock(tree(tmp_path, **files))
    (tmp_path / "class/power_supply/usb/online").write_text("0")
    assert not in_usb_dock(tmp_path)


def test_a_bare_board_notices_its_dock_by_a_host_or_by_the_charge(tmp_path: Path) -> None:
    """No Raspberry Pi reports its own supply."""
    assert not in_usb_dock(tmp_path)
    tree(tmp_path, class__udc__3f980000usb__state="not attached")
    assert not in_usb_dock(tmp_path)
    tree(tmp_path, class__udc__3f980000usb__state="configured")
    assert in_usb_dock(tmp_path)
    tree(tmp_path, class__udc__3f980000usb__state="not attached")
    tree(tmp_path, **{SENSOR + "name": "ina219", SENSOR + "curr1_input": "-300"})
    assert not in_usb_dock(tmp_path)
    tree(tmp_path, **{SENSOR + "curr1_input": "900"})
    assert in_usb_dock(tmp_path)


def test_cells_empty_in_one_direction_only() -> None:
    percents = [cell_percent(millivolts) for millivolts in range(2800, 4300, 5)]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)


# --- camera --------------------------------------------------------------------------------------

AGC = {"exposure_modes": {"normal": {"shutter": [100, 10000, 120000], "gain": [1.0, 4.0, 12.0]}}}


@pytest.mark.parametrize(
    "tuning",
    [
        {"version": 2.0, "algorithms": [{"rpi.awb": {}}, {"rpi.agc": AGC}]},
        {"version": 2.0, "algorithms": [{"rpi.agc": {"channels": [AGC]}}]},
        {"rpi.agc": AGC},
    ],
)
def test_exposure_is_limited_in_every_kind_of_tuning(tuning: dict) -> None:
    before = json.dumps(tuning)
    text = json.dumps(exposure_limits.limited(tuning, 33, 8))
    assert "[100, 10000, 33000]" in text
    assert "[1.0, 4.0, 8.0]" in text
    assert json.dumps(tuning) == before


def test_a_tuning_without_modes_is_refused() -> None:
    with pytest.raises(ValueError, match="no exposure modes"):
        exposure_limits.limited({"algorithms": [{"rpi.awb": {}}]}, 33, 8)


def test_an_encoder_is_never_swapped_in_silence(tmp_path: Path) -> None:
    assert choose_encoder("auto", tmp_path) == encoder_probe.SOFTWARE
    with pytest.raises(HardwareError, match="no hardware"):
        choose_encoder("hardware", tmp_path)
    tree(tmp_path, class__video4linux__video11__name=encoder_probe.ENCODER_NAME)
    assert choose_encoder("auto", tmp_path) == encoder_probe.HARDWARE
    assert choose_encoder("hardware", tmp_path) == encoder_probe.HARDWARE
    assert choose_encoder("software", tmp_path) == encoder_probe.SOFTWARE


# --- dock, place ---------------------------------------------------------------------------------


def test_a_contact_that_bounces_is_told_once() -> None:
    contact = RemoteButton()
    dock, told = ContactDock(contact, closed=False), queue.Queue()  # type: ignore[var-annotated]
    dock.listen(told.put)
    for pressed in (True, False, True, False, True):
        contact.listener(Edge(pressed, 0))
    assert told.get(timeout=10) is True
    assert dock.docked()
    contact.listener(Edge(False, 0))
    assert told.get(timeout=10) is False
    assert told.empty()


@pytest.mark.parametrize(
    ("report", "fix"),
    [
        ({"mode": 3, "lat": 51.5072178, "lon": -0.1275862, "eph": 4.2},
         Fix(515072178, -1275862, 5)),
        ({"mode": 2, "lat": 0, "lon": 180.0, "epx": 3, "epy": 9.1}, Fix(0, 1800000000, 10)),
        ({"mode": 3, "lat": 1.0, "lon": 1.0}, Fix(10000000, 10000000, 50)),
        ({"mode": 3, "lat": 1.0, "lon": 1.0, "eph": float("inf")},
         Fix(10000000, 10000000, 1_000_000)),
        ({"mode": 3, "lat": 1.0, "lon": 1.0, "eph": float("nan")}, Fix(10000000, 10000000, 50)),
        ({"mode": 1, "lat": 1.0, "lon": 1.0}, None),
        ({"mode": 3, "lat": float("nan"), "lon": 1.0}, None),
        ({"mode": 3, "lat": 91, "lon": 1.0}, None),
        ({"mode": 3, "lat": True, "lon": 1.0}, None),
        ({"mode": 3, "lat": "51", "lon": 1.0}, None),
        ({"mode": 3}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_reports_of_gpsd(report: dict, fix: Fix | None) -> None:
    assert parse_fix(report) == fix


# --- keyframes -----------------------------------------------------------------------------------


class OldEncoder:
    """As picamera2 0.3.31 in bookworm: no method, a V4L2 device."""

    def __init__(self, path: Path) -> None:
        self.vd = path.open("wb")


class BrokenEncoder:
    def force_key_frame(self) -> None:
        raise RuntimeError("a library's own trouble")


class NewEncoder:
    asked = 0

    def force_key_frame(self) -> None:
        self.asked += 1


def test_a_keyframe_is_asked_for_where_there_is_a_method() -> None:
    encoder = NewEncoder()
    assert request_keyframe(encoder)
    assert encoder.asked == 1


def test_an_encoder_without_the_method_is_asked_through_the_kernel(
    tmp_path: Path,
) -> None:
    """A plain file answers ENOTTY: nothing was asked for, and nothing ends."""
    assert not request_keyframe(OldEncoder(tmp_path / "video11"))
    asked = []

    def kernel(device: object, number: int, data: bytes) -> None:
        asked.append((number, data))

    assert request_keyframe(OldEncoder(tmp_path / "video11"), kernel)
    # videodev2.h on a 32 and 64 bit kernel alike: _IOWR('V', 28, 8 bytes), control 0x9909e5 = 1.
    assert asked == [(0xC008561C, bytes.fromhex("e509990001000000"))]


def test_whatever_an_encoder_does_the_camera_goes_on() -> None:
    assert not request_keyframe(BrokenEncoder())
    assert not request_keyframe(object())
