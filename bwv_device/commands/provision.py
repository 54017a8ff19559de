"""`bwv provision`: a camera's key and certificate, or the certificate that a camera asked for."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import click

from bwv_device import keys
from bwv_device.commands.key_files import key_request
from bwv_device.commands.key_files.passphrase import ask
from bwv_device.commands.request import CONFIG
from bwv_device.config import load
from bwv_device.errors import KeyFileError
from bwv_device.files import output_error, read_small, reason, writable_folder, write_durably
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
    type=click.Path(path_type=Path),
    help="Where the camera looks for its keys [default: keys]; with --request, its stick.",
)
@click.option(
    "--request",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What the camera wrote ('bwv request'): it made its key itself.",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="With --request: the camera's configuration, to go with the answer.",
)
def command(
    device: str, agency: Path, out: Path | None, request: Path | None, config_file: Path | None
) -> None:
    """Makes the key and certificate of the camera DEVICE, and copies the agency's public keys.

    With --request the camera has made its key itself: the answer holds its certificate, the
    agency's public keys and the configuration, in a folder that the camera finds on its stick.
    """
    now = datetime.datetime.now(datetime.UTC)
    if request is not None:
        _answer(device, agency, request, out or request.parent, config_file, now)
        return
    if config_file is not None:
        raise click.UsageError("--config goes with --request.")
    out = out or Path("keys")
    keys.make_device(agency, out, device, HostEntropy(), now, ask)
    for name in (keys.RECIPIENTS, keys.ROOT):
        if agency.resolve() != out.resolve():
            shutil.copyfile(agency / name, out / name)
    click.echo(f"Camera {device} is provisioned in {out}.")


def _answer(
    device: str,
    agency: Path,
    request: Path,
    out: Path,
    config_file: Path | None,
    now: datetime.datetime,
) -> None:
    names = (keys.CA_KEY, keys.CA, keys.ROOT, keys.RECIPIENTS)
    try:
        held = {name: read_small(agency / name) for name in names}
        pem = read_small(request, key_request.REQUEST_LIMIT)
    except OSError as error:
        why = f"{error.filename} can't be read: {reason(error)}."
        raise KeyFileError(why, "Check the path.") from None
    files = key_request.answer(held, pem, str(request), device, HostEntropy(), now, ask)
    if config_file is not None:
        load(config_file)
        files[CONFIG] = read_small(config_file)
    mark = key_request.fingerprint(key_request.requested_key(pem, str(request)))
    folder = writable_folder(out / f"bwv-answer-{mark}")
    try:
        for name, content in files.items():
            write_durably(folder / name, content)
    except OSError as error:
        raise output_error(folder, error) from None
    click.echo(f"The answer for the camera {device} is in {folder}.")
    click.echo(f"Its key is {mark}: the camera must show the same.", err=True)
