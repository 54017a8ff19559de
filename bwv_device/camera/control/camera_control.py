"""Walks the state table: what the camera does at each event, and what follows from what its parts
report.

Rules:

- What happens in which state stands in `state_table`; here stands how it is done.
- Each refusal sounds and is written to the ledger.
- A recording has ended when its last line is durable; dock and stop wait for that.
- The `stop` line is the last thing the ledger says of a boot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bwv_device.camera.agent_observer import AgentObserver
from bwv_device.camera.commands.assignment import Assignments
from bwv_device.camera.control import start_conditions
from bwv_device.camera.control.markers import Markers
from bwv_device.camera.control.mute_and_covert import MuteAndCovert
from bwv_device.camera.docking.docking import Delivery, DockObserver
from bwv_device.camera.docking.undocked import UndockedDelivery
from bwv_device.camera.health.battery_bands import Band
from bwv_device.camera.health.health_check import HealthCheck
from bwv_device.camera.health.wall_clock import WallClock
from bwv_device.camera.indicators import patterns
from bwv_device.camera.indicators.lights_and_sounds import LightsAndSounds
from bwv_device.camera.loop import Loop, Outcome
from bwv_device.camera.recording.capture import Capture, CaptureObserver
from bwv_device.camera.recording.recorder import Recorder, RecorderObserver
from bwv_device.camera.recording.recording import RecordingRequest
from bwv_device.camera.state_table import Action, Event, Ignored, Refusal, State, decide
from bwv_device.camera.telemetry.camera_status import CameraStatus
from bwv_device.camera.telemetry.telemetry import Telemetry
from bwv_device.camera.update.updates import UpdateObserver, Updates
from bwv_device.camera.vault.recovery import Recovered
from bwv_device.camera.vault.vault_lane import VaultLane, VaultObserver
from bwv_device.formats.grammar.statements import Assignment
from bwv_device.formats.mqtt_messages import Light
from bwv_device.formats.statement import Statement
from bwv_device.settings import Settings, seconds
from hal.ports import (
    SECOND_NS,
    AccessUnit,
    Anchor,
    Board,
    Impairment,
    Opened,
    Stuck,
    Timer,
    Track,
    UtcReading,
)

# How long an orderly stop waits for the broker to hear of it.
LAST_WORDS_NS = SECOND_NS
PARTS = {Track.VIDEO: "camera", Track.AUDIO: "microphone"}


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the camera. `telemetry` is None if no broker is set."""

    vault_lane: VaultLane
    recorder: Recorder
    capture: Capture
    lights_and_sounds: LightsAndSounds
    markers: Markers
    mute_and_covert: MuteAndCovert
    health: HealthCheck
    delivery: Delivery
    assignments: Assignments
    updates: Updates
    telemetry: Telemetry | None


