"""Markers, flags and snapshots that an officer adds to a recording, and the reminder to inform
those present.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bwv_device.camera.indicators import patterns
from bwv_device.camera.indicators.lights_and_sounds import LightsAndSounds
from bwv_device.camera.loop import Loop
from bwv_device.camera.recording.recorder import Recorder
from bwv_device.camera.recording.snapshot import Snapshots
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.formats import age
from bwv_device.settings import Settings, seconds
from hal.ports import AccessUnit, Board, Timer


class Markers:
    """`refuse` sounds the refusal and writes it down."""

    def __init__(
        self,
        board: Board,
        loop: Loop,
        settings: Settings,
        vault_lane: VaultLane,
        recorder: Recorder,
        cues: LightsAndSounds,
        recipients: Sequence[age.Recipient],
        refuse: Callable[[str, str], None],
    ) -> None:
        self._loop, self._public, self._buttons = loop, settings.public, settings.buttons
        self._vault_lane, self._recorder, self._cues = vault_lane, recorder, cues
        self._refuse = refuse
        self._snapshots = Snapshots(board, loop, vault_lane, recipients)
        self._began_ns: int | None = None
        self._ended_ns: int | None = None
        self._informed = True
        self._reminder: Timer | None = None
        self.last_recording = ""

    def began(self) -> None:
        """A recording began. Those present are to be informed soon."""
        now_ns = self._loop.now_ns()
        self._began_ns, self._informed = now_ns, False
        wait_s = self._public.reminder_after_s
        if wait_s < self._public.informed_window_s:
            self._forget_reminder()
            self._reminder = self._loop.call_at(now_ns + seconds(wait_s), self._remind)

    def ended(self, *, others: bool) -> None:
        """`others`: another recording goes on."""
        self._ended_ns = self._loop.now_ns()
        if not others:
            self._forget_reminder()
            self._snapshots.ended()

    def noticed(self) -> None:
        """Remembers which recording is the last."""
        if self._recorder.recording is not None:
            self.last_recording = self._recorder.recording.id

    def mark(self) -> None:
        """The first press says that those present were informed; later ones mark a moment."""
        recording = self._recorder.recording
        if recording is None or self._began_ns is None:
            return
        now_ns = self._loop.now_ns()
        window_ns = seconds(self._public.informed_window_s)
        informed = not self._informed and now_ns - self._began_ns <= window_ns
        kind = "informed" if informed else "moment"
        if informed:
            self._informed = True
            self._forget_reminder()
        self._vault_lane.note("marker", marker=kind, recording=recording.id, at_ns=now_ns)
        self._cues.felt()

    def flag(self) -> None:
        """Evidence: the recording in progress, or the one that ended just now."""
        recording = self._recorder.recording
        after_ns = seconds(self._buttons.flag_after_s)
        recent = self._ended_ns is not None and self._loop.now_ns() - self._ended_ns <= after_ns
        name = recording.id if recording else self.last_recording if recent else ""
        if not name:
            self._refuse("flag", "there is no recording to flag")
            return
        self._vault_lane.note("flag", recording=name)
        self._cues.felt()

    def snapshot(self) -> None:
        recording = self._recorder.recording
        if recording is None or self._recorder.until_ns is not None:
            self._refuse("snapshot", "it is not recording")
            return
        self._snapshots.want(recording)
        self._cues.felt()

    def keyframe(self, unit: AccessUnit) -> None:
        self._snapshots.keyframe(unit)

    def _remind(self) -> None:
        if not self._informed and self._recorder.recording is not None:
            self._cues.felt(patterns.INFORM)
            self._vault_lane.note("cue", vibration=patterns.INFORM.name)

    def _forget_reminder(self) -> None:
        if self._reminder:
            self._reminder.cancel()
            self._reminder = None
