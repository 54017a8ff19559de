"""`bwv verify`: judges a vault with public keys only."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from bwv_device import keys
from bwv_device.errors import VaultError
from bwv_device.files import read_small
from bwv_device.verification.conclusion import Conclusion, conclude, sentence
from bwv_device.verification.signed_heads import parse_head
from bwv_device.verification.vault_report import FileStatus, Report, verify

COLOURS = {FileStatus.SEALED: "green", FileStatus.RECOVERED: "yellow", FileStatus.OPEN: "yellow"}
CONCLUSION_COLOURS = {
    Conclusion.WHOLE: "green",
    Conclusion.CHANGED: "red",
    Conclusion.OTHER_ROOT: "red",
}


@click.command()
@click.argument("vault", type=click.Path(path_type=Path))
@click.option(
    "--root",
    "roots",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The agency's root certificate; may be given more than once.",
)
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    help="A ledger head that left the camera (MQTT state, or a file of fleet watch --record): "
    "shows whether the end was cut off.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(vault: Path, roots: tuple[Path, ...], anchors: tuple[str, ...], as_json: bool) -> None:
    """Checks every line and every byte of VAULT. Needs no secret.

    Exit code 0: nothing was changed or lost, and the agency vouches for the camera. 10: something
    was changed or lost. 11: nothing was, but the camera did not stop in order (its next boot
    explains it), or bytes stand behind its last line. 12: as 0, but no --root was given, so nobody
    vouches for the camera. 21: the vault is consistent, but the camera is not of the agency whose
    root was given. 22: as 0, but two programs had written this vault: it is whole since the boot
    that names both branches.
    """
    certificates = [c for path in roots for c in keys.load_certificates(path)]
    heads = [parse_head(_text(anchor)) for anchor in anchors]
    report = verify(vault, certificates, heads=heads)
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2))
    else:
        _show(report)
    sys.exit(conclude(report).value)


def _text(anchor: str) -> str:
    if anchor.lstrip().startswith("{"):
        return anchor
    try:
        return read_small(Path(anchor)).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise VaultError(
            f"The ledger head {anchor} can't be read: {error}.", "Give a file, or JSON."
        ) from None


def _show(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    from bwv_device.commands.cli.tables import plain, print_table

    table = Table(box=None, pad_edge=False)
    for column in ("file", "status", "bytes", "remark"):
        table.add_column(column, justify="right" if column == "bytes" else "left")
    for verdict in report.segments:
        colour = COLOURS.get(verdict.status, "red")
        status = f"[{colour}]{verdict.status.value}[/]"
        table.add_row(plain(verdict.name), status, f"{verdict.length:,}", plain(verdict.detail))
    console = Console(highlight=False)
    print_table(table, console)
    for problem in report.problems:
        console.print(f"[red]problem[/]  {plain(problem)}")
    for remark in report.remarks:
        console.print(f"[yellow]remark[/]   {plain(remark)}")
    console.print(
        f"device {plain(report.device)}, {report.boots} boots, {report.lines} ledger lines, "
        f"head {report.head.number if report.head else 0}"
    )
    colour = CONCLUSION_COLOURS.get(conclude(report), "yellow")
    console.print(f"[{colour}]{plain(sentence(report))}[/]")
