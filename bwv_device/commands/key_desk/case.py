"""`bwv custody case`: who is on which case."""

from __future__ import annotations

import click

from bwv_device.commands.custody.options import CustodyContext
from bwv_device.custody.key_desk import cases


@click.group(name="case")
def case_command() -> None:
    """Whose cases are whose: a look at what is held for none of them is a look outside."""


@case_command.command()
@click.argument("case")
@click.argument("person")
@click.pass_obj
def add(context: CustodyContext, case: str, person: str) -> None:
    """Puts PERSON (their identifier, see enrol --person) on CASE."""
    new = cases.put(context.session, case, person, member=True)
    click.echo(f"{person} is on {case}." if new else f"{person} was on {case} already.")


@case_command.command()
@click.argument("case")
@click.argument("person")
@click.pass_obj
def remove(context: CustodyContext, case: str, person: str) -> None:
    """Takes PERSON off CASE."""
    changed = cases.put(context.session, case, person, member=False)
    click.echo(f"{person} is off {case}." if changed else f"{person} was not on {case}.")


@case_command.command()
@click.argument("case", default="")
@click.pass_obj
def show(context: CustodyContext, case: str) -> None:
    """Who is on CASE; without it, on every case."""
    for row in cases.members(context.session, case):
        click.echo(f"{row['case_']}  {row['person']}")
