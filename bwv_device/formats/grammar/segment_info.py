"""What stands in the `uuid` box of a segment (docs/format.md, 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from bwv_device.formats.grammar.forms import (
    Count,
    DeviceName,
    Moment,
    RecordingId,
    SegmentFile,
    Signed,
)
from bwv_device.formats.grammar.ledger_kinds import Time


@dataclass(frozen=True, slots=True)
class Location:
    latitude_e7: Signed
    longitude_e7: Signed
    error_m: Count


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """Whose it is, and when its first picture was taken."""

    device: DeviceName
    segment: SegmentFile
    recording: RecordingId
    index: Count
    first_pts_ns: Moment
    time: Time
    location: Location | None = None
