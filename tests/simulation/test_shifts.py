"""Drawn shifts: the oracle is satisfied, each fault alone and all together, and runs repeat."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import golden
import pytest

from hal.ports import SECOND_NS
from sim import faults
from sim.random_streams import Draws
from sim.shifts import campaign
from sim.shifts.drawn_shift import Shift, Simulation, drawn_settings, named_faults, play

SHORT_S = 420
QUIET = ("torn-writes", "cut-in-recovery", "slow-card", "microphone-drift", "microphone-late",
         "clock-unset")  # fmt: skip


@pytest.mark.parametrize("name", QUIET)
def test_each_way_of_failing_alone(name: str) -> None:
    """A way in which other things happen gets power cuts to shape."""
    played = play(Shift(11, SHORT_S, (name, "power-cut")))
    assert played.findings == []
    assert played.fault_names == [name, "power-cut"]


# Seeds in which a fault strikes within minutes, and something is recorded; others take longer.
EARLY = {
    "power-cut": 5, "power-cut-at-disk": 2, "agent-killed": 2, "battery-dies": 2,
    "undervoltage": 6, "gauge-unreadable": 2, "io-error": 5, "no-space": 2, "short-write": 6,
    "read-only": 3, "storage-full": 3, "camera-stall": 8, "camera-stops-late": 4, "wrong-times": 7,
    "parameter-sets-only": 11, "dropped-pictures": 2, "malformed-units": 5,
    "microphone-unplugged": 6, "microphone-overflow": 2, "light-fails": 2, "beeper-fails": 2,
    "button-bounce": 5, "button-stuck": 5, "clock-step": 8, "broker-refuses": 2, "broker-deaf": 5,
    "broker-full": 8, "broker-slow": 2, "broker-loses-acks": 3, "broker-doubles": 5,
    "read-only-for-good": 82, "files-refused": 301, "folder-damaged": 286, "inodes-used-up": 36,
    "battery-low": 17, "broker-flaps": 12, "session-taken-over": 5, "lying-sync": 10,
    "erased-block": 10,
}  # fmt: skip


@pytest.mark.parametrize("name", [kind.name for kind in faults.KINDS if kind.strike])
def test_each_fault_alone(name: str) -> None:
    """Played until it has struck, and a while longer."""
    shift = Shift(EARLY.get(name, 1), SHORT_S, (name,))
    simulation = Simulation(shift, lambda at_ns, text: None)
    simulation.start()
    while not simulation.faults.strikes and simulation.world.loop.now_ns() < 7000 * SECOND_NS:
        simulation.go_on(30 * SECOND_NS)
    simulation.go_on(60 * SECOND_NS)
    played = simulation.finish()
    assert played.strikes[name] >= 1
    assert played.counts["recordings"]
    assert played.findings == []


@pytest.mark.parametrize("seed", range(200, 206))
def test_the_swarm(seed: int) -> None:
    played = play(Shift(seed, 900))
    assert played.findings == []
    assert played.counts["recordings"] > 0


def test_everything_at_once() -> None:
    played = play(Shift(4, 900, tuple(named_faults("all"))))
    assert played.findings == []
    assert len(played.strikes) > 10


def test_the_same_seed_is_the_same_shift_and_another_is_not() -> None:
    one, again, other = (play(Shift(seed, 300)).digest for seed in (21, 21, 22))
    assert one == again
    assert one != other


def test_two_hash_seeds_give_one_digest() -> None:
    program = "from sim.shifts.drawn_shift import *; print(play(Shift(6, 400)).digest)"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert len(digests) == 1
    assert len(digests.pop()) == 64


@pytest.mark.parametrize("seed", golden.SEEDS)
def test_golden_seeds(seed: int) -> None:
    now, was = golden.made(seed), golden.kept()[str(seed)]
    assert golden.changes(was.meaning, now.meaning) == [], "make golden, and say why"
    assert now.digest == was.digest, "other bytes that mean the same: make golden, and say why"


def test_a_draw_in_one_part_does_not_move_the_others() -> None:
    root = Draws(7, "shift")
    before = [root.stream("officer").below(1000) for _ in range(3)]
    for _ in range(50):
        root.stream("weather").below(10)
        root.below(10)
    assert [root.stream("officer").below(1000) for _ in range(3)] == before
    assert Draws(7, "a").below(1 << 60) != Draws(7, "b").below(1 << 60)


def test_drawn_numbers_keep_to_their_limits() -> None:
    draws = Draws(1, "limits")
    assert {draws.below(3) for _ in range(200)} == {0, 1, 2}
    assert {draws.between(-1, 1) for _ in range(200)} == {-1, 0, 1}
    assert {draws.pick("ab") for _ in range(50)} == {"a", "b"}
    spread = [draws.spread(1, 1000) for _ in range(2000)]
    assert 1 <= min(spread) < 4
    assert 500 < max(spread) <= 1000
    assert sum(value < 32 for value in spread) > 800, "small ones are as frequent as large ones"


def test_the_swarm_leaves_each_fault_out_now_and_then() -> None:
    chosen: Counter[str] = Counter()
    for seed in range(300):
        chosen.update(faults.swarm(Draws(seed, "shift").stream("swarm")))
    for kind in faults.KINDS:
        many = kind.promise is faults.Promise.SURVIVED
        assert (90 if many else 5) < chosen[kind.name] < (190 if many else 60), kind.name


def test_settings_are_drawn_widely() -> None:
    drawn = [drawn_settings(Draws(seed, "settings"))[0] for seed in range(80)]
    assert len({s.recording.pre_event_s for s in drawn}) == 5
    assert {s.policy.covert for s in drawn} == {True, False}
    assert len({s.video.bitrate_kbps for s in drawn}) > 60


def test_a_crash_of_the_agent_is_a_finding_and_the_shift_goes_on() -> None:
    """Negative control of the supervisor: the agent's battery gauge breaks in an unforeseen way."""
    simulation = Simulation(Shift(2, 400, ()), lambda at_ns, text: None)

    def broken() -> None:
        raise LookupError("planted")

    once = [True]
    real = simulation.world.power.read

    def read() -> object:
        if simulation.world.loop.now_ns() > 100_000_000_000 and once:
            once.clear()
            broken()
        return real()

    simulation.world.power.read = read
    played = simulation.play()
    assert [finding.promise for finding in played.findings] == ["no crash"]
    assert "planted" in played.findings[0].text
    assert played.counts["boots"] >= 2


def test_results_travel_between_processes() -> None:
    results = list(campaign.run([Shift(seed, 200, ()) for seed in range(3)], 2))
    assert sorted(result.shift.seed for result in results) == [0, 1, 2]
    summary = campaign.summary(results)
    assert (summary["seeds"], summary["failed"]) == (3, [])
