"""What is recorded, and from when to when: pre-event buffer, start, stop, and the cut at the stop.

Rules:

- While nothing is recorded, units go into the pre-event buffer.
- A start takes what the buffer holds. A start that comes while a recording still ends waits for it.
- A stop ends the recording with the last unit captured before it. The pictures up to there are
  waited for; what was captured later belongs to what comes next.
- Everything missing becomes a gap line, wherever it was dropped.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from bwv_device.camera.loop import Loop
from bwv_device.camera.recording.gaps import GapBook
from bwv_device.camera.recording.interleave import Anomaly, Interleaver
from bwv_device.camera.recording.muted_audio import MuteIntervals
from bwv_device.camera.recording.pre_event_buffer import PreEventBuffer
from bwv_device.camera.recording.recording import OpenRecording, RecordingRequest
from bwv_device.camera.recording.recording_writer import RecordingWriter
from bwv_device.camera.recording.segment import Pace
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.formats import age
from bwv_device.settings import MIB, Settings, milliseconds, seconds
from hal.ports import SECOND_NS, AccessUnit, Board, CaptureLoss, Timer, Track

# How long the slower track may hold the other up: a batch, and what its encoder keeps back.
INTERLEAVE_PATIENCE_NS = 400 * 1_000_000
# How long after it was taken a picture comes out of the encoder, at most; a Pi's takes three
# pictures or so. The last ones of a recording are waited for.
ENCODER_NS = 250_000_000
# Between taking a batch and its bytes being on their way to the disk.
HANDLING_NS = 100 * 1_000_000


class RecorderState(enum.Enum):
    """The recorder's own state, beside the camera's (`state_table`)."""

    BUFFERING = "units go into the pre-event buffer"
    RECORDING = "units are recorded"
    ENDING = "stopped; units from before the stop may still come"
    CLOSING = "all units are in; the last bytes are on their way to the disk"


_S = RecorderState
_NEXT = {_S.BUFFERING: _S.RECORDING, _S.RECORDING: _S.ENDING, _S.ENDING: _S.CLOSING,
        _S.CLOSING: _S.BUFFERING}  # fmt: skip


class RecorderObserver(Protocol):
    """Is called with the results of recording, on the loop."""

    def durable(self, video_until_ns: int) -> None:
        """All pictures up to this time are on the disk."""
        ...

    def storage_fault(self, part: str, error: Exception) -> None:
        """The disk refused something; it is tried again from memory."""
        ...

    def recording_ended(self) -> None:
        """A recording that was stopped is durable to its last line."""
        ...

    def keyframe(self, unit: AccessUnit) -> None:
        """A keyframe was captured."""
        ...


class _Stop(NamedTuple):
    """Where a recording ends, until when its units are waited for, and what came behind the end."""

    until_ns: int
    deadline: Timer
    after: list[AccessUnit]


class Recorder:
    """Takes batches; `start` and `stop` begin and end recordings."""

    def __init__(
        self,
        board: Board,
        loop: Loop,
        vault_lane: VaultLane,
        settings: Settings,
        recipients: Sequence[age.Recipient],
        observer: RecorderObserver,
    ) -> None:
        self._board, self._loop, self._vault_lane = board, loop, vault_lane
        self._settings, self._observer = settings.recording, observer
        self._pace = Pace(
            milliseconds(self._settings.fragment_ms),
            milliseconds(self._settings.batch_ms),
            milliseconds(self._settings.loss_bound_ms) - HANDLING_NS,
        )
        self._interleaver = Interleaver(INTERLEAVE_PATIENCE_NS)
        self._prebuffer = PreEventBuffer(
            seconds(self._settings.pre_event_s),
            self._settings.pre_event_limit_mib * MIB,
            audio=self._settings.pre_event_audio,
        )
        self._gaps = GapBook(self._write_gap)
        self._writer = RecordingWriter(
            board, loop, vault_lane, self._settings, recipients, self._pace, self
        )
        self._pressed_ns = 0
        self._stop: _Stop | None = None
        self._waiting: RecordingRequest | None = None
        self._quiet: Timer | None = None
        self.state = _S.BUFFERING
        self.mute = MuteIntervals()
        self.newest_video_ns = 0

    # --- what the camera asks -----------------------------------------------------------------

    @property
    def recording(self) -> OpenRecording | None:
        return self._writer.recording

    @property
    def until_ns(self) -> int | None:
        """Where the recording ends, once it was stopped."""
        return self._stop.until_ns if self._stop else None

    @property
    def undurable_bytes(self) -> int:
        return self._writer.undurable_bytes

    @property
    def sealed_bytes(self) -> int:
        """What is in memory a second time, sealed, until the disk has it."""
        return self._writer.sealed_bytes

    @property
    def failing(self) -> bool:
        """Whether the disk refused the newest segment, and has taken nothing since."""
        return self._writer.failing

    def try_again(self) -> None:
        """Call at intervals: while nothing is recorded, asks whether the disk takes files again."""
        self._writer.try_a_file()

    @property
    def prebuffer_bytes(self) -> int:
        return self._prebuffer.size

    @property
    def prebuffer_ns(self) -> int:
        """How much the pre-event buffer holds."""
        return self._prebuffer.held_ns

    @property
    def dropped_units(self) -> int:
        """Units for which there was no room in memory while the disk was slow."""
        return self._writer.dropped_units

    def start(self, request: RecordingRequest) -> None:
        """Begins a recording with what the pre-event buffer holds. One that still ends is waited
        for."""
        if self.state is not _S.BUFFERING:
            self._waiting = request
            return
        pre_event = self._prebuffer.drain(self._loop.now_ns())
        self._to(_S.RECORDING)
        self._pressed_ns = request.at_ns
        self._writer.begin(request, pre_event)
        self._record(pre_event.units if pre_event else [])
        if not self._writer.has_segment:
            self._board.camera.request_keyframe()
        self._watch_quiet()

    def stop(self, reason: str) -> None:
        """Ends the recording with the last unit captured before now; `recording_ended` follows."""
        self._waiting = None
        recording, now_ns = self._writer.recording, self._loop.now_ns()
        if self.state is not _S.RECORDING or recording is None:
            return
        self._to(_S.ENDING)
        recording.ending = reason
        wait_ns = 2 * self._pace.batch_ns + ENCODER_NS
        self._stop = _Stop(now_ns, self._loop.call_at(now_ns + wait_ns, self._end), [])

    def forget(self) -> None:
        """Empties the pre-event buffer, as at the dock."""
        self._prebuffer.clear()
        self._interleaver.restart()

    def interrupted(self) -> None:
        """Capture stopped or was restarted."""
        self._prebuffer.interrupted(self._loop.now_ns())

    def close(self) -> None:
        """The camera stops: gaps still open become ledger lines."""
        self._gaps.flush()

    # --- what capture brings ------------------------------------------------------------------

    def take(self, batch: Sequence[AccessUnit]) -> None:
        """A batch of units, from either track."""
        now_ns = self._loop.now_ns()
        units, anomalies = self._interleaver.feed(self.mute.without(batch), now_ns)
        for anomaly in anomalies:
            self._gaps.add(anomaly)
        self._gaps.settle(now_ns)
        self._note_pictures(units)
        if self.state in (_S.BUFFERING, _S.CLOSING):
            self._prebuffer.extend(units)
            return
        self._record(self._before_end(units))
        if any(unit.track is Track.VIDEO for unit in units):
            self._watch_quiet()

    def lost(self, loss: CaptureLoss) -> None:
        """A backend dropped units before they got here."""
        now_ns = self._loop.now_ns()
        self._gaps.add(Anomaly(loss.track, now_ns, now_ns, loss.units, loss.reason))

    def settle(self) -> None:
        """Call at intervals: gaps that are over become ledger lines."""
        self._gaps.settle(self._loop.now_ns())

    def _note_pictures(self, units: Sequence[AccessUnit]) -> None:
        for unit in units:
            if unit.track is Track.VIDEO:
                self.newest_video_ns = unit.pts_ns + unit.duration_ns
                if unit.keyframe:
                    self._observer.keyframe(unit)

    def _record(self, units: Sequence[AccessUnit]) -> None:
        self._writer.write(self._as_policy_allows(units))

    def _as_policy_allows(self, units: Sequence[AccessUnit]) -> Sequence[AccessUnit]:
        """Leaves out what was captured before the press, unless policy allows it."""
        pressed_ns, settings = self._pressed_ns, self._settings
        if not units or units[0].pts_ns >= pressed_ns:
            return units
        allowed = (settings.pre_event_s > 0, settings.pre_event_s > 0 and settings.pre_event_audio)
        return [u for u in units if u.pts_ns >= pressed_ns or allowed[u.track]]

    # --- the end ------------------------------------------------------------------------------

    def _before_end(self, units: Sequence[AccessUnit]) -> Sequence[AccessUnit]:
        """Cuts at the moment of the stop; ends once pictures have reached it."""
        stop = self._stop
        if stop is None:
            return units
        before = [unit for unit in units if unit.pts_ns < stop.until_ns]
        stop.after.extend(units[len(before) :])
        if self.newest_video_ns >= stop.until_ns:
            self._loop.post(self._end)
        return before

    def _end(self) -> None:
        stop = self._stop
        if self.state is not _S.ENDING or stop is None:
            return
        stop.deadline.cancel()
        if self._quiet:
            self._quiet.cancel()
        rest = self._interleaver.flush()
        self._note_pictures_missing_before(stop.until_ns)
        self._record([unit for unit in rest if unit.pts_ns < stop.until_ns])
        # What waited for the slower track belongs to what comes next; that may have to start with
        # the keyframe that this recording ends on.
        self._to(_S.CLOSING)
        self._prebuffer.extend(self._writer.newest_gop())
        self._prebuffer.extend(stop.after + [u for u in rest if u.pts_ns >= stop.until_ns])
        self._gaps.flush()
        self._writer.finish()

    def _note_pictures_missing_before(self, until_ns: int) -> None:
        """What had not come by the deadline is a gap: no later picture will show the hole."""
        fps = self._board.camera.format.fps
        from_ns = max(self.newest_video_ns, self._pressed_ns)
        missing = (until_ns - from_ns) * fps // SECOND_NS
        if missing > 0:
            self._gaps.add(Anomaly(Track.VIDEO, from_ns, until_ns, missing, "missing"))

    def recording_closed(self, ending: str) -> None:
        self._to(_S.BUFFERING)
        self._stop = None
        self._observer.recording_ended()
        if self._waiting is not None:
            request, self._waiting = self._waiting, None
            self.start(request)

    def _watch_quiet(self) -> None:
        """If units stop coming, what waits is sealed within the loss bound."""
        if self._quiet:
            self._quiet.cancel()
        wait_ns = self._pace.batch_ns + self._pace.batch_ns // 2
        self._quiet = self._loop.call_at(self._loop.now_ns() + wait_ns, self._flush_quiet)

    def _flush_quiet(self) -> None:
        if self.state in (_S.BUFFERING, _S.CLOSING) or self._writer.retrying:
            return
        self._record(self._before_end(self._interleaver.flush()))
        self._writer.flush()

    # --- what becomes of it -------------------------------------------------------------------

    def durable(self, video_until_ns: int) -> None:
        self._observer.durable(video_until_ns)

    def storage_fault(self, part: str, error: Exception) -> None:
        self._observer.storage_fault(part, error)

    def not_recorded(self, unit: AccessUnit, reason: str) -> None:
        self._gaps.add(Anomaly(unit.track, unit.pts_ns, unit.end_ns, 1, reason))

    def given_up(self) -> None:
        self._gaps.flush()

    def _write_gap(self, gap: Anomaly) -> None:
        recording = self.recording
        self._vault_lane.note(
            "gap",
            track=gap.track.name.lower(),
            from_ns=gap.from_ns,
            to_ns=gap.to_ns,
            units=gap.units,
            reason=gap.reason,
            **({"recording": recording.id} if recording else {}),
        )

    def _to(self, state: RecorderState) -> None:
        assert _NEXT[self.state] is state, f"{self.state} -> {state}"
        self.state = state
