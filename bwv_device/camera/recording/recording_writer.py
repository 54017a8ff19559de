"""Decides into which recording and segment each unit goes, and writes again what the disk refused.

Rules:

- Units stay in memory until they are durable. After a failure a new segment starts from the oldest
  keyframe that is not durable: nothing is lost to a disk error that passes.
- A segment ends at a keyframe, after `segment_s` or where the picture's parameters change.
- A long recording rolls over at a keyframe: it is closed, and another follows it.
- Sealed bytes are memory a second time: only so many wait for the disk, other units unsealed.
- Where the ledger was opened anew, recovery has closed the recording: another follows it.
- Behind the end the disk has `GIVE_UP_NS`; what it has not taken by then is a gap.
- Names have four digits: a recording with no number left for a segment rolls over, and a boot with
  few left for recordings opens the ledger anew.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from bwv_device.camera.loop import Loop, Outcome
from bwv_device.camera.recording.pre_event_buffer import PreEvent
from bwv_device.camera.recording.recording import OpenRecording, RecordingRequest
from bwv_device.camera.recording.segment import MediaFormat, Pace, SealedSegment, starts_segment
from bwv_device.camera.recording.segment_writer import SegmentWriter
from bwv_device.camera.recording.undurable_units import Backlog
from bwv_device.camera.recording.video_signer import SigningChain, VideoSigner, video_vendor
from bwv_device.camera.vault.vault import LedgerError
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.formats import age
from bwv_device.formats.age_payload import Seal
from bwv_device.formats.media.h264 import parameter_sets
from bwv_device.formats.media.signing_sei import sets_digest
from bwv_device.formats.vault_layout import LAST_NUMBER, SegmentName
from bwv_device.settings import MIB, Recording, seconds
from hal.ports import SECOND_NS, AccessUnit, Board, Timer

RETRY_NS = SECOND_NS
# How long a recording that was stopped waits for a disk that refuses it.
GIVE_UP_NS = 30 * SECOND_NS
NOT_TAKEN = "not taken by the disk"
# Sealed and not durable: seconds of footage, so that a disk that answers late gets much at once.
SEALED_LIMIT = 4 * MIB
PIECE = 64  # units that are sealed in one go
# A boot's next recording gets a boot of its own from here on: a recording may be continued often.
FEW_NUMBERS_LEFT = LAST_NUMBER - 1000


class RecordingWriterState(enum.Enum):
    """`RETRYING`: the disk refused a job; from memory it is tried again a moment later."""

    IDLE = "no recording"
    WRITING = "units go to the disk"
    FINISHING = "all units are in, and are being sealed"
    CLOSING = "all units are sealed, the last ones on their way to the disk"
    RETRYING = "units wait in memory for the disk"
    RETRYING_THE_END = "all units are in, and wait in memory for the disk"


_S = RecordingWriterState
_RETRY = {
    _S.WRITING: _S.RETRYING,
    _S.FINISHING: _S.RETRYING_THE_END,
    _S.CLOSING: _S.RETRYING_THE_END,
}
_AGAIN = {_S.RETRYING: _S.WRITING, _S.RETRYING_THE_END: _S.FINISHING}


class RecordingObserver(Protocol):
    """Is called with what becomes of units and recordings, on the loop."""

    def durable(self, video_until_ns: int) -> None:
        """All pictures up to this time are on the disk."""
        ...

    def not_recorded(self, unit: AccessUnit, reason: str) -> None:
        """A unit could not be recorded."""
        ...

    def storage_fault(self, part: str, error: Exception) -> None:
        """The disk refused a job on `part`, a segment."""
        ...

    def given_up(self) -> None:
        """Nothing more is tried: all that was not recorded has been named."""
        ...

    def recording_closed(self, ending: str) -> None:
        """The recording that was to finish is durable to its last line, or given up."""
        ...


class RecordingWriter:
    """`begin`, `write` as often as units come, `finish`; then `recording_closed` follows."""

    def __init__(
        self,
        board: Board,
        loop: Loop,
        vault_lane: VaultLane,
        settings: Recording,
        recipients: Sequence[age.Recipient],
        pace: Pace,
        observer: RecordingObserver,
    ) -> None:
        self._board, self._loop, self._vault_lane = board, loop, vault_lane
        self._settings, self._recipients, self._pace = settings, recipients, pace
        self._observer = observer
        self._media = MediaFormat(board.camera.format, board.microphone.format)
        self._backlog = Backlog(settings.queue_limit_mib * MIB, self._no_room)
        self._segments = SegmentWriter(loop, vault_lane, self)
        self._unsealed: deque[Sequence[AccessUnit]] = deque()
        self._quiet = False  # no more units come for now
        self._boot = self._count = 0
        self._failed_ns: int | None = None
        self._durable_until_ns = 0
        self._last_chance: Timer | None = None
        self._signing = SigningChain()
        self._unsigned_told = False
        self.failing = False  # the disk refused the newest segment, and took none since
        self.state = _S.IDLE
        self.recording: OpenRecording | None = None
        self.dropped_units = 0

    # --- what the recorder asks ---------------------------------------------------------------

    @property
    def undurable_bytes(self) -> int:
        return self._backlog.size

    @property
    def sealed_bytes(self) -> int:
        return self._segments.sealed_bytes

    @property
    def retrying(self) -> bool:
        return self.state in _AGAIN

    @property
    def has_segment(self) -> bool:
        return self._segments.segment is not None

    def begin(self, request: RecordingRequest, pre_event: PreEvent | None) -> None:
        """Begins a recording. Its pre-event units are to be written first."""
        self._durable_until_ns = 0
        self._signing, self._unsigned_told = SigningChain(), False
        self._unsealed.clear()
        self._quiet = False
        self._backlog.begin(pre_event.units if pre_event else [])
        self._start(request, pre_event)
        self.state = _S.WRITING

    def write(self, units: Sequence[AccessUnit]) -> None:
        """Units in order of capture."""
        kept = self._backlog.take(units)
        self._quiet = False
        if not self.retrying:
            self._seal(kept)

    def flush(self) -> None:
        """No more units come for now: what waits is sealed, within the loss bound."""
        self._quiet = True
        if not self.retrying:
            self._seal([])

    def newest_gop(self) -> Sequence[AccessUnit]:
        """The group of pictures that is still open, from its keyframe on."""
        return self._backlog.newest_gop()

    def finish(self) -> None:
        """All units are in."""
        self._last_chance = self._loop.call_at(self._loop.now_ns() + GIVE_UP_NS, self._give_up)
        if self.state is _S.WRITING:
            self.state = _S.FINISHING
            self._seal([])
        elif self.state is _S.RETRYING:
            self.state = _S.RETRYING_THE_END

    def try_a_file(self) -> None:
        """Whether the disk takes files again, after it refused some and nothing is recorded."""
        if self.failing and self.state is _S.IDLE:
            self._vault_lane.submit(lambda vault: vault.try_a_file(), self._tried)

    def _tried(self, outcome: Outcome) -> None:
        if outcome.error is None and self.state is _S.IDLE:
            self.failing = False
            self._observer.durable(self._durable_until_ns)

    # --- into which recording -----------------------------------------------------------------

    def _start(self, request: RecordingRequest, pre_event: PreEvent | None) -> OpenRecording:
        boot = self._vault_lane.boot
        self._count = self._count + 1 if boot == self._boot else 1
        self._boot = boot
        name = SegmentName(boot, self._count, 0)
        self.recording = OpenRecording(name, request, pre_event)
        return self.recording

    def _follow(self, recording: OpenRecording, trigger: str) -> OpenRecording:
        request = recording.request._replace(trigger=trigger, follows=recording.id)
        return self._start(request, None)

    def _roll_over(self, recording: OpenRecording) -> OpenRecording:
        """Ends a long recording at a keyframe; the next one starts with that keyframe."""
        recording.ending = "roll-over"
        self._close()
        return self._follow(recording, "roll-over")

    def _continue(self, recording: OpenRecording) -> OpenRecording:
        """The ledger was opened anew and recovery closed the recording: another follows it."""
        following = self._follow(recording, "continued")
        following.ending = recording.ending
        return following

    def _close(self) -> None:
        recording = self.recording
        assert recording is not None
        self._segments.close(recording, lambda: self._closed(recording))

    def _closed(self, recording: OpenRecording) -> None:
        if recording is not self.recording:  # it rolled over
            return
        self.recording, self.state = None, _S.IDLE
        self._backlog.clear()
        if self._last_chance:
            self._last_chance.cancel()
        if self._count >= FEW_NUMBERS_LEFT and self._boot == self._vault_lane.boot:
            self._vault_lane.open("numbers used up")
        self._observer.recording_closed(recording.ending)

    # --- into which segment -------------------------------------------------------------------

    def _seal(self, units: Sequence[AccessUnit]) -> None:
        """As far as the disk follows; behind the last unit of a recording that ends, it closes."""
        self._unsealed += [units[at : at + PIECE] for at in range(0, len(units), PIECE)]
        while self._unsealed and self._segments.sealed_bytes < SEALED_LIMIT and not self.retrying:
            self._write(self._unsealed.popleft())
        if self._quiet and not self._unsealed:
            self._segments.flush()
        self._segments.commit()
        if self.state is _S.FINISHING and not self._unsealed:
            self.state = _S.CLOSING
            self._close()

    def _write(self, units: Sequence[AccessUnit]) -> None:
        recording = self.recording
        assert recording is not None
        start = 0
        for at, unit in enumerate(units):
            if not starts_segment(unit):
                continue
            if self._rolls_over(recording, unit):
                self._feed(recording, units[start:at])
                recording, start = self._roll_over(recording), at
            if self._cut_here(unit):
                self._feed(recording, units[start:at])
                recording, start = self._next_segment(recording, unit), at
            if self.retrying:
                return  # the ledger is closed: all of this is in memory, and written again
        self._feed(recording, units[start:])

    def _rolls_over(self, recording: OpenRecording, unit: AccessUnit) -> bool:
        if recording.started_ns is None or recording.ending:
            return False
        if recording.name.number >= LAST_NUMBER:
            return self._cut_here(unit)
        return unit.pts_ns - recording.started_ns >= seconds(self._settings.rollover_min * 60)

    def _cut_here(self, unit: AccessUnit) -> bool:
        segment = self._segments.segment
        if segment is None:
            return True
        if unit.pts_ns - segment.start_ns >= seconds(self._settings.segment_s):
            return True
        return parameter_sets(unit.data) != segment.parameter_sets

    def _feed(self, recording: OpenRecording, units: Sequence[AccessUnit]) -> None:
        segment = self._segments.segment
        if segment is None:
            for unit in units:
                self._observer.not_recorded(unit, "no keyframe yet")
            return
        if any(unit.pts_ns < segment.start_ns for unit in units):
            units = self._without_late(units, segment.start_ns)
        if units:
            self._segments.feed(units)
            recording.end_ns = max(recording.end_ns, units[-1].end_ns)

    def _without_late(self, units: Sequence[AccessUnit], start_ns: int) -> Sequence[AccessUnit]:
        """Leaves out sound that comes after its segment was closed."""
        for unit in units:
            if unit.pts_ns < start_ns:
                self._observer.not_recorded(unit, "too late")
        return [unit for unit in units if unit.pts_ns >= start_ns]

    def _next_segment(self, recording: OpenRecording, first: AccessUnit) -> OpenRecording:
        """Starts a segment. The recording returned is another where the ledger was opened anew."""
        self._segments.seal()
        if recording.name.boot != self._vault_lane.boot:
            recording = self._continue(recording)
        recording.name = recording.name._replace(number=recording.name.number + 1)
        if recording.started_ns is None:
            recording.started_ns = first.pts_ns
        reading = self._board.clock.utc()
        age_ns = self._loop.now_ns() - first.pts_ns
        # A clock that nobody set may say 1970, and there is no time before that.
        began_utc_ns = max(0, reading.utc_ns - age_ns)
        fields = recording.about(first.pts_ns, reading._replace(utc_ns=began_utc_ns))
        inside = {"device": self._board.identity.device, "segment": str(recording.name), **fields}
        if recording.request.location:
            inside["location"] = recording.request.location
        seal = Seal(self._recipients, self._board.entropy)
        signer = self._signer(first, began_utc_ns - first.pts_ns)
        segment = SealedSegment(self._media, first, seal, inside, self._pace, signer)
        fields["parameter_sets"] = sets_digest(segment.parameter_sets)
        if recording.name.number == recording.first_number:
            audio = self._settings.pre_event_audio
            fields |= recording.first_fields(self._media, pre_event_audio=audio)

        def opened() -> None:
            recording.introduced = True

        self._segments.open(recording.name, segment, fields, opened)
        return recording

    def _signer(self, first: AccessUnit, utc_offset_ns: int) -> VideoSigner | None:
        if not self._settings.sign_video:
            return None
        vendor = video_vendor(self._board.identity.device, parameter_sets(first.data))
        return VideoSigner(
            self._signing, self._board.identity, vendor, utc_offset_ns, self._not_signed
        )

    def _not_signed(self, reason: str) -> None:
        """Once a recording: the ledger is no log of a token's moods."""
        if not self._unsigned_told:
            self._unsigned_told = True
            self._vault_lane.note("fault", part="video signature", reason=reason[:200])

    # --- what the disk answers ----------------------------------------------------------------

    def durable(self, video_until_ns: int) -> None:
        self._durable_until_ns = max(self._durable_until_ns, video_until_ns)
        self.failing = False
        self._backlog.durable(video_until_ns)
        self._signing.forget_before(video_until_ns)
        self._observer.durable(video_until_ns)
        if self._unsealed and not self.retrying:
            self._seal([])

    def _no_room(self, unit: AccessUnit) -> None:
        self.dropped_units += 1
        self._observer.not_recorded(unit, "queue overflow")

    def segment_failed(self, error: Exception) -> None:
        """Starts over from memory: at once, or a second later if that failed just now too."""
        recording, now_ns = self.recording, self._loop.now_ns()
        if recording is None:
            return
        name = str(recording.name)
        if not recording.introduced:
            recording.first_number = recording.name.number + 1
        self._observer.storage_fault(name, error)
        if not isinstance(error, LedgerError) and not self.failing:
            reason = getattr(error, "strerror", None) or str(error)
            self._vault_lane.note("fault", part="segment", segment=name, reason=reason)
        self.failing = True
        self._unsealed.clear()
        again = self._failed_ns is not None and now_ns - self._failed_ns < 2 * RETRY_NS
        self._failed_ns = now_ns
        if not self.retrying:
            self.state = _RETRY[self.state]
            self._start_over_at(now_ns + (RETRY_NS if again else 0))

    def _start_over_at(self, when_ns: int) -> None:
        self._loop.call_at(when_ns, self._start_over)

    def _start_over(self) -> None:
        recording = self.recording
        if recording is None or not self.retrying:
            return  # it was given up
        if not self._vault_lane.usable:
            self._start_over_at(self._loop.now_ns() + RETRY_NS)
            return
        self._vault_lane.submit(lambda vault: vault.try_a_file(), self._write_again)

    def _write_again(self, tried: Outcome) -> None:
        """Everything is sealed anew: that is done only for a disk that takes files."""
        recording = self.recording
        if recording is None or not self.retrying:
            return
        if tried.error is not None or not self._vault_lane.usable:
            self._start_over_at(self._loop.now_ns() + RETRY_NS)
            return
        self.state = _AGAIN[self.state]
        if recording.name.boot != self._vault_lane.boot:
            recording = self._continue(recording)
        self._seal(self._backlog.again())

    def _give_up(self) -> None:
        """The disk has refused the end of the recording for too long: what it lacks is named."""
        recording = self.recording
        if recording is None or not recording.ending:
            return
        if not self.retrying:  # a disk that is only slow is waited for
            self._last_chance = self._loop.call_at(self._loop.now_ns() + RETRY_NS, self._give_up)
            return
        self._segments.abandon()
        self._unsealed.clear()
        for unit in self._backlog.again():
            if unit.pts_ns >= self._durable_until_ns:
                self._observer.not_recorded(unit, NOT_TAKEN)
        self._observer.given_up()
        recording.end_ns = min(recording.end_ns, self._durable_until_ns)
        lane, t_ns = self._vault_lane, self._loop.now_ns()
        if lane.usable and recording.name.boot == lane.boot:  # otherwise recovery closes it
            name, fields = recording.id, recording.close_fields()
            lane.submit(lambda vault: vault.close(name, "", t_ns, fields), lambda outcome: None)
        self._closed(recording)
