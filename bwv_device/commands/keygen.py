"""`bwv keygen`: the agency's keys."""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from bwv_device import keys
from hal.host import HostEntropy


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--agency", default="example-agency", show_default=True, help="Name in certificates.")
@click.option(
    "--recipient-type",
    type=click.Choice(["mlkem768x25519", "X25519"]),
    default="mlkem768x25519",
    show_default=True,
    help="Post-quantum, or classic for age tools older than 1.3.",
)
def command(folder: Path, agency: str, recipient_type: str) -> None:
    """Makes the agency's root, its device CA, and the key pair that footage is sealed to.

    FOLDER then holds secrets: agency-identity.txt opens all footage and belongs offline, the CA
    keys make cameras. A camera gets agency-recipients.txt only. Nothing is ever overwritten.
    """
    now = datetime.datetime.now(datetime.UTC)
    keys.make_agency(folder, agency, recipient_type, HostEntropy(), now)
    click.echo(f"Made the keys of {agency} in {folder}. Keep {keys.IDENTITY} offline.")
