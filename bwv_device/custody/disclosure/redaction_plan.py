"""What is to be covered and muted, as a person confirms it: redaction.json."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from bwv_device.errors import CustodyError
from bwv_device.files import read_small


@dataclass(frozen=True, slots=True)
class RedactionBox:
    """A part of the picture to be covered, in pixels, from one second to another."""

    from_s: float
    to_s: float
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Redaction:
    """What a person confirms before a redacted copy is made."""

    method: Literal["pixelate", "blur"] = "pixelate"
    boxes: list[RedactionBox] = field(default_factory=list)
    mute: list[tuple[float, float]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.as_dict(), indent=1) + "\n")

    def shifted(self, by_s: float) -> Redaction:
        """Times of a whole film as times of an excerpt that begins at `by_s`."""
        boxes = [
            RedactionBox(b.from_s - by_s, b.to_s - by_s, b.x, b.y, b.width, b.height)
            for b in self.boxes
        ]
        mute = [(start - by_s, stop - by_s) for start, stop in self.mute]
        return Redaction(self.method, boxes, mute)

    def within(self, length_s: float) -> Redaction:
        """What of it lies within a film of this length: no more is said to whom it goes."""
        boxes = [
            replace(box, from_s=max(0.0, box.from_s), to_s=min(length_s, box.to_s))
            for box in self.boxes
            if box.to_s > 0 and box.from_s < length_s
        ]
        mute = [(max(0.0, a), min(length_s, b)) for a, b in self.mute if b > 0 and a < length_s]
        return Redaction(self.method, boxes, mute)


def read_redaction(path: Path) -> Redaction:
    """Raises `CustodyError` if the file does not say what is to be covered."""
    try:
        return parse_redaction(json.loads(read_small(path)))
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise CustodyError(
            f"{path} is not a usable redaction: {error}.",
            "Start from the one that --propose writes.",
        ) from None


def _box(said: dict[str, Any]) -> RedactionBox:
    box = RedactionBox(**said)
    pixels = (box.x, box.y, box.width, box.height)
    if any(type(value) is not int for value in pixels) or not (
        math.isfinite(float(box.from_s)) and math.isfinite(float(box.to_s))
    ):
        raise ValueError(f"a box in other than whole pixels and seconds: {said}")
    return box


def parse_redaction(table: dict[str, Any]) -> Redaction:
    """Raises `ValueError`, `KeyError`, `TypeError` or `OverflowError`."""
    boxes = [_box(box) for box in table["boxes"]]
    mute = [(float(a), float(b)) for a, b in table.get("mute", [])]
    for start, stop in mute:
        if not (math.isfinite(start) and math.isfinite(stop)) or stop <= start:
            raise ValueError(f"an empty span of sound: {start} to {stop}")
    for box in boxes:
        if box.width <= 0 or box.height <= 0 or box.to_s <= box.from_s:
            raise ValueError(f"an empty box: {box}")
    if table.get("method", "pixelate") not in ("pixelate", "blur"):
        raise ValueError("method is pixelate or blur")
    return Redaction(table.get("method", "pixelate"), boxes, mute)
