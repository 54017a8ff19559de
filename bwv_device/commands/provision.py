"""`bwv provision`: a camera's key and certificate."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import click

from bwv_device import keys
from bwv_device.commands.key_files.passphrase import ask
from hal.host import HostEntropy


@click.command()
@click.argument("device")
@click.option(
    "--agency",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder that 'bwv keygen' made.",
)
@click.option(
    "--out",
    default="keys",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where the camera looks for its keys.",
)
def command(device: str, agency: Path, out: Path) -> None:
    """Makes the key and certificate of the camera DEVICE, and copies the agency's public keys."""
    now = datetime.datetime.now(datetime.UTC)
    keys.make_device(agency, out, device, HostEntropy(), now, ask)
    for name in (keys.RECIPIENTS, keys.ROOT):
        if agency.resolve() != out.resolve():
            shutil.copyfile(agency / name, out / name)
    click.echo(f"Camera {device} is provisioned in {out}.")
