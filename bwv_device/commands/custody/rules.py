"""`bwv custody rules`: how long footage stays. Two persons put it in force."""

from __future__ import annotations

import json

import click

from bwv_device.commands.custody.options import CustodyContext, print_json
from bwv_device.custody.ledger import rules
from bwv_device.custody.retention import agreed_rules
from bwv_device.custody.retention_dates import Retention
from bwv_device.formats.visible_text import visible


@click.group(name="rules")
def rules_command() -> None:
    """How long footage stays: rules that two persons signed, and no service goes against."""


@rules_command.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def show(context: CustodyContext, as_json: bool) -> None:
    """The rules in force, and those that were proposed."""
    index = context.session.index
    rows = index.rows(
        "SELECT version, rules.n, name AS proposer, approved, rules.json FROM rules JOIN lines "
        "USING (n) JOIN signers ON fingerprint = by ORDER BY version"
    )
    said = [{**row, "json": json.loads(row["json"])} for row in rows]
    if as_json:
        print_json([{**row, "rules": row.pop("json")} for row in said])
        return
    click.echo(f"in force: {_words(rules.in_force(index.db))}")
    if index.rules is None:
        click.echo("Nobody agreed on rules yet: these are built in.", err=True)
    for row in said:
        if row["approved"] is None:
            words = _words(rules.read(row["json"]))
            click.echo(visible(f"proposed by {row['proposer']}, version {row['version']}: {words}"))
    if index.rules is not None and index.rules != context.session.configured:
        click.echo("custody.toml says otherwise, and does not count.", err=True)


@rules_command.command()
@click.pass_obj
def propose(context: CustodyContext) -> None:
    """What custody.toml says (agency.zone, retention, categories): the first of two persons."""
    version = agreed_rules.propose(context.session, context.session.configured)
    click.echo(f"Version {version} is proposed; another custodian approves it.")


@rules_command.command()
@click.argument("version", type=int)
@click.pass_obj
def approve(context: CustodyContext, version: int) -> None:
    """The second person, who must not be the first."""
    in_force = agreed_rules.approve(context.session, version)
    click.echo(f"Version {version} is in force: {_words(in_force)}")


def _words(said: Retention) -> str:
    more = "".join(f", {name} {days}" for name, days in sorted(said.categories.items()))
    return (
        f"erased after {said.days} days, hidden {said.hidden_days} before, {said.late_days} days "
        f"after a late docking{more} ({said.zone.key}); words {said.words_days} days after closing"
    )
