"""What is mutated: what decides whether something is recorded, shown, kept, held, deleted."""

from __future__ import annotations

MODULES = (
    "bwv_device/camera/state_table.py",
    "bwv_device/camera/control/button_gestures.py",
    "bwv_device/camera/control/camera_control.py",
    "bwv_device/camera/control/markers.py",
    "bwv_device/camera/control/mute_and_covert.py",
    "bwv_device/camera/control/on_button.py",
    "bwv_device/camera/control/start_conditions.py",
    "bwv_device/camera/indicators/lights_and_sounds.py",
    "bwv_device/camera/indicators/patterns.py",
    "bwv_device/camera/commands/assignment.py",
    "bwv_device/camera/docking/protocol.py",
    "bwv_device/camera/health/wall_clock.py",
    "bwv_device/custody/retention_dates.py",
    "bwv_device/custody/retention/deletion.py",
    "bwv_device/custody/retention/deletion_certificate.py",
    "bwv_device/custody/retention/holds.py",
    "bwv_device/custody/session.py",
    "bwv_device/custody/permissions.py",
    "bwv_device/custody/intake/file_intake.py",
    "bwv_device/custody/camera_register.py",
)
# The mutants that are drawn of them.
DRAWN, SEED = 600, 1
