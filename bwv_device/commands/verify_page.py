"""`bwv verify-page`: what a stranger checks a package with, to be published."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from bwv_device.files import writable_folder, write_durably
from bwv_device.verification import page, standalone


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Writes START-HERE.html and verify.py into FOLDER, as every package brings them, byte for
    byte, and prints their digests: for the agency's site, and for the ombudsman's."""
    writable_folder(folder)
    for name, data in ((page.NAME, page.page()), (standalone.NAME, standalone.verifier())):
        write_durably(folder / name, data)
        click.echo(f"{hashlib.sha256(data).hexdigest()}  {name}")
