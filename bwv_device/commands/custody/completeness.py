"""`bwv custody completeness`: is everything here that any ledger or receipt speaks of?"""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from bwv_device.commands.cli.tables import plain, print_table
from bwv_device.commands.custody.options import CustodyContext, print_json
from bwv_device.commands.custody.service_log import ServiceLog
from bwv_device.commands.custody.until_stopped import until_stopped
from bwv_device.custody.holdings import completeness
from bwv_device.custody.holdings.completeness import Completeness
from bwv_device.errors import CustodyError
from bwv_device.formats.visible_text import visible
from hal.ports import SECOND_NS, StoreError

# Objects that are read side by side.
AT_ONCE = 8
# How often the service looks whether it is time.
LOOK_S = 60.0
HOUR_NS = 3600 * SECOND_NS

console = Console(highlight=False)


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.option("--no-line", is_flag=True, help="Only look: write nothing into the ledger.")
@click.option("--watch", is_flag=True, help="Go on until stopped, every service.completeness_h.")
@click.pass_obj
def completeness_command(
    context: CustodyContext, as_json: bool, no_line: bool, watch: bool
) -> None:
    """Reads everything again that any ledger or receipt speaks of, and names what is lost."""
    if watch:
        _watch(context)
        return
    if not no_line:
        context.session.require("completeness")
    found = completeness.examine(context.session, context.replicas, AT_ONCE)
    if not no_line:
        completeness.write_down(context.session, found)
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)
    if found.lost:
        raise CustodyError(
            f"{len(found.lost)} objects are lost, or not whole everywhere.",
            "Each is named above: fetch it from where it is whole, or from its camera.",
        )


def _print(found: Completeness) -> None:
    click.echo(f"{found.here:,} objects are here and whole ({found.read_bytes:,} bytes were read)")
    click.echo(f"{found.erased:,} files were erased with a certificate")
    if found.never_came:
        click.echo(f"{found.never_came:,} files never came; their certificates say so")
    for device, count in sorted(found.on_camera.items()):
        click.echo(visible(f"{count:,} files are on the camera {device}, or on their way"))
    if found.lost:
        table = Table(box=None, pad_edge=False)
        for column in ("what", "recording", "file", "what is wrong", "whole in", "cases, requests"):
            table.add_column(column)
        for lost in found.lost:
            touched = ", ".join((*lost.cases, *lost.requests))
            cells = (lost.what, lost.recording, lost.segment, lost.why, ", ".join(lost.whole_in))
            table.add_row(*(plain(cell or "-") for cell in (*cells, touched)))
        print_table(table, console)
    for said in _told(found):
        click.echo(visible(said), err=True)


def _told(found: Completeness) -> list[str]:
    words = {
        "left_out": "objects are here, and a listing of the store leaves them out",
        "strangers": "objects are here, and nothing speaks of them",
        "remains": "objects were erased, and are here",
    }
    said = []
    for of, count in found.counts.items():
        names = ", ".join(getattr(found, of)[:3])
        said.append(f"{count:,} {words[of]}: {names}{' …' if count > 3 else ''}")
    return said + found.remarks


def _as_json(found: Completeness) -> dict[str, object]:
    return {
        "here": found.here, "bytes": found.read_bytes, "erased": found.erased,
        "never_came": found.never_came, "on_camera": found.on_camera,
        "lost": [{**lost._asdict(), "places": dict(lost.places)} for lost in found.lost],
        "left_out": found.left_out, "strangers": found.strangers, "remains": found.remains,
        "counts": found.counts, "remarks": found.remarks,
    }  # fmt: skip


def _watch(context: CustodyContext) -> None:
    """The service: what is wrong is told each time, until it is not wrong any more."""
    log, stopped = ServiceLog(context), until_stopped()
    every_ns = context.settings.service.completeness_h * HOUR_NS
    while True:
        try:
            if context.now_ns() - _last_ns(context) >= every_ns:
                found = completeness.examine(context.session, context.replicas, AT_ONCE)
                completeness.write_down(context.session, found)
                log.completeness(found, _told(found))
        except StoreError as error:
            log.no_answer(error)
        if stopped.wait(LOOK_S):
            return


def _last_ns(context: CustodyContext) -> int:
    context.session.index.catch_up()
    row = context.session.index.row(
        "SELECT max(utc_ns) AS newest FROM lines WHERE kind = 'completeness' AND refused = ''"
    )
    return int(row["newest"] or 0) if row else 0
