"""`bwv desk code`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bwv_device.commands.custody.options import CustodyContext
from bwv_device.config import read_file
from bwv_device.files import writable_folder, write_durably


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--address", default="", help="Where the data come from; default: desk.address.")
@click.option("--no-line", is_flag=True, help="Write the files, and no line that names them.")
@click.pass_obj
def code_command(context: CustodyContext, folder: Path, address: str, no_line: bool) -> None:
    """Writes what browsers run into FOLDER, for another host or administrator to publish, and its
    digest into custody's ledger: 'bwv desk check' compares them from outside."""
    from bwv_device.desk import page

    settings = context.settings
    address = (address or settings.desk.address).rstrip("/")
    if not address:
        raise click.UsageError("Where do the data come from? Set desk.address, or give --address.")
    root = read_file(Path(settings.agency.root)).decode("ascii", "replace")
    published = page.files(root, address)
    digest = page.digest(published)
    if not no_line:
        said: dict[str, Any] = {"sha256": digest, "files": page.listed(published)}
        session = context.session
        newest = next(iter([*session.index.lines("kind = 'desk-code'")][-1:]), None)
        if newest is None or newest["sha256"] != digest:
            session.append(lambda: ("desk-code", said))
    writable_folder(folder)
    for name, data in published.items():
        write_durably(folder / name, data)
        (folder / name).chmod(0o644)  # the web server's user reads it
    click.echo(f"{folder} holds the desk's code, digest {digest}.")
