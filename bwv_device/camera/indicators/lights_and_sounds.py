"""Decides what lights, beeper and vibration motor show in each state.

"Recording" is shown on a lease, and only durable bytes renew it. The lease ends a fixed time after
the newest durable picture was captured. Then the HAL by itself shows "capturing, not stored" and
sounds the alarm, even if this process hangs.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import partial

from bwv_device.camera.indicators import patterns
from bwv_device.camera.loop import Loop
from bwv_device.camera.state_table import State
from bwv_device.settings import Settings, milliseconds, seconds
from hal.ports import Board, Indicator, Pattern, Timer

Note = Callable[..., None]

DELIVERY = {
    "delivering": patterns.DELIVERING,
    "kept": patterns.UNDELIVERED,
    "denied": patterns.UNDELIVERED,
    "refused": patterns.UNDELIVERED,
}


class Front(enum.Enum):
    """What the front light says of the recording."""

    NOTHING = "no recording"
    STORED = "recording, and it reaches storage: a lease runs"
    NOT_STORED = "recording, and nothing was durable for as long as a lease"


class LightsAndSounds:
    """Drives all indicators. Every change of the front light becomes a ledger line."""

    def __init__(self, board: Board, loop: Loop, settings: Settings, note: Note) -> None:
        self._board, self._loop, self._note = board, loop, note
        self._lease_ns = milliseconds(settings.light.lease_ms)
        self._reminder_ns = seconds(settings.sounds.reminder_s)
        self._recording_pattern = patterns.recording(settings.light)
        self._front = Front.NOTHING
        self._covert = False
        self._muted = False
        self._lease_until_ns = 0
        self._lapse: Timer | None = None
        self._reminder: Timer | None = None
        self._reminders = 0
        self._status: Pattern | None = None
        self.failed: list[str] = []
        for name, device in self._devices().items():
            device.watch(partial(self._device_failed, name))

    @property
    def honest(self) -> bool:
        """Whether the recording reaches storage."""
        return self._front is Front.STORED

    @property
    def front_light(self) -> str:
        """The pattern it shows now, by name."""
        if self._front is Front.NOTHING:
            return patterns.DARK.name
        hidden = patterns.DARK if self._covert else patterns.NOT_STORED
        return (self._pattern() if self._front is Front.STORED else hidden).name

    @property
    def status_light(self) -> str:
        return (self._status or patterns.DARK).name

    def begin(self) -> None:
        """A recording starts: one lease is granted for the press itself."""
        self._front, self._reminders = Front.STORED, 0
        self._lease_until_ns = self._loop.now_ns() + self._lease_ns
        self._show_recording()
        self._sound(patterns.STARTED)
        self._note("cue", light=self._pattern().name, sound=patterns.STARTED.name)
        self._remind_later()

    def durable(self, video_until_ns: int) -> None:
        """Pictures up to here are durable: the lease reaches that much further."""
        if self._front is Front.NOTHING:
            return
        # Never further than from now on, whatever a timestamp claims.
        until_ns = min(video_until_ns, self._loop.now_ns()) + self._lease_ns
        if until_ns <= max(self._lease_until_ns, self._loop.now_ns()):
            return
        self._lease_until_ns = until_ns
        if self._front is Front.NOT_STORED:
            self._front = Front.STORED
            self._note("cue", light=self._pattern().name)
        self._show_recording()

    def end(self) -> None:
        """The recording is over."""
        if self._front is Front.NOTHING:
            return
        self._front = Front.NOTHING
        for timer in (self._lapse, self._reminder):
            if timer:
                timer.cancel()
        self._board.front_light.show(patterns.DARK, None, patterns.DARK)
        self._board.beeper.show(patterns.QUIET, None, patterns.QUIET)
        self._sound(patterns.STOPPED)
        self._note(
            "cue",
            light=patterns.DARK.name,
            sound=patterns.STOPPED.name,
            reminders=self._reminders,
        )

    def status(self, state: State, *, able: bool, fault: bool, delivery: str = "") -> None:
        """The status light, by state and by whether a press would be obeyed; in the dock, by what
        the delivery has come to."""
        pattern = self._status_pattern(state, able=able, fault=fault, delivery=delivery)
        if pattern != self._status:
            self._status = pattern
            self._board.status_light.show(pattern, None, pattern)

    def covert(self, on: bool) -> None:
        """Switches lights and sounds off or on. Policy was checked before."""
        self._covert, self._status = on, None
        if self._front is not Front.NOTHING:
            self._show_recording()

    def muted(self, on: bool) -> None:
        self._muted = on
        if self._front is not Front.NOTHING:
            self._show_recording()

    def alarm(self, pattern: Pattern) -> None:
        self._sound(pattern)
        self._note("cue", sound=pattern.name)

    def locate(self, duration_s: int) -> bool:
        """The camera shows where it is. False in covert mode."""
        if self._covert:
            return False
        light, sound = patterns.locate(duration_s)
        self._board.status_light.play(light)
        self._board.beeper.play(sound)
        self._note("cue", status=light.name, sound=sound.name)
        return True

    def refused(self) -> None:
        self._sound(patterns.REFUSED)

    def felt(self, pattern: Pattern = patterns.FELT) -> None:
        self._board.haptic.play(pattern)

    def remind_of_covert(self) -> None:
        self._board.haptic.play(patterns.COVERT)
        self._note("cue", vibration=patterns.COVERT.name)

    def dark(self) -> None:
        """Switches everything off when the agent ends."""
        for device in self._devices().values():
            device.show(patterns.DARK, None, patterns.DARK)

    # --- inside -------------------------------------------------------------------------------

    def _devices(self) -> dict[str, Indicator]:
        board = self._board
        return {
            "front light": board.front_light,
            "status light": board.status_light,
            "beeper": board.beeper,
            "vibration": board.haptic,
        }

    def _pattern(self) -> Pattern:
        if self._covert:
            return patterns.DARK
        return patterns.MUTED if self._muted else self._recording_pattern

    def _show_recording(self) -> None:
        fallback = patterns.DARK if self._covert else patterns.NOT_STORED
        alarm = patterns.QUIET if self._covert else patterns.ALARM
        until_ns = self._lease_until_ns
        if self._lapse:
            self._lapse.cancel()
        if until_ns <= self._loop.now_ns():
            self._board.front_light.show(fallback, None, fallback)
            self._board.beeper.show(alarm, None, alarm)
            return
        self._board.front_light.show(self._pattern(), until_ns, fallback)
        self._board.beeper.show(patterns.QUIET, until_ns, alarm)
        self._lapse = self._loop.call_at(until_ns, self._lapsed)

    def _lapsed(self) -> None:
        self._front = Front.NOT_STORED
        self._note("cue", light=patterns.NOT_STORED.name, sound=patterns.ALARM.name)
        if self._covert:
            self._board.haptic.play(patterns.INFORM)

    def _remind_later(self) -> None:
        when_ns = self._loop.now_ns() + self._reminder_ns
        self._reminder = self._loop.call_at(when_ns, self._remind)

    def _remind(self) -> None:
        if self._front is Front.STORED:
            self._reminders += 1
            self._sound(patterns.REMINDER)
        self._remind_later()

    def _sound(self, pattern: Pattern) -> None:
        if self._covert:
            self._board.haptic.play(patterns.FELT)
        else:
            self._board.beeper.play(pattern)

    def _status_pattern(self, state: State, *, able: bool, fault: bool, delivery: str) -> Pattern:
        if self._covert or state is State.STOPPED:
            return patterns.DARK
        if fault:
            return patterns.FAULT
        if state is State.DOCKED:
            return DELIVERY.get(delivery, patterns.DOCKED)
        return patterns.READY if able else patterns.UNABLE

    def _device_failed(self, name: str, error: str) -> None:
        def failed() -> None:
            if name not in self.failed:
                self.failed.append(name)
            self._note("cue", failed=name, reason=error)

        self._loop.post(failed)
