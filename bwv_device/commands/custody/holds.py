"""`bwv custody hold, release, categorize, review`."""

from __future__ import annotations

import click

from bwv_device.commands.custody.options import CustodyContext
from bwv_device.custody import search
from bwv_device.custody.retention import holds


@click.command()
@click.argument("recording")
@click.option("--reason", required=True)
@click.option("--case", default="", help="Case number.")
@click.pass_obj
def hold_command(context: CustodyContext, recording: str, reason: str, case: str) -> None:
    """Keeps RECORDING until two people release it; brings it back where it was hidden."""
    placed = holds.place(context.session, recording, reason, case)
    click.echo(f"{recording} is held." if placed else f"{recording} was held for that already.")


@click.group(name="release")
def release_command() -> None:
    """Lifts a hold: proposed by one person, approved by another."""


@release_command.command()
@click.argument("hold", type=int)
@click.option("--reason", required=True)
@click.pass_obj
def propose(context: CustodyContext, hold: int, reason: str) -> None:
    """The first of two. HOLD is its number (bwv custody show)."""
    holds.propose_release(context.session, hold, reason)
    click.echo(f"The release of hold {hold} waits for the approval of a second person.")


@release_command.command()
@click.argument("hold", type=int)
@click.pass_obj
def approve(context: CustodyContext, hold: int) -> None:
    """The second step, by another person."""
    holds.approve_release(context.session, hold)
    click.echo(f"Hold {hold} is released.")


@click.command()
@click.argument("recording")
@click.argument("category")
@click.pass_obj
def categorize_command(context: CustodyContext, recording: str, category: str) -> None:
    """Gives RECORDING one of the agency's categories; some are kept for longer."""
    search.categorize(context.session, recording, category)
    click.echo(f"{recording} is {category}.")


@click.command()
@click.argument("recording")
@click.argument("words")
@click.pass_obj
def review_command(context: CustodyContext, recording: str, words: str) -> None:
    """Records that you watched RECORDING, and what it shows."""
    search.review(context.session, recording, words)
    click.echo(f"{recording} is reviewed.")
