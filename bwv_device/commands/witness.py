"""`bwv witness`: for an ombudsman, or whoever is not the agency."""

from __future__ import annotations

from pathlib import Path

import click

from bwv_device.commands.key_files.note_key import read_note_keys, write_note_keys
from bwv_device.errors import KeyFileError
from bwv_device.verification.tlog.signed_note import (
    COSIGNATURE,
    COSIGNATURE_MLDSA44,
    SEED_BYTES,
    NoteError,
    SignerKey,
    VerifierKey,
)
from hal.host import HostClock, HostEntropy


@click.group(name="witness")
def command() -> None:
    """Witnesses an agency's custody: it sees digests alone, and cosigns them only as long as
    nothing that it saw before was changed (docs/witness.md)."""


@command.command()
@click.argument("name")
@click.option(
    "--out", default="witness-key.txt", show_default=True, type=click.Path(path_type=Path)
)
@click.option("--post-quantum", is_flag=True, help="A second key, ML-DSA-44, beside Ed25519.")
def keygen(name: str, out: Path, post_quantum: bool) -> None:
    """Makes a witness's key and prints what the agency needs. NAME is like
    ombudsman.example/witness."""
    kinds = [COSIGNATURE, *([COSIGNATURE_MLDSA44] if post_quantum else [])]
    entropy = HostEntropy()
    try:
        keys = [SignerKey.from_seed(name, kind, entropy.token(SEED_BYTES)) for kind in kinds]
    except NoteError as error:
        raise KeyFileError(
            f"The name {name!r} {error}.", "Use letters, dots and slashes."
        ) from None
    write_note_keys(out, keys)
    for key in keys:
        click.echo(str(key.verifier))


@command.command()
@click.option(
    "--key", default="witness-key.txt", show_default=True, type=click.Path(path_type=Path)
)
@click.option("--log", "logs", multiple=True, required=True,
              help="The verifier key of a log, as 'bwv custody init' printed it.")  # fmt: skip
@click.option("--state", default="witness-state", type=click.Path(path_type=Path),
              help="What was seen: never lose it.")  # fmt: skip
@click.option("--listen", default="127.0.0.1:7380", show_default=True, help="HOST:PORT.")
@click.option("--open", "open_", is_flag=True, help="Listen where other machines reach it.")
def serve(key: Path, logs: tuple[str, ...], state: Path, listen: str, open_: bool) -> None:
    """Cosigns the logs that are named, until it is stopped."""
    from bwv_device.web.listen import bind, parse_address
    from bwv_device.witness.server import WitnessServer
    from bwv_device.witness.state_folder import StateFolder
    from bwv_device.witness.witness import Witness

    keys = read_note_keys(key)
    known = [_log(text) for text in logs]
    witness = Witness(keys, {log.name: log for log in known}, StateFolder(state), HostClock())
    # Everything that it says is public, so a token would protect nothing.
    listening = bind(*parse_address(listen), "public" * 4 if open_ else "")
    server = WitnessServer(listening, witness, [key.verifier for key in keys])
    host, port = listening.getsockname()[:2]
    click.echo(f"{keys[0].name} witnesses {len(known)} logs on http://{host}:{port}", err=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


def _log(text: str) -> VerifierKey:
    try:
        return VerifierKey.parse(text)
    except NoteError as error:
        raise KeyFileError(
            f"{text[:80]!r} {error}.", "Give the log's verifier key: name+digits+base64."
        ) from None
