"""The camera: composes recorder, cues, gestures and vault_lane, and walks the state table.

Everything here runs on the loop. Backends reach it only through `_Sink` and listeners, which post.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from cryptography import x509

from bwv_device import __version__
from bwv_device.camera.commands.actions import CommandActions
from bwv_device.camera.commands.assignment import Assignments
from bwv_device.camera.control.button_gestures import Gesture, Gestures
from bwv_device.camera.control.markers import Markers
from bwv_device.camera.control.mute_and_covert import MuteAndCovert
from bwv_device.camera.docking.docking import Delivery
from bwv_device.camera.health.battery_bands import Band
from bwv_device.camera.health.free_space import Room
from bwv_device.camera.health.health_check import HealthCheck
from bwv_device.camera.health.wall_clock import WallClock
from bwv_device.camera.indicators import patterns
from bwv_device.camera.indicators.lights_and_sounds import LightsAndSounds
from bwv_device.camera.loop import Loop, Outcome
from bwv_device.camera.recording.recorder import Recorder
from bwv_device.camera.recording.recording import RecordingRequest
from bwv_device.camera.state_table import Action, Event, Ignored, Refusal, State, decide
from bwv_device.camera.telemetry.camera_status import CameraStatus
from bwv_device.camera.telemetry.telemetry import Telemetry
from bwv_device.camera.vault.recovery import Recovered
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.formats import age
from bwv_device.formats.mqtt_messages import Light
from bwv_device.formats.statement import Statement
from bwv_device.settings import Settings, seconds
from hal.ports import (
    SECOND_NS,
    AccessUnit,
    Board,
    CaptureLoss,
    Edge,
    Impairment,
    Timer,
    Track,
    UtcReading,
)

# Pictures must come at least this often, or the camera counts as stalled.
STALL_NS = SECOND_NS
# How long an orderly stop waits for the desk to hear of it.
LAST_WORDS_NS = SECOND_NS


class _Sink:
    """The agent's ear for capture backends: only posts, from any thread."""

    def __init__(
        self,
        loop: Loop,
        take: Callable[[Sequence[AccessUnit]], None],
        lost: Callable[[CaptureLoss], None],
        impaired: Callable[[Impairment], None],
    ) -> None:
        self._loop, self._take, self._lost, self._impaired = loop, take, lost, impaired

    def units(self, batch: Sequence[AccessUnit]) -> None:
        self._loop.post(lambda: self._take(batch))

    def lost(self, loss: CaptureLoss) -> None:
        self._loop.post(lambda: self._lost(loss))

    def impaired(self, impairment: Impairment) -> None:
        self._loop.post(lambda: self._impaired(impairment))


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
    ) -> None:
        """Without `roots`, the agency's, no receipt can be judged, and nothing is delivered."""
        self._clock = WallClock(board.clock)
        board = replace(board, clock=self._clock)
        self._board, self._loop, self._settings = board, loop, settings
        about = {"software": __version__, "config_sha256": config_sha256}
        self.vault_lane = VaultLane(board, loop, about)
        self.recorder = Recorder(board, loop, self.vault_lane, settings, recipients)
        self.cues = LightsAndSounds(board, loop, settings, self.vault_lane.note)
        self._markers = Markers(
            board, loop, settings, self.vault_lane, self.recorder, self.cues, recipients,
            self._refuse_gesture,
        )  # fmt: skip
        self._mute_and_covert = MuteAndCovert(
            loop, settings.policy, self.vault_lane, self.recorder, self.cues, self._refuse_gesture
        )
        self._body = HealthCheck(
            board, settings, self.vault_lane.note, self.cues.alarm, self._spent
        )
        self.delivery = Delivery(board, loop, self.vault_lane, settings.dock, roots)
        self.assignments = Assignments(board.identity.device, self.vault_lane.note, roots)
        self._actions = CommandActions(
            board,
            loop,
            settings.policy,
            self.vault_lane,
            self.recorder,
            self.cues,
            self.assignments,
        )
        self.telemetry = self._open_telemetry(board, config_sha256, roots)
        self._gestures = Gestures(loop, settings.buttons, self._gesture)
        self._sink = _Sink(loop, self._take, self.recorder.lost, self._impaired)
        self.state = State.STARTING
        self.on_transition: Callable[[State, Event, State], None] = lambda a, e, b: None
        self.on_stopped: Callable[[], None] = lambda: None
        self._capturing = False
        self._began_ns = 0
        self._stalled = False
        self._fault = False
        self._said_last = False
        self._double_started = False
        self._timers: dict[str, Timer] = {}

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Recovers the vault; the camera buffers meanwhile."""
        board = self._board
        self.vault_lane.on_open = self._vault_opened
        self.vault_lane.on_fault = lambda error: self._storage_fault("ledger", error)
        self.recorder.on_durable = self._durable
        self.recorder.on_fault = self._storage_fault
        self.recorder.on_ended = self._recording_ended
        self.recorder.on_keyframe = self._markers.keyframe
        self._mute_and_covert.on_change = self._show
        if self.telemetry:
            self.vault_lane.observe(self.telemetry)
            self._actions.submit = self.telemetry.submit
        self._actions.start_recording = lambda: self.handle(Event.START, "command")
        self._actions.last_recording = lambda: self._markers.last_recording
        self._actions.on_officer = lambda: board.camera.caption(self._officer)
        self.delivery.on_time = self._time_told
        self.delivery.on_assignment = self._assigned
        self.delivery.on_change = self._show
        self.delivery.may_send = lambda: self._body.band not in (Band.CRITICAL, Band.EMPTY)
        board.record_button.listen(self._edges(self._gestures.record.edge))
        board.marker_button.listen(self._edges(self._gestures.marker.edge))
        board.trigger.listen(self._edges(self._trigger))
        board.dock.listen(lambda docked: self._loop.post(lambda: self._dock(docked)))
        self._show()
        if not board.dock.docked():
            self._capture(True)
        self.vault_lane.open("power cut")

    def stop(self) -> None:
        """Ends in order; `on_stopped` follows when the last ledger line is durable."""
        self.handle(Event.SHUTDOWN)

    def pictures_overdue_ns(self) -> int:
        """For how long pictures are due and have not come."""
        newest_ns = max(self.recorder.newest_video_ns, self._began_ns)
        return max(0, self._loop.now_ns() - newest_ns) if self._capturing else 0

    def handle(self, event: Event, reason: str = "") -> list[str]:
        """Walks the table. What is not met stands in the ledger, and is returned."""
        outcome = decide(self.state, event)
        if isinstance(outcome, Ignored):
            return [f"it is {self.state.value}"]
        if isinstance(outcome, Refusal):
            return self._refuse(event, [outcome.condition])
        if outcome.action is Action.RECORD and (unmet := self._unmet()):
            return self._refuse(event, unmet)
        before, self.state = self.state, outcome.to
        fields = {"from": before.value, "to": self.state.value, "event": event.value}
        self.vault_lane.note("state", **fields, **({"reason": reason} if reason else {}))
        self.on_transition(before, event, self.state)
        self._act(outcome.action, reason or event.value)
        self._show()
        return []

    # --- actions ------------------------------------------------------------------------------

    def _act(self, action: Action, reason: str) -> None:
        if action is Action.RECORD:
            self._start_recording(reason)
        elif action is Action.BUFFER:
            self.delivery.end()
            self._capture(True)
            if self._board.dock.docked():
                self.handle(Event.DOCK)
        elif action is Action.LINGER:
            wait_ns = seconds(self._settings.recording.post_event_s)
            self._after("post-event", wait_ns, self._post_event_over)
        elif action is Action.RESUME:
            self._cancel("post-event")
        elif action is Action.STOP:
            self.delivery.end()
            self._mute_and_covert.leave()
            if self.recorder.recording is None and self.vault_lane.usable:
                self._write_stop()
        else:
            self._cancel("post-event")
            self.recorder.stop(reason)
            if action is not Action.FINISH:
                self._mute_and_covert.leave()
            if action is Action.SETTLE_IN_DOCK and self.recorder.recording is None:
                self._settle_in_dock()

    def _post_event_over(self) -> None:
        self.handle(Event.POST_EVENT_OVER, "stop")

    def _start_recording(self, trigger: str) -> None:
        self._markers.began()
        self.recorder.location = self._location()
        self.recorder.start(RecordingRequest(trigger, self._officer, self._loop.now_ns()))
        self.cues.begin()
        self._speak_notice()

    def _recording_ended(self, reason: str) -> None:
        if self.recorder.recording is None and self.state is not State.RECORDING:
            self.cues.end()
        self._markers.ended(others=self.state is State.RECORDING)
        self._mute_and_covert.ended()
        if self.state is State.DOCKED:
            self._settle_in_dock()
        elif self.state is State.STOPPED:
            self._write_stop()
        self._show()

    def _settle_in_dock(self) -> None:
        self._capture(False)
        self.recorder.forget()
        self.delivery.begin()

    def _time_told(self, reading: UtcReading) -> None:
        """The store knows the time; the `time` line says how far the camera was off."""
        self._clock.correct(reading)
        self._body.look(self._loop.now_ns())

    def _assigned(self, said: Statement) -> None:
        self.assignments.take(said)
        self.delivery.assignment = self.assignments.version
        self._board.camera.caption(self._officer)

    def _write_stop(self) -> None:
        self._capture(False)
        self.recorder.close()
        for timer in self._timers.values():
            timer.cancel()
        self.cues.dark()
        if self.telemetry is None or self._said_last:
            self._finish()
            return
        self._said_last = True
        self._after("last words", LAST_WORDS_NS, self._finish)
        # Through the loop: the end of the ledger is no part of telemetry, nor are its errors.
        self.telemetry.say_last(lambda: self._loop.post(self._finish))

    def _finish(self) -> None:
        self._cancel("last words")
        if self.telemetry:
            self.telemetry.stop()
        self.vault_lane.finish(self.on_stopped)

    # --- what people do -----------------------------------------------------------------------

    def _edges(self, take: Callable[[Edge], None]) -> Callable[[Edge], None]:
        return lambda edge: self._loop.post(lambda: take(edge))

    def _gesture(self, gesture: Gesture) -> None:
        if self.state is State.STOPPED:
            return
        if gesture is Gesture.RECORD_DOUBLE:
            self._double_started = not self.handle(Event.START)
        elif gesture is Gesture.RECORD_DOUBLE_HELD:
            self._held_on()
        elif gesture is Gesture.RECORD_HOLD:
            self.handle(Event.STOP)
        elif gesture in (Gesture.RECORD_SINGLE, Gesture.MARKER_SINGLE):
            self._markers.mark()
        elif gesture is Gesture.MARKER_DOUBLE:
            self._markers.snapshot()
        elif gesture is Gesture.MARKER_HOLD:
            self._markers.flag()
        elif gesture is Gesture.MARKER_TRIPLE:
            self._mute_and_covert.switch_mute()
        elif gesture is Gesture.BOTH_HOLD:
            self._mute_and_covert.switch_covert()
        else:
            self.vault_lane.note("fault", part="button", reason=gesture.value)

    def _held_on(self) -> None:
        """A short press and a long hold right behind it: an officer in a hurry stops like that. A
        press that has just started a recording never stops it."""
        if not self._double_started:
            self.handle(Event.STOP)

    def _trigger(self, edge: Edge) -> None:
        """A holster that is opened, say: it starts, and never stops."""
        if edge.pressed and self.state is not State.STOPPED and self.recorder.recording is None:
            self.handle(Event.START, "trigger")

    def _dock(self, docked: bool) -> None:
        self.handle(Event.DOCK if docked else Event.UNDOCK)

    def _speak_notice(self) -> None:
        notice = self._settings.public.spoken_notice
        if not notice or self._mute_and_covert.covert:
            return
        speaker = self._board.speaker

        def spoken(outcome: Outcome) -> None:
            if outcome.error is None:
                self.vault_lane.note("public-informed", notice=notice)
            else:
                self.vault_lane.note("fault", part="speaker", reason=str(outcome.error))

        self._loop.lane("speaker").submit(lambda: speaker.say(notice), spoken)

    # --- what machines do ---------------------------------------------------------------------

    def _capture(self, on: bool) -> None:
        if on == self._capturing:
            return
        self._capturing, self._stalled = on, False
        if on:
            self._began_ns = self._loop.now_ns()
            self._board.camera.start(self._sink)
            self._board.microphone.start(self._sink)
            self._after("stall", 2 * STALL_NS, self._watch_pictures)
        else:
            self._cancel("stall")
            self._board.camera.stop()
            self._board.microphone.stop()

    def _take(self, batch: Sequence[AccessUnit]) -> None:
        """A camera that goes on after it was stopped, in the dock say, is not looked at."""
        if self._capturing:
            self.recorder.take(batch)

    def _impaired(self, impairment: Impairment) -> None:
        """Pictures or sound that show nothing: written down and felt; what there is goes on being
        recorded."""
        part = "camera" if impairment.track is Track.VIDEO else "microphone"
        reason = impairment.what if impairment.present else f"{impairment.what} no longer"
        self.vault_lane.note("fault", part=part, reason=reason)
        if impairment.present:
            self.cues.felt(patterns.IMPAIRED)

    def _watch_pictures(self) -> None:
        """Notices a camera that stopped delivering without saying so."""
        age_ns = self._loop.now_ns() - self.recorder.newest_video_ns
        stalled = age_ns > STALL_NS
        if stalled != self._stalled:
            self._stalled = stalled
            word = "no pictures" if stalled else "pictures again"
            self.vault_lane.note("fault", part="camera", reason=word)
            if stalled:
                self.recorder.interrupted()
            self._show()
        self._after("stall", STALL_NS, self._watch_pictures)

    def _durable(self, video_until_ns: int) -> None:
        self.cues.durable(video_until_ns)
        if self._fault:
            self._fault = False
            self._show()

    def _storage_fault(self, part: str, error: Exception) -> None:
        self._fault = True
        self._show()

    def _vault_opened(self, recovered: Recovered) -> None:
        self._fault = False
        self.assignments.remember(recovered.found.assignment, recovered.found.officer)
        if self.telemetry:
            self.telemetry.opened(recovered.anchor, recovered.found.commands)
        self.delivery.assignment = self.assignments.version
        self._board.camera.caption(self._officer)
        if self.state is State.STOPPED:
            self._write_stop()
        elif self.state is State.DOCKED:
            self.delivery.begin()  # a new boot of the ledger: a new docking
        elif self.state is State.STARTING:
            self.handle(Event.STARTED)
            self._tick()
            reading = self._board.clock.utc()
            if reading.source == "none":
                self.cues.alarm(patterns.CLOCK)
        self._show()

    def _tick(self) -> None:
        self._body.look(self._loop.now_ns())
        self.recorder.settle()
        self._show()
        if self.state is not State.STOPPED:
            self._after("tick", seconds(self._settings.storage.check_s), self._tick)

    def _spent(self, reason: str) -> None:
        """Battery or storage are used up: what can be ended in order is."""
        if reason == "battery empty" and self.state is not State.DOCKED:
            self.handle(Event.SHUTDOWN, reason)
        elif reason == "storage full" and self.state in (State.RECORDING, State.POST_EVENT):
            self.handle(Event.ABORT, reason)

    # --- saying no, and showing ---------------------------------------------------------------

    def _unmet(self) -> list[str]:
        """The conditions of a recording that are not met, by name."""
        conditions = {
            "the ledger can be written": self.vault_lane.usable,
            "storage has room": self._body.room is not Room.FULL,
            "the battery lasts": self._body.band is not Band.EMPTY,
            "the camera delivers pictures": not self._stalled,
        }
        return [name for name, met in conditions.items() if not met]

    def _refuse(self, event: Event, conditions: list[str]) -> list[str]:
        self.vault_lane.note("refused", event=event.value, conditions=conditions)
        self.cues.refused()
        return conditions

    def _refuse_gesture(self, what: str, condition: str) -> None:
        self.vault_lane.note("refused", event=what, conditions=[condition])
        self.cues.refused()

    def _show(self) -> None:
        self._markers.noticed()
        able = not self._unmet()
        self.cues.status(self.state, able=able, fault=self._fault, delivery=self.delivery.outcome)
        if self.telemetry:
            self.telemetry.changed(self.vault_lane.anchor)

    def _status(self) -> CameraStatus:
        """What telemetry tells."""
        recording, cues, body = self.recorder.recording, self.cues, self._body
        unmet = self._unmet()
        return CameraStatus(
            state=self.state.value,
            recording=recording.id if recording else None,
            stored=cues.honest,
            able=not unmet,
            unmet=unmet,
            officer=self._officer,
            light=Light(cues.front_light, cues.status_light, list(cues.failed)),
            power=body.power,
            band=body.band,
            left_s=body.left_s,
            room=body.room,
            delivery=self.delivery.outcome,
        )

    def _open_telemetry(
        self, board: Board, config_sha256: str, roots: Sequence[x509.Certificate]
    ) -> Telemetry | None:
        if not self._settings.mqtt.broker:
            return None
        return Telemetry(
            board, self._loop, self._settings, config_sha256, self.vault_lane, self._status,
            self._actions, roots,
        )  # fmt: skip

    @property
    def _officer(self) -> str:
        return self.assignments.officer or self._settings.device.officer

    def _location(self) -> dict[str, int] | None:
        fix = self._board.location.fix() if self._settings.location.enabled else None
        return fix._asdict() if fix else None

    def _after(self, name: str, wait_ns: int, callback: Callable[[], None]) -> None:
        self._cancel(name)
        self._timers[name] = self._loop.call_at(self._loop.now_ns() + wait_ns, callback)

    def _cancel(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()
