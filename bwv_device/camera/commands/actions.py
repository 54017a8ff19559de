"""What a command may do to the camera (`dispatch.Hands`), and nothing more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bwv_device.camera.commands.assignment import Assignments
from bwv_device.camera.commands.dispatch import Submit
from bwv_device.camera.control.markers import Markers
from bwv_device.camera.control.on_button import StateMachine
from bwv_device.camera.indicators.lights_and_sounds import LightsAndSounds
from bwv_device.camera.loop import Loop, Outcome
from bwv_device.camera.recording.recorder import Recorder
from bwv_device.camera.state_table import Event
from bwv_device.camera.update.updates import Updates
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.formats.grammar.statements import Command
from bwv_device.formats.statement import Statement
from bwv_device.formats.vault_layout import FOOTAGE
from bwv_device.settings import Policy
from hal.ports import Board


class CommandedControl(StateMachine, Protocol):
    """What a command may ask of the camera's control."""

    def caption(self) -> None:
        """The officer changed; the burnt-in caption follows."""
        ...


class CommandActions:
    """`start` does what a press does, and returns the conditions that are not met."""

    def __init__(
        self,
        board: Board,
        loop: Loop,
        policy: Policy,
        vault_lane: VaultLane,
        recorder: Recorder,
        cues: LightsAndSounds,
        markers: Markers,
        assignments: Assignments,
        updates: Updates,
        control: CommandedControl,
    ) -> None:
        self._board, self._loop, self._policy = board, loop, policy
        self._vault_lane, self._recorder, self._cues = vault_lane, recorder, cues
        self._markers, self._assignments, self._control = markers, assignments, control
        self._updates = updates

    def locate(self, duration_s: int) -> list[str]:
        """Refused in covert mode, where the camera must not be noticed."""
        return [] if self._cues.locate(duration_s) else ["the camera is in covert mode"]

    def mark(self) -> list[str]:
        recording = self._recorder.recording
        if recording is None:
            return ["it is not recording"]
        now_ns = self._loop.now_ns()
        self._vault_lane.note("marker", marker="remote", recording=recording.id, at_ns=now_ns)
        return []

    def start(self) -> list[str]:
        if not self._policy.remote_start:
            return ["policy forbids starting from afar"]
        return self._control.handle(Event.START, "command")

    def hold(self, recording: str, submit: Submit, done: Callable[[list[str]], None]) -> None:
        """Flags footage that is on the camera."""
        name = recording or self._markers.last_recording
        if not name:
            done(["there is no recording"])
            return
        disk = self._board.disk

        def looked(outcome: Outcome) -> None:
            if outcome.error is not None:
                done([f"the storage can't be read: {outcome.error}"])
            elif not any(file.startswith(f"{name}-") for file in outcome.value):
                done(["there is no such recording on the camera"])
            else:
                self._vault_lane.note("flag", recording=name, by="command")
                done([])

        submit(lambda: disk.names(FOOTAGE), looked)

    def update(self, release: str, sha256: str) -> list[str]:
        """What is offered is judged in the dock, by the agency's ledger."""
        return self._updates.asked(release, sha256)

    def assign(self, said: Statement[Command], officer: str) -> list[str]:
        if self._recorder.recording is not None:
            return ["a recording is in progress"]
        self._assignments.issue(said, officer)
        self._control.caption()
        return []
