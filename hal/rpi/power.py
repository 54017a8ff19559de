"""Battery, charger, undervoltage and temperature, as the kernel's own drivers report them.

    class/power_supply  batteries with a fuel gauge, chargers, USB
    class/hwmon         rpi_volt (undervoltage), ina219 (most UPS HATs; driver ina2xx)
    class/thermal       the SoC's temperature

An INA219 knows volts and amperes only; per cent come from the voltage of lithium cells at rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from hal.ports import HardwareError, PowerReading

SYS = Path("/sys")
# Volts of a lithium-ion cell at a small load, and per cent left (typical 18650 discharge curve).
CELL_MV = ((3000, 0), (3300, 5), (3500, 12), (3600, 22), (3700, 45), (3800, 62), (3900, 75),
           (4000, 86), (4100, 95), (4180, 100))  # fmt: skip
# An INA219 in a UPS HAT: current into the battery is positive, beyond its own noise.
CHARGING_MA = 30


class KernelPower:
    """`hal.ports.Power`. `cells` and `capacity_mah` are of the battery behind an INA219."""

    def __init__(self, cells: int = 2, capacity_mah: int = 0, sys: Path = SYS) -> None:
        self._cells, self._capacity_mah, self._sys = cells, capacity_mah, sys

    def read(self) -> PowerReading:
        """Raises `HardwareError` where there is no gauge, `OSError` where it does not answer."""
        for battery in _supplies(self._sys, "Battery"):
            return self._told(self._gauge(battery))
        for sensor in _sensors(self._sys, "ina219"):
            return self._told(self._ina219(sensor))
        raise HardwareError(
            "There is no battery gauge: neither in power_supply nor an INA219.",
            'Load its kernel driver (docs/pi.md), or set power.gauge = "none".',
        )

    def _told(self, reading: PowerReading) -> PowerReading:
        low, celsius = undervoltage(self._sys), temperature_c(self._sys)
        return reading._replace(undervoltage=low, temperature_c=celsius)

    def _gauge(self, battery: Path) -> PowerReading:
        percent = max(0, min(100, _number(battery / "capacity")))
        charging = self._charging(battery)
        seconds = _optional(battery / "time_to_empty_now")
        left = None if charging or seconds is None else seconds // 60
        return PowerReading(percent, charging, left)

    def _charging(self, battery: Path) -> bool:
        """Of a gauge that only counts (MAX17040: its driver has no `status`) a charger tells."""
        if (battery / "status").exists():
            return _word(battery / "status") in ("Charging", "Full")
        chargers = (*_supplies(self._sys, "Mains"), *_supplies(self._sys, "USB"))
        return any(_optional(charger / "online") for charger in chargers)

    def _ina219(self, sensor: Path) -> PowerReading:
        """in1: bus voltage in mV; curr1: mA (kernel documentation, hwmon/ina2xx)."""
        percent = cell_percent(_number(sensor / "in1_input") // self._cells)
        current_ma = _number(sensor / "curr1_input")
        charging = current_ma > CHARGING_MA
        left = None
        if self._capacity_mah and current_ma < -CHARGING_MA:
            left = self._capacity_mah * percent * 60 // 100 // -current_ma
        return PowerReading(percent, charging, left)


class NoGauge:
    """`hal.ports.Power` of a rig on a power supply: full, as long as it gets enough."""

    def __init__(self, sys: Path = SYS) -> None:
        self._sys = sys

    def read(self) -> PowerReading:
        return PowerReading(100, True, None, undervoltage(self._sys), temperature_c(self._sys))


def cell_percent(millivolts: int) -> int:
    """Straight lines between the points of the curve."""
    if millivolts <= CELL_MV[0][0]:
        return 0
    for (low_mv, low), (high_mv, high) in pairwise(CELL_MV):
        if millivolts <= high_mv:
            return low + (high - low) * (millivolts - low_mv) // (high_mv - low_mv)
    return 100


def undervoltage(sys: Path = SYS) -> bool:
    """Whether the board gets less than it needs now."""
    return any(_optional(s / "in0_lcrit_alarm") == 1 for s in _sensors(sys, "rpi_volt"))


def temperature_c(sys: Path = SYS) -> int | None:
    """Of the SoC; None where the kernel does not say."""
    millidegrees = _optional(sys / "class/thermal/thermal_zone0/temp")
    return None if millidegrees is None else round(millidegrees / 1000)


def in_usb_dock(sys: Path = SYS) -> bool:
    """Whether a charger feeds the board, or a USB host is at its device port. No Raspberry Pi
    reports its supply itself: the first needs a charger's driver, or the current into a battery
    behind an INA219; the second a port in device mode (dtoverlay=dwc2 on a Zero 2 W)."""
    supplies = [*_supplies(sys, "USB"), *_supplies(sys, "Mains")]
    if any(_optional(supply / "online") == 1 for supply in supplies):
        return True
    ports = [_word(state) for state in sys.glob("class/udc/*/state")]
    if any(state not in ("", "not attached") for state in ports):
        return True
    currents_ma = [_optional(sensor / "curr1_input") or 0 for sensor in _sensors(sys, "ina219")]
    return any(current_ma > CHARGING_MA for current_ma in currents_ma)


def _supplies(sys: Path, kind: str) -> Iterator[Path]:
    for supply in sorted(sys.glob("class/power_supply/*")):
        if _word(supply / "type") == kind and _word(supply / "scope") != "Device":
            yield supply


def _sensors(sys: Path, name: str) -> Iterator[Path]:
    for sensor in sorted(sys.glob("class/hwmon/*")):
        if _word(sensor / "name") == name:
            yield sensor


def _word(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = path.read_text(errors="replace").strip()
    try:
        return int(text)
    except ValueError:
        raise OSError(f"{path} says {text[:40]!r}, which is not a number") from None


def _optional(path: Path) -> int | None:
    try:
        return _number(path)
    except OSError:
        return None
