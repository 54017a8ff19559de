"""`bwv custody list, show, audit, certificate, index`: looking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bwv_device.commands.cli.tables import plain, print_table
from bwv_device.commands.custody.options import CustodyContext, print_json
from bwv_device.custody import search
from bwv_device.custody.recording_history import RecordingHistory, audit
from bwv_device.custody.retention import deletion_certificate, holds
from bwv_device.custody.retention_dates import NANOSECOND
from bwv_device.custody.search import Wanted
from bwv_device.errors import CustodyError
from bwv_device.files import writable_folder
from bwv_device.formats.visible_text import visible

console = Console(highlight=False)


@click.command()
@click.option("--from", "from_", help="A time: 2026-11-22T21:30, in the agency's zone.")
@click.option("--to", "to_", help="A time.")
@click.option("--camera", default="")
@click.option("--officer", default="")
@click.option("--category", default="")
@click.option("--marker", default="", type=click.Choice(["", *search.MARKERS]), show_choices=False,
              help="informed, moment or snapshot.")  # fmt: skip
@click.option("--held/--not-held", default=None)
@click.option("--hidden/--not-hidden", default=None)
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def list_command(
    context: CustodyContext,
    from_: str | None,
    to_: str | None,
    camera: str,
    officer: str,
    category: str,
    marker: str,
    held: bool | None,
    hidden: bool | None,
    limit: int,
    as_json: bool,
) -> None:
    """Recordings in the store; every option that is given must hold."""
    wanted = Wanted(
        context.parse_ns(from_) if from_ else None, context.parse_ns(to_) if to_ else None,
        camera, officer, category, marker, held, hidden, limit,
    )  # fmt: skip
    rows = search.find(context.session, wanted)
    if as_json:
        print_json([{**row, "due": context.session.due(row)._asdict()} for row in rows])
        if (total := search.count(context.session, wanted)) > len(rows):
            click.echo(_counted(rows, total), err=True)
        return
    table = _table("recording", "began", "seconds", "officer", "category", "state", "goes on")
    for row in rows:
        table.add_row(
            plain(row["id"]),
            _sure(context, row),
            f"{(row['end_ns'] - row['start_ns']) / NANOSECOND:.0f}",
            plain(row["officer"] or "-"),
            plain(row["category"]),
            _state(context, row),
            "held" if context.session.held(row["id"]) else str(context.session.due(row).erased),
        )
    print_table(table, console)
    click.echo(_counted(rows, search.count(context.session, wanted)), err=True)


@click.command()
@click.argument("recording")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def show_command(context: CustodyContext, recording: str, as_json: bool) -> None:
    """Everything about one recording, with the custody lines that speak of it."""
    row = holds.existing(context.session, recording)
    files = "SELECT * FROM files WHERE recording = ? ORDER BY segment"
    said: dict[str, Any] = {
        "recording": {**row, "due": context.session.due(row)._asdict()},
        "files": context.session.index.rows(files, recording),
        "holds": context.session.index.rows(
            "SELECT * FROM holds WHERE recording = ? ORDER BY n", recording
        ),
        "lines": [
            {k: v for k, v in line.items() if k != "certificate"}
            for line in search.lines_about(context.session, recording)
        ],
    }
    if as_json:
        print_json(said)
        return
    due = context.session.due(row)
    console.print(
        f"[bold]{plain(recording)}[/]  {_sure(context, row)}, officer {plain(row['officer'])}"
    )
    dates = f"hidden on {due.hidden}, erased on {due.erased} ({plain(due.rule)})"
    if context.session.held(recording):
        dates = f"not erased while it is held; without the hold {dates}"
    console.print(f"{plain(row['category'])}, {_state(context, row)}; {dates}")
    for file in said["files"]:
        lost = f"  [red]lost: {plain(file['lost'])}[/]" if file["lost"] else ""
        console.print(f"  {file['segment']}  {file['length']:,} bytes  {file['status']}{lost}")
    for hold in said["holds"]:
        state = "released" if hold["released"] else "proposed" if hold["proposed"] else "in force"
        console.print(
            f"  hold {hold['n']} ({state}): {plain(hold['reason'])} {plain(hold['case_'])}"
        )
    for line in said["lines"]:
        console.print(
            f"  {line['n']:>6}  {context.said(line['utc_ns'])}  {line['kind']:<17} "
            f"{plain(str(line['name']))} ({plain(line['role'])})"
        )


@click.command()
@click.argument("recording")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def audit_command(context: CustodyContext, recording: str, as_json: bool) -> None:
    """The life of a recording from the press of the button, and whether its chain is unbroken."""
    life = audit(context.session, context.roots, recording, context.witnesses)
    if as_json:
        print_json({"recording": recording, "unbroken": not life.problems,
                    "problems": life.problems, "remarks": life.remarks, "seen": life.seen,
                    "steps": [step._asdict() for step in life.steps]})  # fmt: skip
    else:
        _print_life(context, life)
    if life.problems:
        raise CustodyError(f"The chain of {recording} is broken.", "Each problem is named above.")


@click.command()
@click.argument("recording")
@click.option("--json", "as_json", is_flag=True, help="With the proof that its line holds it.")
@click.option("--page", type=click.Path(dir_okay=False, path_type=Path), help="Writes a web page.")
@click.pass_obj
def certificate_command(
    context: CustodyContext, recording: str, as_json: bool, page: Path | None
) -> None:
    """The signed deletion certificate of an erased recording."""
    certificate = deletion_certificate.find(context.session, recording)
    erased = context.said(certificate.line["utc_ns"])
    if page is not None:
        writable_folder(page.parent)
        page.write_text(deletion_certificate.page(certificate, erased))
    if as_json:
        print_json({"certificate": certificate.said, "line": certificate.line,
                    "line_sha256": certificate.digest, "leaf": certificate.leaf,
                    "size": certificate.size, "proof": certificate.proof})  # fmt: skip
        return
    for name, value in deletion_certificate.facts(certificate, erased):
        click.echo(visible(f"{name:<20} {value}"))


@click.command()
@click.pass_obj
def index_command(context: CustodyContext) -> None:
    """Builds the index anew from the store, which is the only truth."""
    context.session.index.rebuild()
    context.session.check()
    count = context.session.index.row("SELECT count(*) AS n FROM recordings")
    problems = context.session.index.rows("SELECT * FROM problems ORDER BY n")
    click.echo(
        f"{context.session.index.head.number} lines, {count['n'] if count else 0} recordings"
    )
    for problem in problems:
        click.echo(visible(f"line {problem['n']}: {problem['problem']}"), err=True)


def _print_life(context: CustodyContext, life: RecordingHistory) -> None:
    for step in life.steps:
        detail = {k: v for k, v in step.fields.items() if k in TOLD and v not in ("", None)}
        words = ", ".join(f"{k} {v}" for k, v in detail.items())
        console.print(
            f"{context.said(step.utc_ns):<24} {step.ledger:<8}{step.number:>6}  {step.what:<17} "
            f"{plain(step.who)}  [dim]{plain(words)}[/]",
            soft_wrap=True,
        )
    for problem in life.problems:
        console.print(f"[red]broken[/]  {plain(problem)}")
    for remark in life.remarks:
        console.print(f"[dim]remark  {plain(remark)}[/]", soft_wrap=True)
    if not life.problems:
        console.print("[green]Unbroken: every line is numbered, linked and signed.[/]")
    if life.seen:
        console.print(plain(f"{life.seen[0].upper()}{life.seen[1:]}."))


TOLD = (
    "segment", "reason", "case", "rule", "marker", "trigger", "officer", "category", "words",
    "length", "age_days", "request", "outcome", "hold",
)  # fmt: skip


def _counted(rows: list[dict[str, Any]], total: int) -> str:
    """How many are shown; a list that was cut short must not look complete."""
    if total > len(rows):
        return f"{len(rows)} of {total} recordings: the newest. More with --limit {total}."
    return f"{total} recordings"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column == "recording")
    return table


def _sure(context: CustodyContext, row: dict[str, Any] | Any) -> str:
    """When it began, with the clock's error where that is more than a second."""
    if row["error_ns"] > 86_400 * NANOSECOND:
        return f"before {context.said(row['latest_ns'])} (clock not set)"
    error_s = row["error_ns"] / NANOSECOND
    return context.said(row["start_ns"]) + (f" ± {error_s:.0f} s" if error_s > 1 else "")


def _state(context: CustodyContext, row: dict[str, Any] | Any) -> str:
    if row["erased_ns"]:
        return f"erased {context.said(row['erased_ns'])}"
    if context.session.held(row["id"]):
        return "held"
    if row["hidden_ns"]:
        return "hidden"
    lost = "SELECT 1 FROM files WHERE recording = ? AND lost != '' AND status = 'received'"
    if context.session.index.row(lost, row["id"]) is not None:
        return "not whole: lost"
    absent = "SELECT 1 FROM files WHERE recording = ? AND status = 'absent'"
    if context.session.index.row(absent, row["id"]) is not None:
        return "recorded, not delivered"
    if row["received_ns"] is None:
        return "on the camera"
    return "late" if row["late"] else "kept"
