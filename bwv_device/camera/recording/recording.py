"""One recording in progress, and what the ledger says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from bwv_device.camera.recording.pre_event_buffer import PreEvent
from bwv_device.camera.recording.segment import MediaFormat, SealedSegment
from bwv_device.formats.vault_layout import SegmentName
from hal.ports import Track, UtcReading


class RecordingRequest(NamedTuple):
    """Why a recording starts, and for whom."""

    trigger: str
    officer: str
    at_ns: int
    follows: str = ""
    location: dict[str, int] | None = None


@dataclass(slots=True)
class OpenRecording:
    """`name` is that of its newest segment; `ending` is why it ends, once known."""

    name: SegmentName
    request: RecordingRequest
    pre_event: PreEvent | None
    first_number: int = 1  # of the segment whose `open` line tells how the recording began
    introduced: bool = False
    ending: str = ""
    started_ns: int | None = None
    end_ns: int = 0

    @property
    def id(self) -> str:
        return self.name.recording_id

    def about(self, first_pts_ns: int, reading: UtcReading) -> dict[str, Any]:
        """The fields of a segment, inside the seal and in its `open` line."""
        return {
            "recording": self.id,
            "index": self.name.number,
            "first_pts_ns": first_pts_ns,
            "time": reading._asdict(),
        }

    def first_fields(self, media: MediaFormat, *, pre_event_audio: bool) -> dict[str, Any]:
        """Further fields of the first segment's `open` line."""
        fields: dict[str, Any] = {
            "trigger": self.request.trigger,
            "officer": self.request.officer,
            "pressed_ns": self.request.at_ns,
            "video": media.video._asdict(),
            "audio": {
                "sample_rate_hz": media.audio.sample_rate_hz,
                "bitrate_bps": media.audio.bitrate_bps,
            },
        }
        if self.request.follows:
            fields["follows"] = self.request.follows
        if self.pre_event is not None:
            fields["pre_event"] = {
                "requested_ms": self.pre_event.requested_ns // 1_000_000,
                "achieved_ms": self.pre_event.achieved_ns // 1_000_000,
                "shortfall": self.pre_event.shortfall,
                "audio": "recorded" if pre_event_audio else "not captured by policy",
            }
        return fields

    def close_fields(self) -> dict[str, Any]:
        """What the vault does not know of a recording's end."""
        start_ns = self.end_ns if self.started_ns is None else self.started_ns
        return {
            "reason": self.ending,
            "duration_ms": max(0, self.end_ns - start_ns) // 1_000_000,
        }


def seal_fields(segment: SealedSegment) -> dict[str, Any]:
    """The fields of a `seal` line beside length and digest."""
    return {
        "chunks": segment.chunks,
        "plaintext_length": segment.plaintext_length,
        "plaintext_sha256": segment.plaintext_sha256,
        "video_units": segment.units[Track.VIDEO],
        "audio_units": segment.units[Track.AUDIO],
        "first_pts_ns": segment.start_ns,
        "end_pts_ns": segment.end_ns,
    }
