"""What must be so for a recording to begin. What is not met is said, in the ledger and by a cue."""

from __future__ import annotations

from bwv_device.camera.health.battery_bands import Band
from bwv_device.camera.health.free_space import Room
from bwv_device.camera.health.health_check import HealthCheck
from bwv_device.camera.recording.capture import Capture
from bwv_device.camera.vault.vault_lane import VaultLane


def unmet(vault_lane: VaultLane, health: HealthCheck, capture: Capture) -> list[str]:
    """The conditions of a recording that are not met, by name."""
    conditions = {
        "the ledger can be written": vault_lane.usable,
        "storage has room": health.room is not Room.FULL,
        "the battery lasts": health.band is not Band.EMPTY,
        "the camera delivers pictures": not capture.stalled,
    }
    return [name for name, met in conditions.items() if not met]
