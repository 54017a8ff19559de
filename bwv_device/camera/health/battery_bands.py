"""Battery percent → bands, with hysteresis so that one percent up and down is not an alarm."""

from __future__ import annotations

import enum

from bwv_device.settings import Alarms
from hal.ports import PowerReading

HYSTERESIS_PERCENT = 2


class Band(enum.IntEnum):
    NORMAL = 0
    LOW = 1
    CRITICAL = 2
    EMPTY = 3


class BatteryBands:
    """Takes readings; `band` is the current band. Charging leaves EMPTY at once."""

    def __init__(self, alarms: Alarms) -> None:
        self._limits = (
            alarms.battery_low_percent,
            alarms.battery_critical_percent,
            alarms.battery_stop_percent,
        )
        self.band = Band.NORMAL

    def feed(self, reading: PowerReading) -> bool:
        """True where the band got worse."""
        before = self.band
        falling = Band(sum(reading.percent <= limit for limit in self._limits))
        rising = Band(sum(reading.percent <= limit + HYSTERESIS_PERCENT for limit in self._limits))
        if falling > before:
            self.band = falling
        elif reading.charging:
            self.band = min(rising, Band.CRITICAL)
        elif rising < before:
            self.band = rising
        return self.band > before
