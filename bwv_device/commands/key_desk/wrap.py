"""`bwv keydesk wrap`."""

from __future__ import annotations

from pathlib import Path

import click

from bwv_device import keys
from bwv_device.commands.key_files.identities import token_uri
from bwv_device.commands.key_files.passphrase import ask
from bwv_device.formats.age_passphrase import armored
from bwv_device.formats.age_payload import Seal
from hal.host import HostEntropy


@click.command()
@click.argument("identity", type=click.Path(path_type=Path))
@click.option("--token", required=True, help="URI of a P-256 key in a token (docs/keys.md).")
@click.option("--make", is_flag=True, help="Makes the key in the token first.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new file.")
def wrap_command(identity: Path, token: str, make: bool, out: Path) -> None:
    """Encrypts the agency's secret IDENTITY to a key that a token holds and does not give away: a
    key desk opens it with the token alone. Any age from 1.3 on can write such a file."""
    from bwv_device.commands.key_files import in_token

    secrets = keys.load_identities(identity, ask)
    recipient = in_token.tag_recipient(token_uri(token), make=make)
    seal = Seal([recipient], HostEntropy())
    clear = "".join(f"{secret}\n" for secret in secrets).encode()
    sealed = b"".join((seal.header, seal.nonce, *seal.feed(clear), seal.finish()))
    keys.write_secret(out, armored(sealed))
    click.echo(f"{out} opens with the token's key alone: {recipient}")
    click.echo(f"Keep {identity} offline, or in escrow: a token can break.")
