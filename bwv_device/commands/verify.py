"""`bwv verify`: judges a vault with public keys only."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from bwv_device import keys
from bwv_device.commands.key_files.identities import load_identities
from bwv_device.commands.video_verify import EXIT_CODES
from bwv_device.errors import VaultError
from bwv_device.files import read_small
from bwv_device.formats.visible_text import visible
from bwv_device.verification.conclusion import Conclusion, conclude, sentence
from bwv_device.verification.signed_heads import parse_head
from bwv_device.verification.signed_recordings import judge_recordings
from bwv_device.verification.vault_report import FileStatus, Report, judge_all, survey
from bwv_device.verification.video_signatures import Answer, VideoVerdict

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
@click.option("--identity", type=click.Path(path_type=Path),
              help="The agency's secret: also judges what the camera signed within the pictures; "
              "needs --root.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    vault: Path,
    roots: tuple[Path, ...],
    anchors: tuple[str, ...],
    identity: Path | None,
    as_json: bool,
) -> None:
    """Checks every line and every byte of VAULT. Needs no secret.

    Exit code 0: nothing was changed or lost, and the agency vouches for the camera. 10: something
    was changed or lost. 11: nothing was, but the camera did not stop in order (its next boot
    explains it), or bytes stand behind its last line. 12: as 0, but no --root was given, so nobody
    vouches for the camera. 21: the vault is consistent, but the camera is not of the agency whose
    root was given. 22: as 0, but two programs had written this vault: it is whole since the boot
    that names both branches. 26: as 0, but within some pictures not everything is signed
    (--identity).
    """
    if identity is not None and not roots:
        raise click.UsageError("--identity needs --root: it says whose signatures count.")
    certificates = [c for path in roots for c in keys.load_certificates(path)]
    heads = [parse_head(_text(anchor)) for anchor in anchors]
    surveyed = survey(vault, certificates, heads=heads)
    report = judge_all(surveyed)
    inside: dict[str, VideoVerdict] = {}
    if identity is not None:
        inside = judge_recordings(surveyed, load_identities(identity), certificates)
    if as_json:
        signed = {name: _as_dict(verdict) for name, verdict in inside.items()}
        click.echo(
            json.dumps(report.as_dict() | ({"inside": signed} if identity else {}), indent=2)
        )
    else:
        _show(report)
        for name, verdict in inside.items():
            _show_inside(name, verdict)
    sys.exit(_exit_code(conclude(report), inside))


def _exit_code(conclusion: Conclusion, inside: Mapping[str, VideoVerdict]) -> int:
    answers = {verdict.answer for verdict in inside.values()}
    if Answer.NOT_GENUINE in answers and conclusion is not Conclusion.OTHER_ROOT:
        conclusion = Conclusion.CHANGED
    if Answer.EXCEPTION in answers and conclusion is Conclusion.WHOLE:
        return EXIT_CODES[Answer.EXCEPTION]
    code: int = conclusion.value
    return code


def _as_dict(verdict: VideoVerdict) -> dict[str, object]:
    return {"answer": verdict.answer.value, **verdict.as_dict()}


def _show_inside(name: str, verdict: VideoVerdict) -> None:
    click.echo(visible(f"inside {name}: {verdict.groups} signed groups, {verdict.answer.value}"))
    for why in (*verdict.problems, *verdict.exceptions):
        click.echo(visible(f"  {why}"))


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
