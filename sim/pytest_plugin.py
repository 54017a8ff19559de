"""Fixtures for other projects: a camera in a world, in virtual time (docs/simulator.md).

    def test_a_power_cut_loses_nothing_that_was_acknowledged(bwv_camera):
        bwv_camera.press_twice()
        bwv_camera.world.run(seconds=40)
        bwv_camera.power_cut()
        bwv_camera.boot()
        bwv_camera.world.run(seconds=2)
        assert bwv_camera.vault.verify().ok

Imports nothing heavy until a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sim.world.camera_handle import Camera
    from sim.world.test_keys import BenchAgency


@pytest.fixture(scope="session")
def bwv_agency() -> BenchAgency:
    """An agency with keys in memory, the same in every run."""
    from sim.world.test_keys import BenchAgency  # noqa: PLC0415

    return BenchAgency()


@pytest.fixture
def bwv_camera_factory(bwv_agency: BenchAgency) -> Callable[..., Camera]:
    """Makes cameras: `factory(seed="7", boot=False, docked=True, recording={"pre_event_s": 60})`.
    Sections and settings are those of config.toml."""
    from sim.world.camera_handle import make_camera  # noqa: PLC0415

    def factory(**wishes: Any) -> Camera:
        return make_camera(bwv_agency, **wishes)

    return factory


@pytest.fixture
def bwv_camera(bwv_camera_factory: Callable[..., Camera]) -> Camera:
    """A camera with default settings that was switched on two seconds ago and is ready."""
    camera = bwv_camera_factory()
    camera.world.run(seconds=2)
    return camera


@pytest.fixture
def bwv_shift() -> Callable[..., Any]:
    """Plays a drawn shift and gives what the oracle found: `bwv_shift(seed=7).findings`."""
    from sim.shifts.drawn_shift import Shift, play  # noqa: PLC0415

    def shift(seed: int, duration_s: int = 1800, faults: tuple[str, ...] = ("swarm",)) -> Any:
        return play(Shift(seed, duration_s, faults))

    return shift
