"""`bwv custody software`: releases of the cameras' software."""

from __future__ import annotations

from pathlib import Path

import click

from bwv_device.commands.custody.options import CustodyContext, print_json


@click.group(name="software")
def software_command() -> None:
    """Releases of the cameras' software: signed, named in the ledger, offered to cameras."""


@software_command.command()
@click.argument("slot", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def bundle(context: CustodyContext, slot: Path, out: Path) -> None:
    """Signs the SLOT that 'make image' made (camera.slot.img), with a role key 'software'.

    Needs Debian's packages rauc and mtools.
    """
    from bwv_device.backends.rauc import make_bundle

    root = Path(context.settings.agency.root)
    release = make_bundle(slot, context.key_path, root, out)
    click.echo(f"{out} is release {release}. A custodian brings it to the store: software publish.")


@software_command.command()
@click.argument("file", metavar="BUNDLE", type=click.Path(path_type=Path, exists=True))
@click.pass_obj
def publish(context: CustodyContext, file: Path) -> None:
    """Brings a BUNDLE to the store, and names it in the ledger."""
    from bwv_device.backends.rauc import read_bundle
    from bwv_device.custody import software

    release = read_bundle(file, Path(context.settings.agency.root))
    named = software.publish(context.session, file, release)
    click.echo(f"Line {named.line} names release {release}: {named.sha256}")
    click.echo(f"When witnesses have seen it (bwv custody log): software offer {release}", err=True)


@software_command.command()
@click.argument("release")
@click.pass_obj
def offer(context: CustodyContext, release: str) -> None:
    """Lays the proof beside the bundle by which cameras judge it."""
    from bwv_device.custody import software

    context.session.check()
    named = software.offer(context.session, release)
    click.echo(f"Cameras may take it: bwv fleet update {release} {named.sha256}")


@software_command.command(name="list")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def list_command(context: CustodyContext, as_json: bool) -> None:
    """All releases that the ledger names, the newest last."""
    from bwv_device.custody import software

    found = software.named(context.session)
    if as_json:
        print_json([item._asdict() for item in found])
        return
    for item in found:
        click.echo(f"{item.release}  {item.sha256}  {item.length} bytes, line {item.line}")
