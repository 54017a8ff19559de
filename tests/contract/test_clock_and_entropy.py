from __future__ import annotations

import pytest

from hal.host import HostClock, HostEntropy
from hal.ports import Clock, Entropy
from hal.simulated.clock import SimulatedClock
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.world.virtual_loop import VirtualLoop


@pytest.fixture(params=["simulated", "host"])
def clock(request: pytest.FixtureRequest) -> Clock:
    return HostClock() if request.param == "host" else SimulatedClock(VirtualLoop(7), 10**18)


@pytest.fixture(params=["simulated", "host"])
def entropy(request: pytest.FixtureRequest) -> Entropy:
    return HostEntropy() if request.param == "host" else SeededEntropy("test")


def test_monotonic_time_never_goes_back(clock: Clock) -> None:
    readings = [clock.monotonic_ns() for _ in range(100)]
    assert readings == sorted(readings)


def test_utc_carries_error_and_source(clock: Clock) -> None:
    reading = clock.utc()
    assert reading.utc_ns > 0
    assert reading.error_ns > 0
    assert reading.source in ("none", "rtc", "ntp", "store")


def test_tokens_have_the_length_and_differ(entropy: Entropy) -> None:
    tokens = [entropy.token(16) for _ in range(50)]
    assert {len(token) for token in tokens} == {16}
    assert len(set(tokens)) == 50
