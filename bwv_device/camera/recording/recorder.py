"""Drives the evidence pipeline: pre-event buffer → segments → disk lane; counts what is dropped.

Units stay in memory until they are durable. When a segment can't be written any more, a new one
starts from the oldest keyframe that is not durable; nothing that was taken is lost to a disk error
that passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bwv_device.camera.loop import Loop, Outcome
from bwv_device.camera.recording.gaps import GapBook
from bwv_device.camera.recording.interleave import Anomaly, Interleaver
from bwv_device.camera.recording.muted_audio import MuteIntervals
from bwv_device.camera.recording.pre_event_buffer import PreEvent, PreEventBuffer
from bwv_device.camera.recording.recording import OpenRecording, RecordingRequest, seal_fields
from bwv_device.camera.recording.segment import MediaFormat, Pace, SealedSegment, starts_segment
from bwv_device.camera.recording.undurable_units import Backlog
from bwv_device.camera.vault.vault import LedgerError, Vault
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.formats import age
from bwv_device.formats.age_payload import Seal
from bwv_device.formats.h264 import parameter_sets
from bwv_device.formats.vault_layout import SegmentName
from bwv_device.settings import MIB, Settings, milliseconds, seconds
from hal.ports import SECOND_NS, AccessUnit, Anchor, Board, CaptureLoss, Timer, Track

# How long the slower track may hold the other up: a batch, and what its encoder keeps back.
INTERLEAVE_PATIENCE_NS = 400 * 1_000_000
# Between taking a batch and its bytes being on their way to the disk.
HANDLING_NS = 100 * 1_000_000
RETRY_NS = SECOND_NS


class Recorder:
    """Takes batches; starts and ends recordings when told."""

    def __init__(
        self,
        board: Board,
        loop: Loop,
        vault_lane: VaultLane,
        settings: Settings,
        recipients: Sequence[age.Recipient],
    ) -> None:
        self._board, self._loop, self._vault_lane = board, loop, vault_lane
        self._settings, self._recipients = settings.recording, recipients
        self._media = MediaFormat(board.camera.format, board.microphone.format)
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
        self._backlog = Backlog(self._settings.queue_limit_mib * MIB, self._no_room)
        self._recording: OpenRecording | None = None
        self._next: RecordingRequest | None = None
        self._count = 0
        self._generation = 0
        self._failed_ns: int | None = None
        self._quiet: Timer | None = None
        self._retry: Timer | None = None
        self._deadline: Timer | None = None
        self.mute = MuteIntervals()
        self.location: dict[str, int] | None = None
        self.written_bytes = 0
        self.dropped_units = 0
        self.newest_video_ns = 0
        self.on_durable: Callable[[int], None] = lambda video_until_ns: None
        self.on_fault: Callable[[str, Exception], None] = lambda part, error: None
        self.on_ended: Callable[[str], None] = lambda reason: None
        self.on_keyframe: Callable[[AccessUnit], None] = lambda unit: None

    # --- what the agent asks ------------------------------------------------------------------

    @property
    def recording(self) -> OpenRecording | None:
        return self._recording

    @property
    def undurable_bytes(self) -> int:
        return self._backlog.size

    @property
    def prebuffer_bytes(self) -> int:
        return self._prebuffer.size

    def start(self, request: RecordingRequest) -> None:
        """Begins a recording with what the pre-event buffer holds. One that still ends is waited
        for."""
        if self._recording is not None:
            self._next = request
            return
        self._begin(request, self._prebuffer.drain(self._loop.now_ns()))

    def stop(self, reason: str) -> None:
        """Ends the recording with the last unit captured before now; `on_ended` follows when its
        last byte is durable."""
        self._next = None
        recording, now_ns = self._recording, self._loop.now_ns()
        if recording is None or recording.ending:
            return
        recording.ending, recording.until_ns = reason, now_ns
        wait_ns = 2 * self._pace.batch_ns
        self._deadline = self._loop.call_at(now_ns + wait_ns, self._end)

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
        if self._recording is None or self._deadline_passed():
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
        """Now and then: gaps that are over become ledger lines."""
        self._gaps.settle(self._loop.now_ns())

    # --- beginning and ending -----------------------------------------------------------------

    def _begin(self, request: RecordingRequest, pre_event: PreEvent | None) -> None:
        self._count += 1
        name = SegmentName(self._vault_lane.boot, self._count, 0)
        self._recording = OpenRecording(name, request, pre_event)
        units = pre_event.units if pre_event else []
        self._backlog.begin(units)
        self._record(units)
        if self._recording.segment is None:
            self._board.camera.request_keyframe()
        self._watch_quiet()

    def _as_policy_allows(self, units: Sequence[AccessUnit]) -> Sequence[AccessUnit]:
        """A batch may bring, after the press, what was captured before it."""
        assert self._recording is not None
        pressed_ns, settings = self._recording.request.at_ns, self._settings
        if not units or units[0].pts_ns >= pressed_ns:
            return units
        allowed = (settings.pre_event_s > 0, settings.pre_event_s > 0 and settings.pre_event_audio)
        return [u for u in units if u.pts_ns >= pressed_ns or allowed[u.track]]

    def _deadline_passed(self) -> bool:
        return self._recording is not None and bool(self._recording.ending) and not self._deadline

    def _before_end(self, units: Sequence[AccessUnit]) -> Sequence[AccessUnit]:
        """Cuts at the moment of the stop, and ends there once the pictures have got so far."""
        recording = self._recording
        assert recording is not None
        until_ns = recording.until_ns
        if until_ns is None:
            return units
        before = [unit for unit in units if unit.pts_ns < until_ns]
        recording.after += units[len(before) :]
        if self.newest_video_ns >= until_ns:
            self._loop.post(self._end)
        return before

    def _end(self) -> None:
        recording = self._recording
        if recording is None or self._deadline is None:
            return
        self._deadline.cancel()
        self._deadline = None
        if self._quiet:
            self._quiet.cancel()
        until_ns = recording.until_ns
        rest = self._interleaver.flush()
        self._record([unit for unit in rest if until_ns is None or unit.pts_ns < until_ns])
        if until_ns is not None:  # what waited for the slower track belongs to what comes next
            recording.after += [unit for unit in rest if unit.pts_ns >= until_ns]
        # What comes next may have to start with the keyframe that this recording ends on.
        self._prebuffer.extend(self._backlog.newest_gop())
        self._prebuffer.extend(recording.after)
        self._gaps.flush()
        if self._retry is None:
            self._finish(recording)

    def _finish(self, recording: OpenRecording) -> None:
        if recording.segment is not None:
            self._seal(recording)
        fields = recording.close_fields()
        t_ns = self._loop.now_ns()
        self._job(lambda vault: vault.note("close", t_ns, fields), lambda: self._closed(recording))

    def _closed(self, recording: OpenRecording) -> None:
        if recording is not self._recording:  # it rolled over
            return
        self._recording = None
        self._backlog.clear()
        self.on_ended(recording.ending)
        if self._next is not None:
            request, self._next = self._next, None
            self.start(request)

    def _roll_over(self, recording: OpenRecording) -> OpenRecording:
        """Ends a long recording at a keyframe; the next one starts with that keyframe."""
        recording.ending = "roll-over"
        self._finish(recording)
        return self._follow(recording, "roll-over")

    def _continue(self, recording: OpenRecording) -> OpenRecording:
        """The ledger was opened anew and recovery closed the recording: another follows it."""
        ending, until_ns = recording.ending, recording.until_ns
        following = self._follow(recording, "continued")
        following.ending, following.until_ns = ending, until_ns
        return following

    def _follow(self, recording: OpenRecording, trigger: str) -> OpenRecording:
        self._count += 1
        request = recording.request._replace(trigger=trigger, follows=recording.id)
        name = SegmentName(self._vault_lane.boot, self._count, 0)
        self._recording = OpenRecording(name, request, None)
        return self._recording

    # --- writing ------------------------------------------------------------------------------

    def _note_pictures(self, units: Sequence[AccessUnit]) -> None:
        for unit in units:
            if unit.track is Track.VIDEO:
                self.newest_video_ns = unit.pts_ns + unit.duration_ns
                if unit.keyframe:
                    self.on_keyframe(unit)

    def _record(self, units: Sequence[AccessUnit]) -> None:
        units = self._backlog.take(self._as_policy_allows(units))
        if self._retry is None:
            self._write(units)

    def _no_room(self, unit: AccessUnit) -> None:
        self.dropped_units += 1
        self._gaps.add(Anomaly(unit.track, unit.pts_ns, unit.end_ns, 1, "queue overflow"))

    def _write(self, units: Sequence[AccessUnit]) -> None:
        recording = self._recording
        assert recording is not None
        start = 0
        for at, unit in enumerate(units):
            if not starts_segment(unit):
                continue
            if self._rolls_over(recording, unit):
                self._feed(recording, units[start:at])
                recording, start = self._roll_over(recording), at
            if self._cut_here(recording, unit):
                self._feed(recording, units[start:at])
                recording, start = self._next_segment(recording, unit), at
        self._feed(recording, units[start:])
        self._commit(recording)

    def _rolls_over(self, recording: OpenRecording, unit: AccessUnit) -> bool:
        if recording.started_ns is None or recording.ending:
            return False
        return unit.pts_ns - recording.started_ns >= seconds(self._settings.rollover_min * 60)

    def _cut_here(self, recording: OpenRecording, unit: AccessUnit) -> bool:
        segment = recording.segment
        if segment is None:
            return True
        if unit.pts_ns - segment.start_ns >= seconds(self._settings.segment_s):
            return True
        return parameter_sets(unit.data) != segment.parameter_sets

    def _feed(self, recording: OpenRecording, units: Sequence[AccessUnit]) -> None:
        segment = recording.segment
        if segment is None:
            self._without_keyframe(units)
        if segment is None or not units:
            return
        if any(unit.pts_ns < segment.start_ns for unit in units):
            units = self._without_late(units, segment.start_ns)
        sealed = segment.feed(units)
        if sealed:
            recording.pending.append(sealed)
        if units:
            recording.end_ns = max(recording.end_ns, units[-1].end_ns)

    def _without_keyframe(self, units: Sequence[AccessUnit]) -> None:
        """Before its first keyframe a recording can't begin."""
        for unit in units:
            self._gaps.add(Anomaly(unit.track, unit.pts_ns, unit.end_ns, 1, "no keyframe yet"))

    def _without_late(self, units: Sequence[AccessUnit], start_ns: int) -> Sequence[AccessUnit]:
        """Sound that comes when its segment is closed has no place any more."""
        for unit in units:
            if unit.pts_ns < start_ns:
                self._gaps.add(Anomaly(unit.track, unit.pts_ns, unit.end_ns, 1, "too late"))
        return [unit for unit in units if unit.pts_ns >= start_ns]

    def _next_segment(self, recording: OpenRecording, first: AccessUnit) -> OpenRecording:
        """Starts a segment. The recording returned is another where the ledger was opened anew."""
        if recording.segment is not None:
            self._seal(recording)
        if recording.name.boot != self._vault_lane.boot:
            recording = self._continue(recording)
        recording.name = recording.name._replace(number=recording.name.number + 1)
        if recording.started_ns is None:
            recording.started_ns = first.pts_ns
        reading = self._board.clock.utc()
        age_ns = self._loop.now_ns() - first.pts_ns
        about = recording.about(first.pts_ns, reading._replace(utc_ns=reading.utc_ns - age_ns))
        inside = {"device": self._board.identity.device, "segment": str(recording.name), **about}
        if self.location:
            inside["location"] = self.location
        seal = Seal(self._recipients, self._board.entropy)
        segment = SealedSegment(self._media, first, seal, inside, self._pace)
        recording.segment = segment
        fields = {**about, "header": segment.header.decode(), "nonce": segment.nonce.hex()}
        if recording.name.number == recording.first_number:
            audio = self._settings.pre_event_audio
            fields |= recording.first_fields(self._media, pre_event_audio=audio)
        name, head, t_ns = str(recording.name), segment.header + segment.nonce, self._loop.now_ns()

        def opened() -> None:
            recording.introduced = True

        self._job(lambda vault: vault.open(name, head, t_ns, fields), opened)
        return recording

    # --- jobs ---------------------------------------------------------------------------------

    def _job(self, write: Callable[[Vault], Anchor], done: Callable[[], None]) -> None:
        """Writes on the disk lane. After a failure the outcomes of older jobs mean nothing: what
        they held is written again from memory."""
        generation = self._generation

        def finished(outcome: Outcome) -> None:
            if generation != self._generation:
                return
            if outcome.error is not None:
                self._failed(outcome.error)
            else:
                done()

        self._vault_lane.submit(write, finished)

    def _commit(self, recording: OpenRecording) -> None:
        """Hands pending chunks to the disk, one batch at a time: what comes meanwhile waits and
        shares the next sync."""
        segment = recording.segment
        if recording.in_flight or not recording.pending or segment is None:
            return
        data = b"".join(recording.pending)
        recording.pending.clear()
        recording.in_flight = True
        name, t_ns, until_ns = str(recording.name), self._loop.now_ns(), segment.video_until_ns
        fields = {"chunks": segment.chunks, "video_until_ns": until_ns}

        def committed() -> None:
            self._durable(len(data), until_ns)
            if recording.segment is segment:
                recording.in_flight = False
                self._commit(recording)

        self._job(lambda vault: vault.append(name, data, t_ns, fields), committed)

    def _seal(self, recording: OpenRecording) -> None:
        segment = recording.segment
        assert segment is not None
        data = b"".join([*recording.pending, segment.finish()])
        recording.pending.clear()
        fields = seal_fields(segment)
        name, t_ns, until_ns = str(recording.name), self._loop.now_ns(), segment.video_until_ns
        self._job(
            lambda vault: vault.seal(name, data, t_ns, fields),
            lambda: self._durable(len(data), until_ns),
        )
        recording.segment, recording.in_flight = None, False
        recording.segments += 1

    def _durable(self, length: int, video_until_ns: int) -> None:
        self.written_bytes += length
        self._backlog.durable(video_until_ns)
        self.on_durable(video_until_ns)

    # --- when it goes wrong -------------------------------------------------------------------

    def _failed(self, error: Exception) -> None:
        """Whatever job failed: leave the segment as it is and start over from memory."""
        recording, now_ns = self._recording, self._loop.now_ns()
        self._generation += 1
        if recording is None:
            return
        name = str(recording.name)
        recording.segment, recording.in_flight = None, False
        recording.pending.clear()
        if not recording.introduced:
            recording.first_number = recording.name.number + 1
        self.on_fault(name, error)
        if not isinstance(error, LedgerError):
            reason = getattr(error, "strerror", None) or str(error)
            self._vault_lane.note("fault", part="segment", segment=name, reason=reason)
        again = self._failed_ns is not None and now_ns - self._failed_ns < 2 * RETRY_NS
        self._failed_ns = now_ns
        self._start_over_at(now_ns + (RETRY_NS if again else 0))

    def _start_over_at(self, when_ns: int) -> None:
        if self._retry is None:
            self._retry = self._loop.call_at(when_ns, self._start_over)

    def _start_over(self) -> None:
        self._retry = None
        recording = self._recording
        if recording is None:
            return
        if not self._vault_lane.usable:
            self._start_over_at(self._loop.now_ns() + RETRY_NS)
            return
        if recording.name.boot != self._vault_lane.boot:
            recording = self._continue(recording)
        self._write(self._backlog.again())
        if recording.ending and self._deadline is None:
            self._finish(recording)

    def _watch_quiet(self) -> None:
        """When units stop coming, what waits is sealed all the same, within the loss bound."""
        if self._quiet:
            self._quiet.cancel()
        wait_ns = self._pace.batch_ns + self._pace.batch_ns // 2
        self._quiet = self._loop.call_at(self._loop.now_ns() + wait_ns, self._flush_quiet)

    def _flush_quiet(self) -> None:
        recording = self._recording
        if recording is None or self._deadline_passed() or self._retry is not None:
            return
        self._record(self._before_end(self._interleaver.flush()))
        if recording.segment is None:
            return
        sealed = recording.segment.flush()
        if sealed:
            recording.pending.append(sealed)
            self._commit(recording)

    def _write_gap(self, gap: Anomaly) -> None:
        recording = self._recording
        self._vault_lane.note(
            "gap",
            track=gap.track.name.lower(),
            from_ns=gap.from_ns,
            to_ns=gap.to_ns,
            units=gap.units,
            reason=gap.reason,
            **({"recording": recording.id} if recording else {}),
        )
