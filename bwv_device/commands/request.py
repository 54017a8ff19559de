"""`bwv request`: a camera asks for its certificate, and takes it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from bwv_device import config, keys
from bwv_device.commands.key_files import key_request
from bwv_device.errors import MissingPartError
from bwv_device.files import output_error, read_small, write_durably
from hal.host import HostEntropy

CONFIG = "config.toml"


@click.command()
@click.option(
    "--keys",
    "folder",
    default="keys",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the camera keeps its key.",
)
@click.option(
    "--stick",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where the request goes, and where an answer is looked for.",
)
@click.option("--qr", "code", is_flag=True, help="Also as a QR code where it is no terminal.")
def command(folder: Path, stick: Path | None, code: bool) -> None:
    """Makes the camera's own key, where it has none, and asks for its certificate.

    Only the request leaves the camera: as a file on the stick, or printed, on a screen also as a QR
    code. The answer that 'bwv
    provision --request' makes of it is taken from the same stick. Done once; afterwards it says
    which camera this is.
    """
    key = key_request.own_key(folder, HostEntropy())
    mark = key_request.fingerprint(key.public_key())
    answered = stick / f"bwv-answer-{mark}" if stick else None
    if answered is not None and answered.is_dir():
        files = {
            name: read_small(answered / name)
            for name in (*key_request.ANSWER, CONFIG)
            if (answered / name).is_file()
        }
        if CONFIG in files:  # before the certificate, with which the camera starts
            config.parse(files[CONFIG], str(answered / CONFIG))
            write_durably(folder.resolve().parent / CONFIG, files[CONFIG])
        name = key_request.take(files, folder, key)
        click.echo(f"This is the camera {name} now: its certificate was taken from {answered}.")
        return
    if (folder / keys.DEVICE).exists():
        click.echo(f"The camera has its certificate; its key is {mark}.")
        return
    pem = key_request.request(key)
    if stick is None:
        click.echo(pem.decode(), nl=False)
        if code or sys.stdout.isatty():
            click.echo(_qr_code(pem.decode()), err=True)
    else:
        file = stick / f"bwv-request-{mark}.pem"
        try:
            write_durably(file, pem)
            os.sync()  # somebody pulls it out
        except OSError as error:
            raise output_error(file, error) from None
        click.echo(f"{file}: have it answered with 'bwv provision NAME --request'.")
    click.echo(f"The camera's key is {mark}: compare it with what 'bwv provision' shows.", err=True)


def _qr_code(text: str) -> str:
    """In half blocks, dark on light, with its margin: what is scanned is the request's text. Raises
    `MissingPartError`."""
    try:
        import segno
    except ImportError:
        raise MissingPartError(
            "What draws QR codes is not installed.", "pip install 'bwv-device[rpi]'"
        ) from None
    rows = [list(row) for row in segno.make_qr(text, error="l").matrix_iter(border=4)]
    rows += [[0] * len(rows[0])] * (len(rows) % 2)
    light = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join(
        "".join(light[int(a), int(b)] for a, b in zip(above, below, strict=True))
        for above, below in pairs
    )
