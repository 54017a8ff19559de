"""`bwv-sim run`: one shift."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from bwv_device.errors import OutputError
from bwv_device.files import writable_folder
from sim.commands.options import BROKEN, of_a_shift
from sim.shifts import shift_folder
from sim.shifts.drawn_shift import PlayedShift, Shift, play
from sim.shifts.shift_folder import Told, clock


@click.command()
@click.option("--seed", type=click.IntRange(min=0), required=True)
@of_a_shift
@click.option("--out", "folder", type=click.Path(path_type=Path),
              help="A new folder for the vault and a page about the shift.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="A line for each thing that happens.")
def command(
    seed: int,
    duration_s: int,
    fault_names: tuple[str, ...],
    folder: Path | None,
    verbose: bool,
) -> None:
    """Plays one drawn shift in virtual time and judges it from outside.

    Ctrl-C ends the shift early: what was played is judged, and written to --out.
    """
    if folder is not None:
        _new(folder)
    told: list[Told] = []

    def tell(at_ns: int, text: str) -> None:
        told.append(Told(at_ns, text))
        if verbose:
            click.echo(f"{clock(at_ns)}  {text}")

    bar = Progress(
        TextColumn("shift"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), disable=verbose, transient=True,
    )  # fmt: skip
    with _interruptible() as interrupted, bar:
        task = bar.add_task("shift", total=duration_s)

        def go_on(done_s: int) -> bool:
            bar.update(task, completed=done_s)
            return not interrupted

        played = play(Shift(seed, duration_s, fault_names), tell, go_on)
    if interrupted:
        click.echo(f"Ended early, after {played.shift.duration_s} of {duration_s} s.", err=True)
    _report(played)
    if folder is not None:
        page = shift_folder.write(folder, played, told, cut_short=bool(interrupted))
        click.echo(f"Look at it: {page}")
    sys.exit(0 if played.ok else BROKEN)


def _new(folder: Path) -> None:
    writable_folder(folder)
    if any(folder.iterdir()):
        raise OutputError(f"{folder} is not empty.", "Name a new folder.")


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Ctrl-C is noted instead of raised; a second one ends the process as usual."""
    noted: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def _report(played: PlayedShift) -> None:
    counts = ", ".join(f"{number} {what}" for what, number in played.counts.items())
    strikes = ", ".join(f"{name} {number}" for name, number in played.strikes.items()) or "none"
    click.echo(f"seed {played.shift.seed}: {counts}")
    click.echo(f"faults on: {', '.join(played.fault_names) or 'none'}")
    click.echo(f"strikes: {strikes}")
    click.echo(f"digest: {played.digest}")
    for finding in played.findings:
        click.echo(f"BROKEN {finding}")
    click.echo("every promise was kept" if played.ok else f"{len(played.findings)} findings")
