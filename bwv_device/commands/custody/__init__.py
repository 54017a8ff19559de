"""`bwv custody`: the evidence store's side. Each subcommand is loaded only when it is called."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from bwv_device.commands.custody.options import Desk

COMMANDS = {
    "audit": "find",
    "camera": "register",
    "categorize": "holds",
    "certificate": "find",
    "disclose": "disclose",
    "enrol": "roles",
    "expire": "expire",
    "hold": "holds",
    "index": "find",
    "intake": "intake",
    "list": "find",
    "policy": "roles",
    "quarantine": "find",
    "release": "holds",
    "request": "requests",
    "review": "holds",
    "serve": "intake",
    "show": "find",
}


class Group(click.Group):
    """Finds subcommands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"bwv_device.commands.custody.{COMMANDS[cmd_name]}")
        found: click.Command = getattr(module, f"{cmd_name}_command")
        return found


@click.command(name="custody", cls=Group)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Default: custody.toml where there is one, else what is built in.",
)
@click.option(
    "--as",
    "key",
    type=click.Path(path_type=Path),
    envvar="BWV_CUSTODY_KEY",
    help="The role key of whoever acts (bwv custody enrol); or BWV_CUSTODY_KEY.",
)
@click.pass_context
def command(context: click.Context, config: Path | None, key: Path | None) -> None:
    """What happens to footage in the evidence store: each step is a signed line of its ledger.

    Exit codes as of bwv; 13: custody may not or can't do that; 14: the store can't be used.
    """
    context.obj = Desk(config, key)
