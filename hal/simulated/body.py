"""The rest of a simulated camera: clock, entropy, battery, dock, place, links, speaker.

Each has the agent's face (its port) and plain attributes for the world.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from hal.ports import (
    AccessUnit,
    Anchor,
    Fix,
    PowerReading,
    Scheduler,
    UtcReading,
)


class SimulatedClock:
    """Monotonic time is the world's; the wall clock is off by `offset_ns` and knows its error."""

    def __init__(self, scheduler: Scheduler, epoch_utc_ns: int) -> None:
        self._scheduler, self.epoch_utc_ns = scheduler, epoch_utc_ns
        self.offset_ns = 0
        self.error_ns = 20_000_000
        self.source = "rtc"

    def monotonic_ns(self) -> int:
        return self._scheduler.now_ns()

    def utc(self) -> UtcReading:
        now_ns = self.epoch_utc_ns + self._scheduler.now_ns() + self.offset_ns
        return UtcReading(now_ns, self.error_ns, self.source)

    def truth_utc_ns(self) -> int:
        return self.epoch_utc_ns + self._scheduler.now_ns()


class SeededEntropy:
    """Reproducible: SHAKE256 over seed and counter. Never for real keys."""

    def __init__(self, seed: str) -> None:
        self._seed, self._counter = seed.encode(), 0

    def token(self, length: int) -> bytes:
        self._counter += 1
        return hashlib.shake_256(self._seed + self._counter.to_bytes(8, "big")).digest(length)


class SimulatedPower:
    """A battery that drains linearly, and a charger."""

    def __init__(self, scheduler: Scheduler, minutes: int = 720) -> None:
        self._scheduler, self._minutes = scheduler, minutes
        self._since_ns, self._percent_then = scheduler.now_ns(), 100
        self.charging = False

    def read(self) -> PowerReading:
        percent = self.percent()
        left = None if self.charging else percent * self._minutes // 100
        return PowerReading(percent, self.charging, left)

    def percent(self) -> int:
        minutes = (self._scheduler.now_ns() - self._since_ns) // 60_000_000_000
        change = minutes * 100 // self._minutes * (4 if self.charging else -1)
        return max(0, min(100, self._percent_then + change))

    def set(self, percent: int, *, charging: bool = False) -> None:
        self._since_ns, self._percent_then = self._scheduler.now_ns(), percent
        self.charging = charging


class SimulatedDock:
    """The dock's contact."""

    def __init__(self, *, docked: bool = False) -> None:
        self._docked = docked
        self._listener: Callable[[bool], None] = lambda docked: None

    def docked(self) -> bool:
        return self._docked

    def listen(self, listener: Callable[[bool], None]) -> None:
        self._listener = listener

    def put(self, docked: bool) -> None:
        """The world puts the camera in, or takes it out."""
        self._docked = docked
        self._listener(docked)


class SimulatedLocation:
    def __init__(self) -> None:
        self.place: Fix | None = None

    def fix(self) -> Fix | None:
        return self.place


class SimulatedSpeaker:
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.broken = ""

    def say(self, notice: str) -> None:
        if self.broken:
            raise OSError(self.broken)
        self.said.append(notice)


class SimulatedUplink:
    """Remembers the newest anchors, as an evidence store does."""

    def __init__(self) -> None:
        self.anchors: list[Anchor] = []
        self.broken = ""

    def offer_anchor(self, anchor: Anchor) -> None:
        if self.broken:
            raise OSError(self.broken)
        self.anchors.append(anchor)


class Published(NamedTuple):
    at_ns: int
    topic: str
    payload: bytes
    retain: bool


class SimulatedMqtt:
    """Remembers every message, the newest of a topic first of all."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.messages: list[Published] = []

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        self.messages.append(Published(self._scheduler.now_ns(), topic, payload, retain))


class StubStills:
    """No picture, but a file that starts like a JPEG: for units that no decoder shows."""

    def jpeg(self, keyframe: AccessUnit) -> bytes:
        return b"\xff\xd8\xff\xe0" + hashlib.sha256(keyframe.data).digest() + b"\xff\xd9"
