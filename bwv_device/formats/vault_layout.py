"""Names of files in a vault (docs/format.md, 2)."""

from __future__ import annotations

import re
from typing import NamedTuple

FOOTAGE = "footage"
# A release on its way: no evidence.
UPDATE, UPDATE_FILES = "update", ("wanted", "wanted.part", "bundle")


PART = ".part"


READ_BLOCK = 1 << 20

# The highest number that a name has room for: of a recording in its boot, of a file in it.
LAST_NUMBER = 9999

_NAME = re.compile(r"([0-9]{8})-([0-9]{4})-([0-9]{4})(\.(?:mp4|jpg)\.age)")
_RECORDING = re.compile(r"[0-9]{8}-[0-9]{4}")


class SegmentName(NamedTuple):
    """Identity and order of a file: boot counter, recording of that boot, number within it."""

    boot: int
    recording: int
    number: int
    suffix: str = ".mp4.age"

    @property
    def recording_id(self) -> str:
        return f"{self.boot:08d}-{self.recording:04d}"

    @classmethod
    def parse(cls, name: str) -> SegmentName | None:
        """The parts of a file's name; None if it is not a name of ours (docs/format.md, 2).

        ASCII digits only: every reader of a vault must agree on what is footage.
        """
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        boot, recording, number, suffix = found.groups()
        return cls(int(boot), int(recording), int(number), suffix)

    def __str__(self) -> str:
        return f"{self.recording_id}-{self.number:04d}{self.suffix}"


def recording_of(name: str) -> str:
    """The recording that a file belongs to, by the file's name."""
    return name[: len("00000000-0000")]


def is_recording_id(text: str) -> bool:
    """Whether `text` has the form of `SegmentName.recording_id`."""
    return _RECORDING.fullmatch(text) is not None
