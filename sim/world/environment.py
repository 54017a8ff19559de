"""The environment of the camera over time: place, light, network, temperature, true time."""

from __future__ import annotations

from hal.ports import SECOND_NS, Fix
from hal.simulated.capture import StubVideo
from hal.simulated.clock import Oscillator
from sim.random_streams import Draws
from sim.world.world import World

MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
# How long a time service needs once there is a network.
SYNCHRONISING_S = (5, 60)


class Nature:
    """Draws its course from streams of its own and moves the world along it until `calm`."""

    def __init__(self, world: World, draws: Draws) -> None:
        self._world = world
        self._place, self._network = draws.stream("place"), draws.stream("network")
        self._time = draws.stream("time")
        weather = draws.stream("weather")
        self._coldest_mc = weather.between(-15_000, 18_000)
        self._swing_mc = weather.between(2_000, 14_000)
        self._dawn_ns = weather.between(-3, 3) * HOUR_NS
        self.network = True
        oscillator = draws.stream("oscillator")
        world.clock.oscillator = Oscillator(
            oscillator.between(-200, 200),
            oscillator.between(0, 50_000_000),
            oscillator.between(600, 7200) * SECOND_NS,
        )
        world.power.temperature_mc = self.temperature_mc
        if isinstance(world.media.video, StubVideo):
            world.media.video.weight_permille = self.picture_permille
        self._calm = False

    def start(self) -> None:
        world = self._world
        self._world.location.place = Fix(
            self._place.between(514_000_000, 516_000_000), self._place.between(-3_000_000, 0), 8
        )
        world.loop.post(self._walk)
        world.loop.post(self._change_network)

    def calm(self) -> None:
        """No more trouble from outside: the network is there."""
        self._calm = True
        self._set_network(True)

    def temperature_mc(self, at_ns: int) -> int:
        """Outdoors, in thousandths of a degree: coldest at dawn, warmest half a day later."""
        phase_ns = (at_ns - self._dawn_ns) % DAY_NS
        since_coldest = min(phase_ns, DAY_NS - phase_ns)
        return self._coldest_mc + self._swing_mc * since_coldest // (DAY_NS // 2)

    def light_permille(self, at_ns: int) -> int:
        """Daylight, from 0 at night to 1000 at noon."""
        phase_ns = (at_ns + 2 * HOUR_NS - self._dawn_ns) % DAY_NS  # a shift starts in the morning
        return max(0, 1000 - abs(phase_ns - 6 * HOUR_NS) * 1000 // (8 * HOUR_NS))

    def picture_permille(self, second: int) -> int:
        """More light, more to see: how much a picture weighs, of the usual."""
        return 800 + self.light_permille(second * SECOND_NS) * 2 // 5

    # --- how it goes on -----------------------------------------------------------------------

    def _walk(self) -> None:
        """A few hundred metres a minute; indoors the place is lost."""
        before = self._world.location.place
        if before is None or self._place.chance(850):
            latitude, longitude = (before.latitude_e7, before.longitude_e7) if before else (0, 0)
            self._world.location.place = Fix(
                latitude + self._place.between(-3000, 3000),
                longitude + self._place.between(-3000, 3000),
                self._place.spread(3, 60),
            )
        self._world.loop.call_at(self._world.loop.now_ns() + MINUTE_NS, self._walk)

    def _change_network(self) -> None:
        if self._calm:
            return
        self._set_network(not self.network)
        mean_s = 600 if self.network else 120
        self._world.loop.call_at(
            self._world.loop.now_ns() + self._network.wait_ns(mean_s), self._change_network
        )

    def _set_network(self, there: bool) -> None:
        self.network = self._world.broker.reachable = there
        self._world.uplink.broken = "" if there else "the network is unreachable"
        if there:
            wait_ns = self._time.between(*SYNCHRONISING_S) * SECOND_NS
            self._world.loop.call_at(self._world.loop.now_ns() + wait_ns, self._synchronise)

    def _synchronise(self) -> None:
        """The time service gets through, with an error that it knows."""
        if self.network:
            error_ns = self._time.spread(1_000_000, 200_000_000)
            self._world.clock.set(self._time.between(-error_ns, error_ns), error_ns, "ntp")
