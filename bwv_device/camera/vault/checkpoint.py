"""What a boot has to know of the boots before it, so that it need not read all of them.

A `checkpoint` line repeats it wherever nothing is open: the next boot reads no further back
(docs/format.md, 3.8). Without it a camera that is not switched off for weeks would read weeks.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from bwv_device.formats import canonical_json
from bwv_device.formats.vault_layout import SegmentName

KIND = "checkpoint"
STILL = ".jpg.age"


class Standing:
    """The newest assignment, the command that named an officer since, and the largest counter of a
    command ever accepted; and of a boot's files which are finished. Feed it lines in order."""

    def __init__(self) -> None:
        self.assignment: dict[str, str] | None = None
        self.officer: dict[str, str] | None = None
        self.commands = 0
        self._recording = ""
        self._stills = 0
        self._checkpoints: dict[int, tuple[str, int]] = {}  # by boot: recording, stills

    def follow(self, kind: str, fields: Mapping[str, Any]) -> None:
        """A line that this camera wrote, in the form of its kind."""
        if kind == "assignment":
            self.assignment, self.officer = _kept(fields), None
        elif kind == "officer":
            self.officer = _kept(fields)
        elif kind == "command":
            with suppress(ValueError):
                said = canonical_json.decode(fields["statement"].rpartition("\t")[0].encode())
                self._counted(said.get("counter"))
        elif kind == "recovery":
            self._counted(fields.get("commands"))
        elif kind in ("seal", "still"):
            self._finished(str(fields["segment"]))
        elif kind == KIND:
            self._checkpoint(fields)

    def covers(self, name: SegmentName) -> bool:
        """Whether a checkpoint said that this file of its boot is finished."""
        recording, stills = self._checkpoints.get(name.boot, ("", 0))
        if name.suffix == STILL:
            return name.number <= stills
        return name.recording_id <= recording

    def line(self, offset: int) -> dict[str, Any]:
        """The fields of a checkpoint that will stand at `offset`: so a copy of it elsewhere, which
        would take the camera back to what it knew then, is none."""
        said: dict[str, Any] = {"offset": offset, "recording": self._recording}
        said["stills"] = self._stills
        if self.commands:
            said["commands"] = self.commands
        kept = {"assignment": self.assignment, "officer": self.officer}
        return said | {name: value for name, value in kept.items() if value is not None}

    def _counted(self, counter: Any) -> None:
        if type(counter) is int:
            self.commands = max(self.commands, counter)

    def _finished(self, segment: str) -> None:
        name = SegmentName.parse(segment)
        if name is None:
            return
        if name.suffix == STILL:
            self._stills = max(self._stills, name.number)
        else:
            self._recording = max(self._recording, name.recording_id)

    def _checkpoint(self, fields: Mapping[str, Any]) -> None:
        said = fields["recording"]
        if said:
            self._checkpoints[int(said[:8])] = (said, fields["stills"])
        self._counted(fields.get("commands"))
        self.assignment = _kept(fields["assignment"]) if "assignment" in fields else None
        self.officer = _kept(fields["officer"]) if "officer" in fields else None


def _kept(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(fields[name]) for name in ("statement", "certificate")}
