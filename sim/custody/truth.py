"""What the world knows: what was recorded, what people decided, and when. Times are true UTC."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field


@dataclass(slots=True)
class TrueRecording:
    """What a card got to hold between a press and its end. `files` are the contents' digests by
    name, as they lay on the card when it was last looked at. `clock_known`: the camera knew the
    time while it recorded."""

    camera: str
    name: str
    officers: frozenset[str]
    clock_known: bool
    began_ns: int
    ended_ns: int
    flagged: bool = False
    files: dict[str, str] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)  # by the camera, when
    first_docked_ns: int | None = None
    complete_ns: int | None = None  # when custody had received its last file

    @property
    def id(self) -> str:
        return f"{self.camera}/{self.name}"

    def overlaps(self, from_ns: int, to_ns: int, slack_ns: int = 0) -> bool:
        """With `slack_ns` below 0: surely."""
        return self.began_ns - slack_ns <= to_ns and self.ended_ns + slack_ns >= from_ns


@dataclass(slots=True)
class TrueHold:
    """A person's reason not to delete. Not `sure`: whoever placed it got no answer."""

    recording: str
    case: str
    since_ns: int
    sure: bool = False


@dataclass(slots=True)
class TrueRequest:
    """A letter from the public, as it was handed in. Without a number nobody got an answer."""

    number: str
    kind: str
    received: datetime.date
    asked_ns: int
    incident_ns: int
    from_ns: int
    to_ns: int
    cameras: tuple[str, ...]
    officers: tuple[str, ...]
    closed_ns: int | None = None

    def means(self, recording: TrueRecording, slack_ns: int = 0) -> bool:
        """Whether a recording shows what was asked for; with `slack_ns` below 0, surely."""
        named = set(self.officers)
        surely = recording.officers <= named
        return (
            recording.overlaps(self.from_ns, self.to_ns, slack_ns)
            and (not self.cameras or recording.camera in self.cameras)
            and (not named or surely or (slack_ns >= 0 and bool(recording.officers & named)))
        )


@dataclass
class Truth:
    """Of all cameras. `categories`: days by recording; more than one where an answer was lost.
    `releasing` and `released`: holds, as (recording, why), that two persons lift, or have."""

    recordings: dict[str, TrueRecording] = field(default_factory=dict)
    holds: list[TrueHold] = field(default_factory=list)
    requests: list[TrueRequest] = field(default_factory=list)
    categories: dict[str, set[int]] = field(default_factory=dict)
    releasing: set[tuple[str, str]] = field(default_factory=set)
    released: set[tuple[str, str]] = field(default_factory=set)
    lost_cards: set[str] = field(default_factory=set)  # cameras
    lost_objects: set[str] = field(default_factory=set)  # keys, of the store itself