class CameraControl(RecorderObserver, VaultObserver, CaptureObserver, DockObserver, UpdateObserver):
    """`parts` are set once, by the agent that has built them around this control."""

    parts: Parts

    def __init__(
        self,
        board: Board,
        clock: WallClock,
        loop: Loop,
        settings: Settings,
        observer: AgentObserver,
    ) -> None:
        self._board, self._clock, self._loop = board, clock, loop
        self._settings, self._observer = settings, observer
        self.state = State.STARTING
        self._fault = False
        self._said_last = False
        self._undocked = UndockedDelivery(loop, settings)
        self._ended_empty = False  # last time, and nobody was told yet
        self._opened: dict[str, Opened] = {}
        self._timers: dict[str, Timer] = {}

    # --- the state table ----------------------------------------------------------------------

    def handle(self, event: Event, reason: str = "") -> list[str]:
        """Walks the table. Returns the conditions that are not met; the ledger names them too."""
        outcome = decide(self.state, event)
        if isinstance(outcome, Ignored):
            return [f"it is {self.state.value}"]
        if isinstance(outcome, Refusal):
            return self._refuse(event.value, [outcome.condition])
        if outcome.action is Action.RECORD and (unmet := self._unmet()):
            return self._refuse(event.value, unmet)
        before, self.state = self.state, outcome.to
        fields = {"from": before.value, "to": self.state.value, "event": event.value}
        self.parts.vault_lane.note("state", **fields, **({"reason": reason} if reason else {}))
        self._observer.transition(before, event, self.state)
        self._act(outcome.action, reason or event.value)
        self.show()
        return []

    def _act(self, action: Action, reason: str) -> None:
        parts = self.parts
        if action is Action.RECORD:
            parts.delivery.end()
            self._start_recording(reason)
        elif action is Action.BUFFER:
            parts.delivery.end()
            parts.capture.switch(True)
            if self._board.dock.docked():
                self.handle(Event.DOCK)
        elif action is Action.LINGER:
            wait_ns = seconds(self._settings.recording.post_event_s)
            self._after("post-event", wait_ns, self._post_event_over)
        elif action is Action.RESUME:
            self._cancel("post-event")
        elif action is Action.STOP:
            parts.delivery.end()
            parts.mute_and_covert.leave()
            if parts.recorder.recording is None and parts.vault_lane.usable:
                self._write_stop()
        else:
            self._cancel("post-event")
            parts.recorder.stop(reason)
            if action is not Action.FINISH:
                parts.mute_and_covert.leave()
            if action is Action.SETTLE_IN_DOCK and parts.recorder.recording is None:
                self._settle_in_dock()

    def _post_event_over(self) -> None:
        self.handle(Event.POST_EVENT_OVER, "stop")

    def _unmet(self) -> list[str]:
        parts = self.parts
        return start_conditions.unmet(parts.vault_lane, parts.health, parts.recorder, parts.capture)

    def _refuse(self, what: str, conditions: list[str]) -> list[str]:
        self.parts.vault_lane.note("refused", event=what, conditions=conditions)
        self.parts.lights_and_sounds.refused()
        return conditions

    def refuse_gesture(self, what: str, condition: str) -> None:
        """An officer asked for something that can't be done now."""
        self._refuse(what, [condition])

    # --- recording ----------------------------------------------------------------------------

    def _start_recording(self, trigger: str) -> None:
        parts, board = self.parts, self._board
        parts.markers.began()
        fix = board.location.fix() if self._settings.location.enabled else None
        place = fix._asdict() if fix else None
        now_ns = self._loop.now_ns()
        parts.recorder.start(RecordingRequest(trigger, self._officer, now_ns, location=place))
        parts.lights_and_sounds.begin()
        self._speak_notice()

    def _speak_notice(self) -> None:
        notice = self._settings.public.spoken_notice
        if not notice or self.parts.mute_and_covert.covert:
            return
        speaker, note = self._board.speaker, self.parts.vault_lane.note

        def spoken(outcome: Outcome) -> None:
            if outcome.error is None:
                note("public-informed", notice=notice)
            else:
                note("fault", part="speaker", reason=str(outcome.error))

        self._loop.lane("speaker").submit(lambda: speaker.say(notice), spoken)

    def recording_ended(self) -> None:
        parts = self.parts
        recording = self.state is State.RECORDING
        if parts.recorder.recording is None and not recording:
            parts.lights_and_sounds.end()
        parts.markers.ended(others=recording)
        parts.mute_and_covert.ended()
        if self.state is State.DOCKED:
            self._settle_in_dock()
        elif self.state is State.STOPPED:
            self._write_stop()
        self.show()

    def keyframe(self, unit: AccessUnit) -> None:
        self.parts.markers.keyframe(unit)

    def durable(self, video_until_ns: int) -> None:
        self.parts.lights_and_sounds.durable(video_until_ns)
        if self._fault:
            self._fault = False
            self.show()

    def storage_fault(self, part: str, error: Exception) -> None:
        self._fault = True
        self.show()

    # --- vault --------------------------------------------------------------------------------

    def vault_opened(self, recovered: Recovered) -> None:
        parts = self.parts
        self._fault = False
        parts.assignments.remember(recovered.found.assignment, recovered.found.officer)
        if parts.telemetry:
            parts.telemetry.opened(recovered.anchor, recovered.found.commands)
        parts.delivery.assignment = parts.assignments.version
        self.caption()
        if self.state is State.STOPPED:
            self._write_stop()
        elif self.state is State.DOCKED:
            parts.delivery.begin()  # a new boot of the ledger: a new docking
        elif self.state is State.STARTING:
            self._ended_empty = recovered.found.without_battery
            self.handle(Event.STARTED)
            self._tell_of_the_last_time()
            self._tick()
            if self._board.clock.utc().source == "none":
                parts.lights_and_sounds.alarm(patterns.CLOCK)
        parts.updates.opened()
        self.show()

    def vault_failed(self, error: Exception) -> None:
        self.storage_fault("ledger", error)

    def noted(self, kind: str, fields: Mapping[str, Any], at: Anchor) -> None:
        self._undocked.noted(kind, fields)
        self._observer.noted(kind, fields, at)
        if self.parts.telemetry:
            self.parts.telemetry.noted(kind, fields, at)

    # --- capture and health -------------------------------------------------------------------

    def impaired(self, impairment: Impairment) -> None:
        """Writes it down and vibrates. Recording goes on with what there is."""
        part = PARTS[impairment.track]
        reason = impairment.what if impairment.present else f"{impairment.what} no longer"
        self.parts.vault_lane.note("fault", part=part, reason=reason)
        if impairment.present:
            self.parts.lights_and_sounds.felt(patterns.IMPAIRED)

    def capture_opened(self, opened: Opened) -> None:
        """Written down where it is news: a device may be opened again and again."""
        part = PARTS[opened.track]
        if self._opened.get(part) != opened:
            self._opened[part] = opened
            facts, missing = list(opened.facts), list(opened.missing)
            self.parts.vault_lane.note("capture", part=part, opened=facts, missing=missing)

    def capture_stuck(self, stuck: Stuck) -> None:
        """A camera without pictures is worth a restart of the machine; one without sound is not."""
        part = PARTS[stuck.track]
        self.parts.vault_lane.note("fault", part=part, reason=f"answers no start: {stuck.reason}")
        if stuck.track is Track.VIDEO and self._observer.machine_stuck(stuck.reason):
            self.handle(Event.SHUTDOWN, "the camera answers no start: the machine is restarted")

    def pictures_stalled(self, stalled: bool) -> None:
        word = "no pictures" if stalled else "pictures again"
        self.parts.vault_lane.note("fault", part="camera", reason=word)
        if stalled:
            self.parts.recorder.interrupted()
        self.show()

    def spent(self, reason: str) -> None:
        """Battery or storage are used up: ends in order."""
        if reason == "battery empty" and self.state is not State.DOCKED:
            self.handle(Event.SHUTDOWN, reason)
        elif reason == "storage full" and self.state in (State.RECORDING, State.POST_EVENT):
            self.handle(Event.ABORT, reason)

    def _tick(self) -> None:
        self.parts.health.look(self._loop.now_ns())
        self.parts.recorder.settle()
        self.parts.recorder.try_again()
        self.show()
        if self.state is not State.STOPPED:
            self._after("tick", seconds(self._settings.storage.check_s), self._tick)
        self._send_what_was_flagged()

    # --- dock ---------------------------------------------------------------------------------

    def docked(self, docked: bool) -> None:
        """The camera was put into the dock, or taken out of it."""
        if not docked:
            self.parts.updates.undocked()
        self.handle(Event.DOCK if docked else Event.UNDOCK)
        self._tell_of_the_last_time()

    def _tell_of_the_last_time(self) -> None:
        """In use, not in the dock: who takes the camera should know that it went out last time."""
        if self._ended_empty and self.state is State.READY:
            self._ended_empty = False
            self.parts.lights_and_sounds.alarm(patterns.ENDED_EMPTY)

    def _send_what_was_flagged(self) -> None:
        """Without a dock, where policy allows."""
        delivery, band = self.parts.delivery, self.parts.health.band
        if self.state is not State.READY or not self.at_rest():
            return
        if delivery.outcome and band is not Band.NORMAL:
            delivery.end()
        elif self._undocked.due(band, delivery.outcome):
            delivery.begin(docked=False)

    def _settle_in_dock(self) -> None:
        self.parts.capture.switch(False)
        self.parts.recorder.forget()
        self.parts.delivery.begin()

    def may_send(self) -> bool:
        return self.parts.health.band not in (Band.CRITICAL, Band.EMPTY)

    def time_told(self, reading: UtcReading) -> None:
        """The store knows the time; the `time` line says how far the camera was off."""
        self._clock.correct(reading)
        self.parts.health.look(self._loop.now_ns())

    def assigned(self, statement: Statement[Assignment]) -> None:
        self.parts.assignments.take(statement)
        self.parts.delivery.assignment = self.parts.assignments.version
        self.caption()

    def delivery_changed(self) -> None:
        self.show()
        self.parts.updates.look()

    # --- another release ----------------------------------------------------------------------

    def may_update(self) -> bool:
        delivered = self.parts.delivery.outcome == "complete"
        return self.state is State.DOCKED and self.at_rest() and delivered and self.may_send()

    def at_rest(self) -> bool:
        resting = (State.READY, State.DOCKED)
        return self.state in resting and self.parts.recorder.recording is None

    def slot_wanted(self, *, other: bool, reason: str) -> None:
        self._observer.slot_wanted(other=other)
        # Through the loop: the end of the camera is no part of an update, nor are its errors.

        def end() -> None:
            self.handle(Event.SHUTDOWN, reason)

        self._loop.post(end)

    def update_changed(self) -> None:
        self.show()

    # --- the end ------------------------------------------------------------------------------

    def _write_stop(self) -> None:
        parts = self.parts
        parts.capture.switch(False)
        parts.recorder.close()
        for timer in self._timers.values():
            timer.cancel()
        parts.lights_and_sounds.dark()
        if parts.telemetry is None or self._said_last:
            self._finish()
            return
        self._said_last = True
        self._after("last words", LAST_WORDS_NS, self._finish)
        # Through the loop: the end of the ledger is no part of telemetry, nor are its errors.
        parts.telemetry.say_last(lambda: self._loop.post(self._finish))

    def _finish(self) -> None:
        self._cancel("last words")
        if self.parts.telemetry:
            self.parts.telemetry.stop()
        self.parts.vault_lane.finish(self._observer.stopped)

    # --- what is shown and told ---------------------------------------------------------------

    def show(self) -> None:
        """Something may have changed: the status light and telemetry follow."""
        parts = self.parts
        parts.markers.noticed()
        parts.lights_and_sounds.status(
            self.state, able=not self._unmet(), fault=self._fault, delivery=parts.delivery.outcome
        )
        if parts.telemetry:
            parts.telemetry.changed(parts.vault_lane.anchor)

    def caption(self) -> None:
        """Sets the burnt-in caption to the officer."""
        self._board.camera.caption(self._officer)

    def status(self) -> CameraStatus:
        """The summary for telemetry."""
        parts, unmet = self.parts, self._unmet()
        recording, cues, health = parts.recorder.recording, parts.lights_and_sounds, parts.health
        return CameraStatus(
            state=self.state.value,
            recording=recording.id if recording else None,
            stored=cues.honest,
            able=not unmet,
            unmet=unmet,
            officer=self._officer,
            light=Light(cues.front_light, cues.status_light, list(cues.failed)),
            power=health.power,
            band=health.band,
            left_s=health.left_s,
            room=health.room,
            delivery=parts.delivery.outcome,
            software=parts.updates.status(),
        )

    @property
    def _officer(self) -> str:
        return self.parts.assignments.officer or self._settings.device.officer

    def _after(self, name: str, wait_ns: int, callback: Callable[[], None]) -> None:
        self._cancel(name)
        self._timers[name] = self._loop.call_at(self._loop.now_ns() + wait_ns, callback)

    def _cancel(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()
