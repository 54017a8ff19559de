"""Plots of sound and latencies, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from bwv_device.field_test import hearing
from bwv_device.field_test.hearing import Signal, Sound

mpl.use("Agg")
from matplotlib import pyplot

INK, RED, SOFT = "#1b2430", "#c62828", "#9fb0c3"
POINTS = 4000


def heard(
    path: Path, sound: Sound, rate_hz: int, tone_hz: float, signals: Sequence[Signal]
) -> None:
    """Level of all sound and of the beeper's tone over time; each signal marked."""
    figure, axes = pyplot.subplots(figsize=(11, 3.6), layout="constrained")
    loudest = hearing.peaks(sound, rate_hz)
    length_s = len(loudest) * hearing.HOP_S
    loudness = _peaks(loudest)
    with np.errstate(divide="ignore"):
        all_db = np.maximum(20 * np.log10(loudness), -80)
    axes.fill_between(
        np.linspace(0, length_s, len(all_db)), all_db, -80, color=SOFT, lw=0, label="all sound"
    )
    if tone_hz:
        tone = _peaks(10 ** (hearing.levels_db(sound, rate_hz, tone_hz) / 20))
        tone_db = np.maximum(20 * np.log10(tone), -80)
        axes.plot(np.linspace(0, length_s, len(tone_db)), tone_db, color=INK, lw=0.7,
                  label=f"{tone_hz:.0f} Hz")  # fmt: skip
    for signal in signals:
        axes.axvline(signal.at_s, color=RED, lw=0.8)
        axes.annotate(signal.name, (signal.at_s, 1), color=RED, fontsize=8, rotation=90,
                      va="top", ha="right", textcoords="offset points", xytext=(-1, 0))  # fmt: skip
    axes.set(xlabel="seconds", ylabel="dBFS", ylim=(-80, 3), xlim=(0, max(length_s, 0.1)))
    axes.legend(loc="lower right", fontsize=8)
    _save(figure, path)


def latencies(path: Path, milliseconds: Sequence[float], bound_ms: float) -> None:
    """How long each sync took, and what the recorder can bear."""
    figure, axes = pyplot.subplots(figsize=(11, 2.8), layout="constrained")
    axes.plot(milliseconds, color=INK, lw=0.8)
    axes.axhline(bound_ms, color=RED, lw=0.8, label="what the loss bound allows")
    axes.set(xlabel="write", ylabel="ms until durable", yscale="log")
    axes.legend(loc="upper right", fontsize=8)
    _save(figure, path)


def _peaks(values: np.ndarray) -> np.ndarray:
    """The loudest of each stretch, so that a short beep is not drawn away."""
    step = max(1, len(values) // POINTS)
    usable = len(values) // step * step
    return values[:usable].reshape(-1, step).max(axis=1) if usable else np.zeros(1)


def _save(figure: object, path: Path) -> None:
    figure.savefig(path, dpi=110)  # type: ignore[attr-defined]
    pyplot.close(figure)  # type: ignore[arg-type]
