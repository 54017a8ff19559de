"""Brings one segment at a time to the disk: open, append, seal, and the `close` line.

Rules:

- A segment is opened at a keyframe; its `open` line follows its header.
- Batches are synced one at a time. What comes meanwhile waits and shares the next sync.
- After a failure the segment is left as it is, whatever job failed. The outcomes of the jobs
  before it mean nothing any more: their units are written again from memory (`recording_writer`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bwv_device.camera.loop import Loop, Outcome
from bwv_device.camera.recording.recording import OpenRecording, seal_fields
from bwv_device.camera.recording.segment import SealedSegment
from bwv_device.camera.vault.vault import Vault
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.formats.vault_layout import SegmentName
from hal.ports import AccessUnit, Anchor


class SegmentWriterState(enum.Enum):
    """How far the current segment is on the disk."""

    CLOSED = "no segment: the next keyframe opens one"
    OPEN = "a segment is open, none of its bytes on their way"
    SYNCING = "a batch is on its way to the disk"


class SegmentObserver(Protocol):
    """Is called when jobs end, on the loop."""

    def durable(self, video_until_ns: int) -> None:
        """All pictures up to this time are on the disk."""
        ...

    def segment_failed(self, error: Exception) -> None:
        """The disk refused a job; the segment is given up."""
        ...


class SegmentWriter:
    """Open, feed, commit, seal; `close` ends a recording."""

    def __init__(self, loop: Loop, vault_lane: VaultLane, observer: SegmentObserver) -> None:
        self._loop, self._vault_lane, self._observer = loop, vault_lane, observer
        self.state = SegmentWriterState.CLOSED
        self.segment: SealedSegment | None = None
        self._name = ""
        self._pending: list[bytes] = []
        self._generation = 0
        self.sealed_bytes = 0  # sealed, and not durable yet

    def open(self, name: SegmentName, segment: SealedSegment, fields: Mapping[str, Any],
             opened: Callable[[], None]) -> None:  # fmt: skip
        """Starts a segment; `opened` follows when its `open` line is durable."""
        self.segment, self._name = segment, str(name)
        self.state = SegmentWriterState.OPEN
        head, t_ns = segment.header + segment.nonce, self._loop.now_ns()
        opening = {**fields, "header": segment.header.decode(), "nonce": segment.nonce.hex()}
        path = self._name
        self._job(lambda vault: vault.open(path, head, t_ns, opening), opened)

    def feed(self, units: Sequence[AccessUnit]) -> None:
        """Seals units into chunks; they wait for the next `commit`."""
        assert self.segment is not None
        self._wait(self.segment.feed(units))

    def flush(self) -> None:
        """No more units come for now: what waits in the open chunk is sealed and committed."""
        if self.segment is not None and (sealed := self.segment.flush()):
            self._wait(sealed)
            self.commit()

    def commit(self) -> None:
        """Hands what is sealed to the disk, unless a batch is on its way already."""
        segment = self.segment
        if self.state is not SegmentWriterState.OPEN or not self._pending or segment is None:
            return
        chunks, self._pending = self._pending, []
        length = sum(map(len, chunks))
        self.state = SegmentWriterState.SYNCING
        name, t_ns, until_ns = self._name, self._loop.now_ns(), segment.video_until_ns
        fields = {"chunks": segment.chunks, "video_until_ns": until_ns}

        def committed() -> None:
            self.sealed_bytes -= length
            self._observer.durable(until_ns)
            if self.segment is segment:
                self.state = SegmentWriterState.OPEN
                self.commit()

        self._job(lambda vault: vault.append(name, chunks, t_ns, fields), committed)

    def seal(self) -> None:
        """Ends the segment with its last chunk. Nothing happens where none is open."""
        segment = self.segment
        if segment is None:
            return
        self._wait(segment.finish())
        (chunks, self._pending), fields = (self._pending, []), seal_fields(segment)
        length = sum(map(len, chunks))
        name, t_ns, until_ns = self._name, self._loop.now_ns(), segment.video_until_ns

        def sealed() -> None:
            self.sealed_bytes -= length
            self._observer.durable(until_ns)

        self._job(lambda vault: vault.seal(name, chunks, t_ns, fields), sealed)
        self._leave()

    def close(self, recording: OpenRecording, closed: Callable[[], None]) -> None:
        """The last segment, and the `close` line; `closed` follows when that is durable."""
        last = self._name if self.segment is not None else ""
        self.seal()
        name, fields, t_ns = recording.id, recording.close_fields(), self._loop.now_ns()
        self._job(lambda vault: vault.close(name, last, t_ns, fields), closed)

    def abandon(self) -> None:
        """What is under way means nothing any more: nothing of it is written again."""
        self._give_up()

    def _wait(self, sealed: Sequence[bytes]) -> None:
        self._pending += sealed
        self.sealed_bytes += sum(map(len, sealed))

    def _leave(self) -> None:
        self.segment, self.state = None, SegmentWriterState.CLOSED

    def _give_up(self) -> None:
        self._generation += 1
        self._leave()
        self._pending, self.sealed_bytes = [], 0

    def _job(self, write: Callable[[Vault], Anchor], done: Callable[[], None]) -> None:
        generation = self._generation

        def finished(outcome: Outcome) -> None:
            if generation != self._generation:
                return
            if outcome.error is None:
                done()
                return
            self._give_up()
            self._observer.segment_failed(outcome.error)

        self._vault_lane.submit(write, finished)
