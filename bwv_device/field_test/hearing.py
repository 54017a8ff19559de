"""Finds beeps in sound: a tone that stands out of its neighbourhood.

Spectra of 40 ms every 5 ms. A beeper raises one bin; a voice raises its overtones side by side, and
noise everything. (One bin of such a spectrum is what Goertzel's algorithm gives; all of them at
once are needed where the tone is not known.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
# Between -1 and 1: all at once, or in blocks that follow each other.
Sound = Samples | Iterable[Samples]
Levels = npt.NDArray[np.float64]

WINDOW_S, HOP_S = 0.04, 0.005
BIN_HZ = 25  # 1 / WINDOW_S
# Beyond the window's own width, and up to where the next overtone of any voice is.
ASIDE_BINS = range(4, 14)
CONTRAST_DB, LEAST_DBFS = 9.0, -62.0
SHORTEST_S, BRIDGED_S = 0.05, 0.03
# Half the amplitude: there the window's middle is at the beep's edge.
EDGE_DB = 6.0
# Beeps closer than this belong to one signal.
SIGNAL_S = 0.6
# Where buzzers sound.
LOWEST_HZ, HIGHEST_HZ = 1500, 5000
SILENCE_DB = -120.0
# Spectra that are in memory at a time: ten seconds.
CHUNK = 2000


class Beep(NamedTuple):
    at_s: float
    duration_s: float
    level_dbfs: float


class Signal(NamedTuple):
    """Beeps that belong together, such as two short ones."""

    at_s: float
    beeps: int
    longest_s: float
    level_dbfs: float

    @property
    def name(self) -> str:
        length = "long" if self.longest_s > 0.3 else "short"
        return f"{self.beeps} {length}"


def beeps(sound: Sound, rate_hz: int, tone_hz: float) -> list[Beep]:
    """Every beep of a tone."""
    tone, contrast = _tone(sound, rate_hz, tone_hz)
    on = (contrast > CONTRAST_DB) & (tone > LEAST_DBFS)
    found = []
    for start, end in _runs(on, round(BRIDGED_S / HOP_S)):
        level = float(np.percentile(tone[start:end], 80))
        loud = start + np.flatnonzero(tone[start:end] > level - EDGE_DB)
        duration_s = (loud[-1] - loud[0] + 1) * HOP_S
        if duration_s >= SHORTEST_S:
            found.append(Beep(float(loud[0]) * HOP_S + WINDOW_S / 2, duration_s, level))
    return found


def signals(found: Sequence[Beep]) -> list[Signal]:
    groups: list[list[Beep]] = []
    for beep in found:
        if groups and beep.at_s - (groups[-1][-1].at_s + groups[-1][-1].duration_s) < SIGNAL_S:
            groups[-1].append(beep)
        else:
            groups.append([beep])
    return [
        Signal(group[0].at_s, len(group), max(b.duration_s for b in group),
               max(b.level_dbfs for b in group))
        for group in groups
    ]  # fmt: skip


def find_tone(sound: Sound, rate_hz: int) -> float:
    """Finds the frequency of an unknown beeper: the tone that stands out most. 0 for none."""
    reach = ASIDE_BINS[-1]
    bins = np.arange(LOWEST_HZ // BIN_HZ, HIGHEST_HZ // BIN_HZ)
    best = np.full((TELLING, len(bins)), 0.0)
    for levels in _spectra(sound, rate_hz, bins[0] - reach, bins[-1] + reach + 1):
        inner = levels[:, reach:-reach]
        contrast = np.where(inner > LEAST_DBFS, inner - _aside(levels), 0)
        best = np.sort(np.concatenate((best, contrast)), axis=0)[-TELLING:]
    clearest = best.mean(axis=0)
    at = int(np.argmax(clearest))
    return float(bins[at] * BIN_HZ) if clearest[at] > CONTRAST_DB else 0.0


# Spectra that a beep of 100 ms fills.
TELLING = 16


def levels_db(sound: Sound, rate_hz: int, tone_hz: float) -> Levels:
    """The level of one frequency over time, dBFS of a full sine, every `HOP_S`."""
    return _tone(sound, rate_hz, tone_hz)[0]


def _tone(sound: Sound, rate_hz: int, tone_hz: float) -> tuple[Levels, Levels]:
    """Level of a tone, and how much it stands out, in decibels."""
    reach, middle = ASIDE_BINS[-1], round(tone_hz / BIN_HZ)
    tones, contrasts = [np.empty(0)], [np.empty(0)]
    for levels in _spectra(sound, rate_hz, middle - reach, middle + reach + 1):
        tone = levels[:, reach - 1 : reach + 2].max(axis=1)
        tones.append(tone)
        contrasts.append(tone - _aside(levels)[:, 0])
    return np.concatenate(tones), np.concatenate(contrasts)


def _aside(levels: Levels) -> Levels:
    """The loudest bin beside each inner one."""
    reach, width = ASIDE_BINS[-1], levels.shape[1]
    beside = [
        levels[:, reach + away : width - reach + away]
        for bins in ASIDE_BINS
        for away in (-bins, bins)
    ]
    loudest: Levels = np.max(beside, axis=0)
    return loudest


def peaks(sound: Sound, rate_hz: int) -> Samples:
    """The loudest sample of every `HOP_S`."""
    hop = round(HOP_S * rate_hz)
    found = [
        np.abs(block[: len(block) // hop * hop]).reshape(-1, hop).max(axis=1)
        for block in _blocks(sound, hop, hop)
    ]
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def _blocks(sound: Sound, window: int, hop: int) -> Iterator[Samples]:
    """Large blocks, each of which begins where the last whole hop of the one before ended."""
    least = window + CHUNK * hop
    waiting: list[Samples] = []
    length = 0
    for block in [sound] if isinstance(sound, np.ndarray) else sound:
        waiting.append(block)
        length += len(block)
        if length >= least:
            joined = np.concatenate(waiting)
            yield joined
            waiting = [joined[((len(joined) - window) // hop + 1) * hop :]]
            length = len(waiting[0])
    if length >= window:
        yield np.concatenate(waiting)


def _spectra(sound: Sound, rate_hz: int, first: int, end: int) -> Iterator[Levels]:
    """(windows, bins) of some bins in dBFS, a chunk at a time."""
    window, hop = round(WINDOW_S * rate_hz), round(HOP_S * rate_hz)
    hann = np.hanning(window).astype(np.float32)
    for samples in _blocks(sound, window, hop):
        yield from _spectra_of(samples, hann, hop, first, end)


def _spectra_of(
    samples: Samples, hann: Samples, hop: int, first: int, end: int
) -> Iterator[Levels]:
    views = np.lib.stride_tricks.sliding_window_view(samples, len(hann))[::hop]
    for at in range(0, len(views), CHUNK):
        spectrum = np.abs(np.fft.rfft(views[at : at + CHUNK] * hann, axis=1)[:, first:end])
        amplitude = spectrum * 2 / hann.sum()
        yield 20 * np.log10(np.maximum(amplitude, 10 ** (SILENCE_DB / 20)))


def rms_dbfs(samples: Samples) -> float:
    if not len(samples):
        return SILENCE_DB
    return float(10 * np.log10(max(float(np.mean(samples.astype(np.float64) ** 2)), 1e-12)))


def _runs(on: npt.NDArray[np.bool_], bridged: int) -> list[tuple[int, int]]:
    """Start and end of each stretch that is on; short interruptions do not count."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], on.astype(np.int8), [0]))))
    runs: list[tuple[int, int]] = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if runs and start - runs[-1][1] <= bridged:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return runs
