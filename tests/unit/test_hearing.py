"""Beeps in sound whose truth is known, and in sound that has none."""

from __future__ import annotations

import numpy as np
import pytest

from bwv_device.field_test import hearing
from bwv_device.field_test.hearing import beeps, find_tone, signals
from sim.media.sound import street

RATE_HZ = 48_000
AT_S = (1.0, 1.22, 4.0, 6.5)
LONG_S = (0.1, 0.1, 0.4, 0.08)


def sound(level_dbfs: float, hz: float = 2700, noise_dbfs: float = -40.0, talk: float = 1.0):
    """Eight seconds of a talking street, with noise, and four beeps."""
    frames = range(8 * RATE_HZ // 1024)
    samples = talk * np.concatenate([street(number) for number in frames])
    chance = np.random.default_rng(5)
    samples = samples + chance.normal(0, 10 ** (noise_dbfs / 20), len(samples))
    t = np.arange(len(samples)) / RATE_HZ
    for at_s, long_s in zip(AT_S, LONG_S, strict=True):
        on = (t >= at_s) & (t < at_s + long_s)
        samples = samples + on * 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * hz * t)
    return samples.astype(np.float32)


@pytest.mark.parametrize("hz", [1900, 2700, 4000])
@pytest.mark.parametrize("level_dbfs", [-12, -25, -32])
def test_each_beep_is_found_where_it_is(hz: int, level_dbfs: int) -> None:
    found = beeps(sound(level_dbfs, hz, talk=0.3), RATE_HZ, hz)
    assert [b.at_s for b in found] == pytest.approx(AT_S, abs=0.015)
    assert [b.duration_s for b in found] == pytest.approx(LONG_S, abs=0.05)
    assert max(b.level_dbfs for b in found) == pytest.approx(level_dbfs, abs=4)


@pytest.mark.parametrize("hz", [2700, 4000])
def test_the_tone_of_an_unknown_beeper_is_found(hz: int) -> None:
    assert find_tone(sound(-25, hz), RATE_HZ) == pytest.approx(hz, abs=30)


def test_a_street_without_beeps_has_none() -> None:
    samples = sound(-200)
    assert find_tone(samples, RATE_HZ) == 0
    for hz in (1900, 2700, 4000):
        assert beeps(samples, RATE_HZ, hz) == []


def test_another_tone_is_not_taken_for_it() -> None:
    assert beeps(sound(-20, 3300), RATE_HZ, 2700) == []


def test_beeps_close_together_are_one_signal() -> None:
    found = signals(beeps(sound(-20), RATE_HZ, 2700))
    assert [signal.name for signal in found] == ["2 short", "1 long", "1 short"]


@pytest.mark.parametrize("count", [0, 1, 500])
def test_hardly_any_sound_is_no_trouble(count: int) -> None:
    samples = np.zeros(count, np.float32)
    assert beeps(samples, RATE_HZ, 2700) == []
    assert find_tone(samples, RATE_HZ) == 0
    assert hearing.rms_dbfs(samples) == -120
