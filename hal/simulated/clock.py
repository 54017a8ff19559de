"""The clocks of a camera without a real-time clock: monotonic time since boot, and a wall clock
that may be unset, drift or step, with its error.
"""

from __future__ import annotations

from typing import NamedTuple

from hal.ports import SECOND_NS, Scheduler, UtcReading

# What nobody has set may be off by anything: more than a century either way.
UNKNOWN_ERROR_NS = 1 << 62
# How much a kernel lets its estimate grow while nothing corrects it: 500 ppm (adjtimex(2)).
HOLDOVER_PPM = 500


class Oscillator(NamedTuple):
    """How far a crystal has run away after some time: steadily, and to and fro with its warmth."""

    rate_ppm: int = 0
    swing_ns: int = 0
    period_ns: int = 3600 * SECOND_NS

    def error_ns(self, elapsed_ns: int) -> int:
        phase = elapsed_ns % self.period_ns * 4 // self.period_ns
        within = elapsed_ns % self.period_ns * 4 % self.period_ns
        rising = self.swing_ns * within // self.period_ns
        swing = (rising, self.swing_ns - rising, -rising, rising - self.swing_ns)[phase]
        return elapsed_ns * self.rate_ppm // 1_000_000 + swing


class SimulatedClock:
    """The agent's face: `hal.ports.Clock`. The world's: `boot`, `set`, `step`, `lose`.

    `offset_ns` is the wall clock's distance from the truth when it was last set, `error_ns` what
    the camera believed of it then.
    """

    def __init__(self, scheduler: Scheduler, epoch_utc_ns: int) -> None:
        self._scheduler, self.epoch_utc_ns = scheduler, epoch_utc_ns
        self.oscillator = Oscillator()
        self.offset_ns = self.stepped_ns = 0
        self.error_ns = 20_000_000
        self.source = "rtc"
        self._set_ns = scheduler.now_ns()
        self._origin_ns = 0

    # --- the agent's face ---------------------------------------------------------------------

    def monotonic_ns(self) -> int:
        return self._scheduler.now_ns() - self._origin_ns

    def utc(self) -> UtcReading:
        elapsed_ns = self._scheduler.now_ns() - self._set_ns
        offset_ns = self.offset_ns + self.stepped_ns + self.oscillator.error_ns(elapsed_ns)
        error_ns = self.error_ns
        if self.source != "none" and self.oscillator != Oscillator():
            error_ns += elapsed_ns * HOLDOVER_PPM // 1_000_000
        # No kernel sets its clock to before 1970.
        utc_ns = max(0, self.truth_utc_ns() + offset_ns)
        return UtcReading(utc_ns, error_ns, self.source)

    # --- the world's face ---------------------------------------------------------------------

    def truth_utc_ns(self) -> int:
        return self.epoch_utc_ns + self._scheduler.now_ns()

    def boot(self, origin_ns: int) -> None:
        """The camera was switched on: monotonic time counts from `origin_ns` of the world. A chip
        with a battery kept what the wall clock was set to."""
        self._origin_ns, self.stepped_ns = origin_ns, 0
        if self.source != "none":
            self.source = "rtc"

    def set_for_ns(self) -> int:
        """How long ago somebody set it."""
        return self._scheduler.now_ns() - self._set_ns

    def unset(self, utc_ns: int = 0) -> None:
        """Nobody knows the time: the wall clock runs from some date on, by default 1970."""
        self._put(utc_ns - self.truth_utc_ns(), UNKNOWN_ERROR_NS, "none")

    def set(self, offset_ns: int, error_ns: int, source: str) -> None:
        """Somebody sets it, right to within `error_ns` if |offset_ns| is no more than that."""
        self._put(offset_ns, error_ns, source)

    def step(self, by_ns: int) -> None:
        """It jumps; what it says of itself stays as it was. Setting it anew puts it right."""
        self.stepped_ns += by_ns

    def _put(self, offset_ns: int, error_ns: int, source: str) -> None:
        self.offset_ns, self.error_ns, self.source = offset_ns, error_ns, source
        self.stepped_ns = 0
        self._set_ns = self._scheduler.now_ns()
