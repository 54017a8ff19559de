"""The other parts of a simulated camera: entropy, battery, dock, location, speaker.

The agent uses their ports; the world sets their plain attributes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from hal.ports import SECOND_NS, AccessUnit, Fix, PowerReading, Scheduler

# Stands in all stub content, so that nothing can be written in clear unseen.
MARKER = b"PLAINTEXT-MARKER-b2c7"

FULL_PPM = 1_000_000
MINUTE_NS = 60 * SECOND_NS
# Lithium cells give about a third less at -20 °C: here the drain doubles at 40 K below comfort.
COMFORT_MC = 20_000
COLD_MC = 40_000


class SeededEntropy:
    """Reproducible: SHAKE256 over seed and counter. Never for real keys."""

    def __init__(self, seed: str) -> None:
        self._seed, self._counter = seed.encode(), 0

    def token(self, length: int) -> bytes:
        self._counter += 1
        return hashlib.shake_256(self._seed + self._counter.to_bytes(8, "big")).digest(length)


class SimulatedPower:
    """A battery that drains by the minute, faster in the cold, and a charger."""

    def __init__(self, scheduler: Scheduler, minutes: int = 720) -> None:
        self._scheduler, self._minutes = scheduler, minutes
        self._since_ns = scheduler.now_ns()
        self._ppm = FULL_PPM
        self.temperature_mc: Callable[[int], int] = lambda at_ns: COMFORT_MC
        self.charging = False
        self.undervoltage = False
        self.board_c: int | None = None
        self.broken = ""

    # --- the agent's face ---------------------------------------------------------------------

    def read(self) -> PowerReading:
        if self.broken:
            raise OSError(self.broken)
        percent = self.percent()
        left = None if self.charging else percent * self._minutes // 100
        return PowerReading(percent, self.charging, left, self.undervoltage, self.board_c)

    # --- the world's face ---------------------------------------------------------------------

    def percent(self) -> int:
        self._spend()
        return self._ppm * 100 // FULL_PPM

    def set(self, percent: int, *, charging: bool = False) -> None:
        self._since_ns, self._ppm = self._scheduler.now_ns(), percent * FULL_PPM // 100
        self.charging = charging

    def _spend(self) -> None:
        """Charges or drains for every whole minute since the last look."""
        while self._scheduler.now_ns() - self._since_ns >= MINUTE_NS:
            self._since_ns += MINUTE_NS
            a_minute = FULL_PPM // self._minutes
            if self.charging:
                self._ppm = min(FULL_PPM, self._ppm + 4 * a_minute)
            else:
                cold_mc = max(0, COMFORT_MC - self.temperature_mc(self._since_ns))
                self._ppm = max(0, self._ppm - a_minute * (COLD_MC + cold_mc) // COLD_MC)


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
    """Remembers what was said; `hear` is called with each notice."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.broken = ""
        self.hear: Callable[[str], None] = lambda notice: None

    def say(self, notice: str) -> None:
        if self.broken:
            raise OSError(self.broken)
        self.said.append(notice)
        self.hear(notice)


class SimulatedVitals:
    """A computer in good health."""

    def read(self) -> dict[str, int]:
        return {"memory_available_kib": 200_000, "rss_kib": 60_000}


class StubStills:
    """No picture, but a file that starts like a JPEG: for units that no decoder shows."""

    def jpeg(self, keyframe: AccessUnit) -> bytes:
        digest = hashlib.sha256(keyframe.data).digest()
        return b"\xff\xd8\xff\xe0" + MARKER + digest + b"\xff\xd9"
