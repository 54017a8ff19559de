"""Power cuts at disk operations, with every class of tear. All of them in `make campaign`."""

from __future__ import annotations

import pytest

from hal.simulated.disk import SimulatedDisk
from sim.sweeps.power_cuts import Sweep, sample

BOUND_MS = 1200


@pytest.mark.parametrize(
    ("bitrate_bps", "points"), [(300_000, 50), (1_000_000, 50), (4_000_000, 40), (8_000_000, 30)]
)
def test_nothing_acknowledged_is_lost(bitrate_bps: int, points: int) -> None:
    """400 points each in `make ci`."""
    sweep = Sweep(bitrate_bps)
    outcome = sweep.run(sample(list(sweep.points()), points))
    assert outcome.points >= points
    assert outcome.failures == []
    assert 0 < outcome.worst_loss_ms <= BOUND_MS


def test_every_verb_is_cut() -> None:
    sweep = Sweep(1_000_000)
    verbs = {sweep.operations[point.number].verb for point in sweep.points()}
    assert verbs == {"create", "append", "sync", "rename"}


class ForgetfulDisk(SimulatedDisk):
    """Says that it synced, and did not: what a missing sync in the commit order would do."""

    def sync(self, path: str) -> None:
        self._operation("sync", path)
        if not path.startswith("ledger/"):
            super()._sync_names(path)


class NamelessDisk(SimulatedDisk):
    """Never makes names durable: what a missing directory sync would do."""

    def _sync_names(self, directory: str) -> None:
        return


@pytest.mark.parametrize("planted", [ForgetfulDisk, NamelessDisk])
def test_a_planted_bug_is_caught(planted: type[SimulatedDisk]) -> None:
    sweep = Sweep(300_000, disk=planted)
    outcomes = (sweep.run([point]) for point in sample(list(sweep.points()), 120))
    assert any(outcome.failures or outcome.worst_loss_ms > BOUND_MS for outcome in outcomes)
