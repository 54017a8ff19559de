"""`bwv keygen`: the agency's keys."""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from bwv_device import keys
from bwv_device.commands.key_files import passphrase
from hal.host import HostEntropy

OFFLINE = f"""\
Take these away from every machine that has a network, and keep two copies:
  {keys.ROOT_KEY}  certifies CAs; not needed again for years
  {keys.IDENTITY}  opens all footage; needed to disclose or export
Needed now and then, on a machine of its own:
  {keys.CA_KEY}  makes cameras     {keys.ROLES_CA_KEY}  makes custodians"""
IN_CLEAR = "\nThey lie there in clear: with --passphrase they would be encrypted."


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
@click.option(
    "--passphrase", "wanted", is_flag=True, help="Ask for one, and encrypt the secrets with it."
)
def command(folder: Path, agency: str, recipient_type: str, wanted: bool) -> None:
    """Makes the agency's root, its device CA, and the key pair that footage is sealed to.

    FOLDER then holds secrets: agency-identity.txt opens all footage and belongs offline, the CA
    keys make cameras. A camera gets agency-recipients.txt only. Nothing is ever overwritten. The
    other commands ask for the passphrase where they need it; BWV_PASSPHRASE_FILE answers for you.
    """
    now = datetime.datetime.now(datetime.UTC)
    secret = passphrase.ask_new() if wanted else b""
    keys.make_agency(folder, agency, recipient_type, HostEntropy(), now, secret)
    click.echo(f"Made the keys of {agency} in {folder}.")
    click.echo(OFFLINE if wanted else OFFLINE + IN_CLEAR)
