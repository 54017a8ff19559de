"""`bwv fleet schema`: the AsyncAPI document of all messages."""

from __future__ import annotations

import json

import click


@click.command()
def command() -> None:
    """Prints the AsyncAPI 3 document of topics and messages, as docs/asyncapi.json."""
    from bwv_device.fleet.asyncapi import document

    click.echo(json.dumps(document(), indent=1))
