"""`bwv custody quarantine`: what intake did not accept, and how that ends."""

from __future__ import annotations

import click
from rich.table import Table

from bwv_device.commands.cli.tables import plain, print_table
from bwv_device.commands.custody.options import CustodyContext, print_json
from bwv_device.custody import quarantine
from bwv_device.formats.visible_text import visible

reason = click.option("--reason", required=True)


@click.group(name="quarantine")
def quarantine_command() -> None:
    """What intake did not accept: each has an owner, a day, and two ways to end."""


@quarantine_command.command(name="list")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def list_(context: CustodyContext, as_json: bool) -> None:
    """All of it, why, and by when it must be looked at."""
    rows = quarantine.listed(context.session)
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("number", "camera", "file", "reason", "state", "owner", "look at it by"):
        table.add_column(column)
    for row in rows:
        names = (str(row["n"]), row["device"], row["segment"] or "(docking)", row["reason"],
                 row["state"], row["owner"] or "-")  # fmt: skip
        table.add_row(*map(plain, names), context.said(row["review_ns"]))
    print_table(table)
    for sentence in quarantine.overdue(context.session):
        click.echo(visible(sentence), err=True)


@quarantine_command.command()
@click.argument("number", type=int)
@click.argument("owner")
@click.pass_obj
def give(context: CustodyContext, number: int, owner: str) -> None:
    """OWNER looks at NUMBER."""
    quarantine.give(context.session, number, owner)
    click.echo(visible(f"{owner} looks at quarantine {number}."))


@quarantine_command.command()
@click.argument("number", type=int)
@reason
@click.pass_obj
def again(context: CustodyContext, number: int, reason: str) -> None:
    """Intake looks at docking NUMBER once more: what spoke against it is settled."""
    quarantine.take_in_again(context.session, number, reason)
    click.echo(f"Intake looks at quarantine {number} once more.")


@quarantine_command.group()
def discard() -> None:
    """What nobody needs: one person proposes, another approves, the service erases it."""


@discard.command()
@click.argument("number", type=int)
@reason
@click.pass_obj
def propose(context: CustodyContext, number: int, reason: str) -> None:
    """The first of two persons."""
    quarantine.propose_discard(context.session, number, reason)
    click.echo(f"Quarantine {number} is proposed to be discarded; another person approves it.")


@discard.command()
@click.argument("number", type=int)
@click.pass_obj
def approve(context: CustodyContext, number: int) -> None:
    """The second person, who must not be the first."""
    quarantine.approve_discard(context.session, number)
    click.echo(f"Quarantine {number} is discarded; the next run of 'expire' erases it.")
