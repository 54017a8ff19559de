"""The conditions of a recording. Those that are not met are named in the ledger."""

from __future__ import annotations

from bwv_device.camera.health.battery_bands import Band
from bwv_device.camera.health.free_space import Room
from bwv_device.camera.health.health_check import HealthCheck
from bwv_device.camera.recording.capture import Capture
from bwv_device.camera.recording.recorder import Recorder
from bwv_device.camera.vault.vault_lane import VaultLane

# What is wrong where a condition is not met, for people.
FAILURES = {
    "the ledger can be written": "the ledger can't be written",
    "storage has room": "storage is full",
    "storage takes files": "storage refuses files",
    "the battery lasts": "the battery is empty",
    "the camera delivers pictures": "the camera delivers no pictures",
}


def unmet(
    vault_lane: VaultLane, health: HealthCheck, recorder: Recorder, capture: Capture
) -> list[str]:
    """The conditions of a recording that are not met, by name."""
    conditions = {
        "the ledger can be written": vault_lane.usable,
        "storage has room": health.room is not Room.FULL,
        "storage takes files": not recorder.failing,
        "the battery lasts": health.band is not Band.EMPTY,
        "the camera delivers pictures": not capture.stalled,
    }
    return [name for name, met in conditions.items() if not met]
