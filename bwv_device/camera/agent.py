"""The camera: builds its parts around one control, and connects them to the board.

Composition and wiring only. What happens at which event stands in `state_table`, how it is done in
`control/camera_control`. Everything runs on the loop; backends reach it by posting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cryptography import x509

from bwv_device import __version__
from bwv_device.camera.agent_observer import AgentObserver, Unobserved
from bwv_device.camera.commands.actions import CommandActions
from bwv_device.camera.commands.assignment import Assignments
from bwv_device.camera.control.camera_control import CameraControl, Parts
from bwv_device.camera.control.markers import Markers
from bwv_device.camera.control.mute_and_covert import MuteAndCovert
from bwv_device.camera.control.on_button import OnButton
from bwv_device.camera.docking.docking import Delivery
from bwv_device.camera.health.health_check import HealthCheck
from bwv_device.camera.health.wall_clock import WallClock
from bwv_device.camera.indicators.lights_and_sounds import LightsAndSounds
from bwv_device.camera.loop import Loop
from bwv_device.camera.recording.capture import Capture
from bwv_device.camera.recording.recorder import Recorder
from bwv_device.camera.state_table import Event, State
from bwv_device.camera.telemetry.telemetry import Telemetry
from bwv_device.camera.update.updates import Updates
from bwv_device.camera.vault.recovery import Found
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.formats import age
from bwv_device.settings import Settings
from hal.ports import Board


class Agent:
    """One camera from `start` to `stop`."""

    def __init__(
        self,
        board: Board,
        loop: Loop,
        settings: Settings,
        recipients: Sequence[age.Recipient],
        config_sha256: str = "",
        roots: Sequence[x509.Certificate] = (),
        observer: AgentObserver | None = None,
        found: Found | None = None,
    ) -> None:
        """Without `roots`, the agency's, no receipt can be judged, and nothing is delivered.
        `found`: of the vault, where it was looked through already."""
        clock = WallClock(board.clock)
        board = replace(board, clock=clock)
        observer = observer or Unobserved()
        control = CameraControl(board, clock, loop, settings, observer)
        release = board.slots.running().release or __version__
        about = {"software": release, "config_sha256": config_sha256}
        vault_lane = VaultLane(board, loop, about, control, found)
        recorder = Recorder(board, loop, vault_lane, settings, recipients, control)
        capture = Capture(board, loop, recorder, control)
        cues = LightsAndSounds(board, loop, settings, vault_lane.note)
        markers = Markers(
            board, loop, settings, vault_lane, recorder, cues, recipients, control.refuse_gesture
        )
        mute_and_covert = MuteAndCovert(
            loop, settings.policy, vault_lane, recorder, cues, control.refuse_gesture, control.show,
            settings.sounds.covert_reminder_min,
        )  # fmt: skip
        health = HealthCheck(board, settings, vault_lane.note, cues.alarm, control.spent)
        delivery = Delivery(board, loop, vault_lane, settings.dock, roots, control)
        assignments = Assignments(
            board.identity.device, vault_lane.note, roots, observer.settings_assigned
        )
        updates = Updates(
            board, loop, vault_lane, capture, roots, settings.sealing.recipient_type, control
        )
        actions = CommandActions(
            board, loop, settings.policy, vault_lane, recorder, cues, markers, assignments, updates,
            control,
        )  # fmt: skip
        telemetry = None
        if settings.mqtt.broker:
            telemetry = Telemetry(
                board, loop, settings, config_sha256, vault_lane, control.status, actions, roots
            )
        control.parts = Parts(
            vault_lane, recorder, capture, cues, markers, mute_and_covert, health, delivery,
            assignments, updates, telemetry,
        )  # fmt: skip
        self.buttons = OnButton(
            loop, settings.buttons, control, vault_lane, recorder, markers, mute_and_covert
        )
        self.board, self.control, self.parts, self._loop = board, control, control.parts, loop

    @property
    def state(self) -> State:
        return self.control.state

    def start(self) -> None:
        """Recovers the vault; the camera buffers meanwhile."""
        dock = self.board.dock
        self.buttons.listen(self.board)
        dock.listen(lambda docked: self._loop.post(lambda: self.control.docked(docked)))
        self.control.show()
        if not dock.docked():
            self.parts.capture.switch(True)
        self.parts.vault_lane.open("power cut")

    def stop(self) -> None:
        """Ends in order; the observer hears `stopped` when the last ledger line is durable."""
        self.control.handle(Event.SHUTDOWN)
