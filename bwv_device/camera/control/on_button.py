"""What each gesture of the officer does.

Rules:

- Two presses of the record button start. A long hold stops. One press never stops.
- A short press with a long hold right behind it stops: an officer in a hurry stops like that. A
  press that has just started a recording never stops it.
- The trigger (a holster that is opened, say) starts, and never stops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bwv_device.camera.control.button_gestures import Gesture, Gestures
from bwv_device.camera.control.markers import Markers
from bwv_device.camera.control.mute_and_covert import MuteAndCovert
from bwv_device.camera.loop import Loop
from bwv_device.camera.recording.recorder import Recorder
from bwv_device.camera.state_table import Event, State
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.settings import Buttons
from hal.ports import Board, Edge


class StateMachine(Protocol):
    """The part of `camera_control` that buttons and commands use."""

    state: State

    def handle(self, event: Event, reason: str = "") -> list[str]:
        """Returns the conditions that are not met; an empty list is success."""
        ...


class OnButton:
    """Listens to both buttons and the trigger."""

    def __init__(
        self,
        loop: Loop,
        settings: Buttons,
        machine: StateMachine,
        vault_lane: VaultLane,
        recorder: Recorder,
        markers: Markers,
        mute_and_covert: MuteAndCovert,
    ) -> None:
        self._loop, self._machine, self._vault_lane = loop, machine, vault_lane
        self._recorder, self._markers, self._mute_and_covert = recorder, markers, mute_and_covert
        self._gestures = Gestures(loop, settings, self._gesture)
        self._double_started = False

    def listen(self, board: Board) -> None:
        board.record_button.listen(self._on_the_loop(self._gestures.record.edge))
        board.marker_button.listen(self._on_the_loop(self._gestures.marker.edge))
        board.trigger.listen(self._on_the_loop(self._trigger))

    def _on_the_loop(self, take: Callable[[Edge], None]) -> Callable[[Edge], None]:
        return lambda edge: self._loop.post(lambda: take(edge))

    def _gesture(self, gesture: Gesture) -> None:
        if self._machine.state is State.STOPPED:
            return
        if gesture is Gesture.RECORD_DOUBLE:
            self._double_started = not self._machine.handle(Event.START)
        elif gesture is Gesture.RECORD_DOUBLE_HELD:
            if not self._double_started:
                self._machine.handle(Event.STOP)
        elif gesture is Gesture.RECORD_HOLD:
            self._machine.handle(Event.STOP)
        elif gesture in (Gesture.RECORD_SINGLE, Gesture.MARKER_SINGLE):
            self._markers.mark()
        elif gesture is Gesture.MARKER_DOUBLE:
            self._markers.snapshot()
        elif gesture is Gesture.MARKER_HOLD:
            self._markers.flag()
        elif gesture is Gesture.MARKER_TRIPLE:
            self._mute_and_covert.switch_mute()
        elif gesture is Gesture.MARKER_TRIPLE_LET_GO:
            self._mute_and_covert.let_go()
        elif gesture is Gesture.BOTH_HOLD:
            self._mute_and_covert.switch_covert()
        else:
            self._vault_lane.note("fault", part="button", reason=gesture.value)

    def _trigger(self, edge: Edge) -> None:
        stopped = self._machine.state is State.STOPPED
        if edge.pressed and not stopped and self._recorder.recording is None:
            self._machine.handle(Event.START, "trigger")
