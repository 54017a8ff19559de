"""Names of files in a vault (docs/format.md, 2)."""

from __future__ import annotations

from typing import NamedTuple

FOOTAGE = "footage"


PART = ".part"


READ_BLOCK = 1 << 20


class SegmentName(NamedTuple):
    """Identity and order of a file: boot counter, recording of that boot, number within it."""

    boot: int
    recording: int
    number: int
    suffix: str = ".mp4.age"

    @property
    def recording_id(self) -> str:
        return f"{self.boot:08d}-{self.recording:04d}"

    def __str__(self) -> str:
        return f"{self.recording_id}-{self.number:04d}{self.suffix}"
