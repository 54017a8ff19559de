"""One segment: units → fragments → age chunks, with a bound on what may wait unsealed.

No clock, no disk. A chunk that would wait too long for the next fragment is filled up with an
ISO BMFF `free` box; the file key never leaves this object's seal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from bwv_device.camera.recording.video_signer import VideoSigner
from bwv_device.formats import canonical_json
from bwv_device.formats.age_payload import CHUNK, Seal
from bwv_device.formats.media.h264 import parameter_sets
from bwv_device.formats.media.mp4_writer import (
    FREE_HEADER,
    Fragment,
    FragmentWriter,
    free_box,
    init_segment,
)
from hal.ports import AccessUnit, AudioFormat, Track, VideoFormat

# Times of pictures that follow each other may be off by this much.
ROUNDING_NS = 1_000_000


class MediaFormat(NamedTuple):
    video: VideoFormat
    audio: AudioFormat


class Pace(NamedTuple):
    """How long bytes may wait: `patience_ns` is what a unit may age before its chunk is filled up,
    counted to the moment when the next fragment is expected at the latest."""

    fragment_ns: int
    batch_ns: int
    patience_ns: int


class SealedSegment:
    """Takes units from a keyframe on, returns sealed bytes; `finish` once."""

    def __init__(
        self,
        media: MediaFormat,
        first: AccessUnit,
        seal: Seal,
        metadata: Mapping[str, Any],
        pace: Pace,
        signer: VideoSigner | None = None,
    ) -> None:
        """With a `signer` each picture waits for the next: the segment's last one carries the last
        statement."""
        sets = parameter_sets(first.data)
        if sets is None:
            raise ValueError("a segment starts with a keyframe that carries its parameter sets")
        self.header, self.nonce = seal.header, seal.nonce
        self.parameter_sets = sets
        self.start_ns = self.end_ns = first.pts_ns
        self.plaintext_length = 0
        self.units = [0, 0]
        self.video_until_ns = first.pts_ns  # end of the newest picture inside sealed chunks
        self._seal, self._pace, self._signer = seal, pace, signer
        self._held: AccessUnit | None = None
        self._hold_ns = first.duration_ns if signer else 0
        self._digest = hashlib.sha256()
        rate_hz, start_ns = media.audio.sample_rate_hz, first.pts_ns
        self._fragments = FragmentWriter(rate_hz, pace.fragment_ns, start_ns)
        # About a kilobyte: it waits in the first chunk.
        self._take(init_segment(media.video, sets, media.audio, canonical_json.encode(metadata)))
        self._oldest_waiting_ns: int | None = None
        self._newest_video_ns = self._end_before_fragment_ns = first.pts_ns

    @property
    def chunks(self) -> int:
        return self._seal.chunks

    @property
    def plaintext_sha256(self) -> str:
        return self._digest.hexdigest()

    def feed(self, units: Iterable[AccessUnit]) -> list[bytes]:
        """Takes units in order of capture; returns the chunks they filled, often none."""
        sealed: list[bytes] = []
        for unit in units:
            self.units[unit.track] += 1
            ready = self._signed(unit) if self._signer and unit.track is Track.VIDEO else unit
            if ready is not None:
                for fragment in self._fragments.feed(ready):
                    sealed += self._add(fragment)
        return sealed

    def _signed(self, unit: AccessUnit) -> AccessUnit | None:
        """The picture before this one."""
        assert self._signer is not None
        held, self._held = self._held, self._signer.take(unit)
        return held

    def flush(self) -> list[bytes]:
        """Seals everything that waits, when no more units come."""
        sealed: list[bytes] = []
        for fragment in [*self._release(self._held), *self._fragments.flush()]:
            sealed += self._add(fragment)
        if self._seal.unsealed:
            sealed += self._fill()
        return sealed

    def finish(self) -> list[bytes]:
        """Returns the rest, and the final chunk."""
        last = self._held
        if self._signer is not None and last is not None:
            last = self._signer.finish(last)
        elif self._signer is not None:
            self._signer.carry_over()
        sealed: list[bytes] = []
        for fragment in self._release(last):
            sealed += self._add(fragment)
        for fragment in self._fragments.flush():
            sealed += self._add(fragment, last=True)
        if not self._seal.unsealed:
            sealed += self._take(free_box(FREE_HEADER))
        sealed.append(self._seal.finish())
        self.video_until_ns = self._newest_video_ns
        return sealed

    def _release(self, held: AccessUnit | None) -> list[Fragment]:
        self._held = None
        return self._fragments.feed(held) if held is not None else []

    def _add(self, fragment: Fragment, *, last: bool = False) -> list[bytes]:
        sealed = self._take(fragment.data)
        self.end_ns = max(self.end_ns, fragment.end_ns)
        self._end_before_fragment_ns = self._newest_video_ns
        if fragment.video:
            self._newest_video_ns = fragment.video[-1].end_ns
        self._note_waiting(fragment)
        if self._oldest_waiting_ns is not None and not last and self._would_wait_too_long(fragment):
            sealed += self._fill()
        return sealed

    def _would_wait_too_long(self, fragment: Fragment) -> bool:
        assert self._oldest_waiting_ns is not None
        next_chance_ns = fragment.end_ns + self._pace.fragment_ns + self._pace.batch_ns
        next_chance_ns += self._hold_ns
        return next_chance_ns - self._oldest_waiting_ns > self._pace.patience_ns

    def _note_waiting(self, fragment: Fragment) -> None:
        """Works out from the end which units are not wholly inside sealed chunks."""
        waiting = self._seal.unsealed
        if waiting == 0:
            self._oldest_waiting_ns = None
            self.video_until_ns = self._newest_video_ns
            return
        if waiting > sum(fragment.sizes) or not fragment.video:
            if waiting <= len(fragment.data) or self._oldest_waiting_ns is None:
                self._oldest_waiting_ns = fragment.start_ns
                self._video_sealed_before(fragment)
            return
        for at in reversed(range(len(fragment.video))):
            self._oldest_waiting_ns = fragment.video[at].pts_ns
            self.video_until_ns = self._end_before(fragment, at)
            waiting -= fragment.sizes[at]
            if waiting <= 0:
                return

    def _video_sealed_before(self, fragment: Fragment) -> None:
        if fragment.video:
            self.video_until_ns = max(self.video_until_ns, self._end_before(fragment, 0))

    def _end_before(self, fragment: Fragment, at: int) -> int:
        """The end of the picture before this one: where pictures are missing in between, that is
        long before its time, and the light must not speak of them."""
        next_ns = fragment.video[at].pts_ns
        end_ns = fragment.video[at - 1].end_ns if at else self._end_before_fragment_ns
        return next_ns if next_ns - end_ns < ROUNDING_NS else end_ns

    def _fill(self) -> list[bytes]:
        """Fills the open chunk up. A rest of 1-7 bytes can't hold a box: the next chunk then."""
        missing = CHUNK - self._seal.unsealed
        sealed: list[bytes] = []
        if missing:
            sealed = self._take(free_box(missing if missing >= FREE_HEADER else missing + CHUNK))
        sealed.append(self._seal.flush())
        self._oldest_waiting_ns = None
        self.video_until_ns = self._newest_video_ns
        return sealed

    def _take(self, plaintext: bytes) -> list[bytes]:
        self._digest.update(plaintext)
        self.plaintext_length += len(plaintext)
        return self._seal.feed(plaintext)


def starts_segment(unit: AccessUnit) -> bool:
    return unit.keyframe and unit.track is Track.VIDEO
