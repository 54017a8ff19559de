"""What several commands ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sim.shifts.drawn_shift import Shift, named_faults

Command = Callable[..., None]
SHORTEST_S = 120
# Exit codes: a promise was broken; as a shell says of a process that Ctrl-C ended.
BROKEN, INTERRUPTED = 10, 130


class Seeds(click.ParamType[range]):
    """`7`, or `0:1000` without the end."""

    name = "first:end"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> range:
        if isinstance(value, range):
            return value
        first, colon, end = str(value).partition(":")
        try:
            seeds = range(int(first), int(end) if colon else int(first) + 1)
        except ValueError:
            seeds = range(0)
        if not seeds or seeds[0] < 0:
            self.fail(f"{value!r} is not a range of seeds such as 0:1000", param, ctx)
        return seeds


class Names(click.ParamType[tuple[str, ...]]):
    """Names with commas; `known` makes them of the text, and raises `ValueError` for others."""

    name = "names"

    def __init__(self, known: Callable[[str], Iterable[str]]) -> None:
        self._known = known

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self._known(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Hours(click.ParamType[int]):
    """Hours, with a fraction; becomes whole seconds."""

    name = "hours"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            seconds = round(float(value) * 3600)
        except ValueError:
            self.fail(f"{value!r} is not a number of hours", param, ctx)
        if not SHORTEST_S <= seconds <= 1000 * 3600:
            self.fail("a shift lasts from two minutes (0.0334) to 1000 hours", param, ctx)
        return seconds


def of_a_shift(command: Command) -> Command:
    """`--hours` and `--faults`."""
    command = click.option(
        "--faults",
        "fault_names",
        type=Names(named_faults),
        default="swarm",
        show_default=True,
        help="swarm (drawn from the seed), none, all, or names with commas ('bwv-sim faults').",
    )(command)
    return click.option(
        "--hours",
        "duration_s",
        type=Hours(),
        default="0.5",
        show_default=True,
        help="How long the shift lasts, in virtual time.",
    )(command)


def progress(console: Console, word: str) -> Progress:
    """A bar that counts seeds and says how long the rest takes."""
    return Progress(
        TextColumn(word), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )


def command_for(shift: Shift) -> str:
    """The line that plays this shift again."""
    names = ",".join(shift.fault_names) or "none"
    return f"bwv-sim run --seed {shift.seed} --hours {shift.duration_s / 3600:g} --faults {names}"
