"""`bwv custody migrate`: moves a store of evidence to another place."""

from __future__ import annotations

from pathlib import Path

import click
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn

from bwv_device.backends.evidence_store import open_store
from bwv_device.commands.custody.options import CustodyContext
from bwv_device.custody.holdings import migration
from bwv_device.custody.ledger.store_identity import read_identity
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError, EvidenceStoreError
from bwv_device.formats.visible_text import visible
from hal.ports import EvidenceStore


@click.command()
@click.argument("from_", metavar="FROM")
@click.argument("to")
@click.option("--from-credentials", type=click.Path(path_type=Path), help="Default: store's.")
@click.option("--to-credentials", type=click.Path(path_type=Path), help="Default: store's.")
@click.option("--erase-source", is_flag=True,
              help="Then erase FROM, each object once it was read again at TO.")  # fmt: skip
@click.pass_obj
def migrate_command(
    context: CustodyContext,
    from_: str,
    to: str,
    from_credentials: Path | None,
    to_credentials: Path | None,
    erase_source: bool,
) -> None:
    """Copies everything FROM one store (a directory, or https://host:port/bucket) TO another, reads
    it again there, and writes into its ledger that it did. Stop the services first. --as is the
    intake's key."""
    own = Path(context.settings.store.credentials)
    ca = context.settings.store.ca
    stores = [
        open_store(address, credentials or own, ca)
        for address, credentials in ((from_, from_credentials), (to, to_credentials))
    ]
    if from_ == to:
        raise CustodyError("The source and the target are the same.", "Name another target.")

    def session(number: int) -> CustodySession:
        return context.session_at(stores[number])

    if erase_source and not _is_store(stores[0]):
        _erase(stores[0], session(1), migration.signed_root(session(1)))
        return
    with Progress(SpinnerColumn(), BarColumn(), DownloadColumn(), transient=True) as progress:
        task = progress.add_task("moving", total=None)
        done = migration.move(
            session(0), stores[1], lambda: session(1), lambda n: progress.advance(task, n)
        )
    click.echo(f"{done.objects:,} objects, {done.moved_bytes:,} bytes, are at the target")
    for name in done.lost:
        click.echo(visible(f"lost at the source before: {name}"), err=True)
    click.echo(f"The target's ledger says so: {done.root}. Set store.address to it.")
    if erase_source and not done.lost:
        _erase(stores[0], session(1), done.root)
    if done.lost:
        raise CustodyError(
            f"{len(done.lost)} files were lost before they were moved; nothing is erased.",
            "Each is named above: look for it with 'bwv custody completeness'.",
        )


def _is_store(store: EvidenceStore) -> bool:
    """False also where an erasing was interrupted: the identity goes first."""
    try:
        read_identity(store)
    except EvidenceStoreError:
        return False
    return True


def _erase(source: EvidenceStore, target: CustodySession, root: str) -> None:
    gone, kept = migration.erase_source(source, target, root)
    click.echo(f"{gone:,} objects of the source are erased")
    for said in kept:
        click.echo(visible(f"not erased: {said}"), err=True)
