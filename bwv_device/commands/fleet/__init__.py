"""`bwv fleet`: the desk's side of MQTT. Each subcommand is loaded only when it is called."""

from __future__ import annotations

import importlib

import click

COMMANDS = ("broker", "schema", "send", "watch")


class Group(click.Group):
    """Finds subcommands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(
            f"bwv_device.commands.fleet.{cmd_name}"
        ).command
        return found


@click.command(name="fleet", cls=Group)
def command() -> None:
    """Watches cameras over MQTT, and tells them what a desk may (docs/mqtt.md).

    Exit codes as of bwv; 17: the broker can't be used, or the camera does not answer; 18: the
    camera refused; 19: a forked ledger was seen.
    """
