"""`bwv fleet`: the operator's side of MQTT. Each subcommand is loaded only when it is called."""

from __future__ import annotations

import click

from bwv_device.commands.cli.lazy_group import Lazy, LazyGroup

COMMANDS = {
    "broker": "Write a mosquitto configuration for a fleet.",
    "schema": "Print the AsyncAPI document of all messages.",
    "send": "Send a signed command to one camera.",
    "update": "Ask a part of the fleet to come to a release.",
    "watch": "Watch all cameras in a live table.",
}
LAZY = {
    name: Lazy(f"bwv_device.commands.fleet.{name}:command", short_help)
    for name, short_help in COMMANDS.items()
}


@click.command(name="fleet", cls=LazyGroup, lazy=LAZY)
def command() -> None:
    """Watches cameras over MQTT, and sends them commands (docs/mqtt.md).

    Exit codes as of bwv; 17: the broker can't be used, or the camera does not answer; 18: the
    camera refused; 19: a forked ledger was seen; 25: a wave of an update stopped by itself.
    """
