"""`bwv-sim run`: one shift."""

from __future__ import annotations

import sys

import click

from hal.ports import SECOND_NS
from sim.commands.options import of_a_shift
from sim.shifts.drawn_shift import PlayedShift, Shift, play

BROKEN = 10


@click.command()
@click.option("--seed", type=click.IntRange(min=0), required=True)
@of_a_shift
@click.option("-v", "--verbose", is_flag=True, help="A line for each thing that happens.")
def command(seed: int, duration_s: int, fault_names: tuple[str, ...], verbose: bool) -> None:
    """Plays one drawn shift in virtual time and judges it from outside."""

    def tell(at_ns: int, text: str) -> None:
        if verbose:
            click.echo(f"{clock(at_ns)}  {text}")

    played = play(Shift(seed, duration_s, fault_names), tell)
    _report(played)
    sys.exit(0 if played.ok else BROKEN)


def clock(at_ns: int) -> str:
    """Time since the start of the world."""
    milliseconds = at_ns // (SECOND_NS // 1000)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}"


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
