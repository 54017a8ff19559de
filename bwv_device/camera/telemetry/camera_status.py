"""A summary of the camera for telemetry."""

from __future__ import annotations

from typing import Any, NamedTuple

from bwv_device.camera.health.battery_bands import Band
from bwv_device.camera.health.free_space import Room
from bwv_device.formats.mqtt_messages import Battery, Light, Software, Storage
from hal.ports import PowerReading


class CameraStatus(NamedTuple):
    """The state of the camera in short."""

    state: str
    recording: str | None
    stored: bool
    able: bool
    unmet: list[str]
    officer: str
    light: Light
    power: PowerReading | None
    band: Band
    left_s: int | None
    room: Room
    delivery: str
    software: Software | None

    def battery(self) -> Battery | None:
        """None if the gauge can't be read."""
        power = self.power
        if power is None:
            return None
        return Battery(power.percent, power.minutes_left, power.charging, _name(self.band))

    def storage(self, percent_left: int | None) -> Storage | None:
        """None if it is not known."""
        if self.left_s is None:
            return None
        return Storage(percent_left, self.left_s // 60, _name(self.room))


def _name(band: Band | Room) -> Any:
    return band.name.lower()
