"""One line per goal: figure, goal, reached or not."""

from __future__ import annotations

import resource
import statistics
import subprocess
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Line(NamedTuple):
    """`figure` and `goal` in words; `reached` None where there is no goal, only a figure."""

    what: str
    figure: str
    goal: str
    reached: bool | None

    def __str__(self) -> str:
        word = {True: "reached", False: "MISSED", None: ""}[self.reached]
        return f"{self.what:<58} {self.figure:>22}   {self.goal:<16} {word}"


def at_most(what: str, figure: float, goal: float, unit: str = "") -> Line:
    return Line(what, f"{figure:.3g}{unit}", f"≤ {goal:g}{unit}", figure <= goal)


def at_least(what: str, figure: float, goal: float, unit: str = "") -> Line:
    return Line(what, f"{figure:,.0f}{unit}", f"≥ {goal:,.0f}{unit}", figure >= goal)


def plain(what: str, figure: str) -> Line:
    return Line(what, figure, "", None)


def cpu_of(*commands: Sequence[object], shell: str = "") -> float:
    """CPU seconds, user and system, of commands with their children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if shell:
        subprocess.run(["bash", "-c", shell], check=True, capture_output=True)
    for command in commands:
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def interleaved(
    ours: Callable[[], float], peer: Callable[[], float], pairs: int = 7
) -> tuple[float, float, float]:
    """Medians of both, and the median of the pairs' ratios."""
    measured = [(ours(), peer()) for _ in range(pairs)]
    return (
        statistics.median(a for a, _ in measured),
        statistics.median(b for _, b in measured),
        statistics.median(a / b for a, b in measured),
    )
