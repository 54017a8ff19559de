"""Updates drawn from seeds: whatever happens, one of the released systems starts."""

from __future__ import annotations

import pytest

from bwv_device.camera.update import updates
from hal.simulated.slots import SimulatedSlots
from sim.sweeps import drawn_updates
from sim.sweeps.drawn_updates import DrawnUpdate


def test_one_of_the_two_starts_whatever_happens() -> None:
    outcome = drawn_updates.run(range(12))
    assert outcome.failures == []
    assert outcome.counts["kept"] >= 5
    assert outcome.counts["power cuts"] >= 20
    assert outcome.counts["slots torn"] >= 1


def failures(seeds: range) -> set[str]:
    found: set[str] = set()
    for seed in seeds:
        played = DrawnUpdate(seed)
        played.play()
        found.update(failure.split(",")[0] for failure in played.failures)
        if found:
            break
    return found


def test_a_release_that_is_kept_unseen_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: it is kept as soon as it runs, without a look at its pictures."""
    monkeypatch.setattr(updates.Updates, "_begin_trial", lambda self: self._keep())
    assert any("starts" in failure for failure in failures(range(40)))


def test_a_slot_that_starts_torn_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a machine that chooses a slot before it is written."""
    install = SimulatedSlots.install

    def chosen_first(self: SimulatedSlots, bundle: str) -> None:
        self.starts = 1 - self.runs
        install(self, bundle)

    monkeypatch.setattr(SimulatedSlots, "install", chosen_first)
    assert failures(range(40))


def test_a_trial_that_undocking_ends_without_an_end_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it was: taken out of the dock, nobody waited for pictures any more."""
    undocked = updates.Updates.undocked

    def forgets(self: updates.Updates) -> None:
        self._cancel()
        undocked(self)

    monkeypatch.setattr(updates.Updates, "undocked", forgets)
    assert failures(range(20, 60)) == {"the trial goes on for ever"}
