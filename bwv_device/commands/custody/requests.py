"""`bwv custody request`: requests from the public."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from bwv_device.commands.cli.tables import plain, print_table
from bwv_device.commands.custody.options import CustodyContext, print_json
from bwv_device.custody.requests import law, public_requests
from bwv_device.custody.requests.law import Deadline, Step
from bwv_device.custody.requests.search_certificate import search as search_request
from bwv_device.custody.requests.statistics import Answered, statistics
from bwv_device.custody.requests.steps import existing_request, take_step
from bwv_device.errors import CustodyError
from bwv_device.formats.visible_text import visible


@click.group(name="request")
def request_command() -> None:
    """Requests from the public: held at once, answered in time."""


@request_command.command(name="open")
@click.option("--kind", required=True, type=click.Choice(law.KINDS))
@click.option("--letter", required=True, type=click.Path(path_type=Path), help="As it was written.")
@click.option("--received", required=True, help="The day: 2026-11-22.")
@click.option("--incident", required=True, help="When it happened: 2026-11-20T21:30.")
@click.option("--from", "from_", help="Footage from; default: 15 minutes before.")
@click.option("--to", "to_", help="Footage to; default: an hour after.")
@click.option("--place", required=True)
@click.option("--description", required=True)
@click.option("--camera", "cameras", multiple=True, help="Only these, where they are known.")
@click.option("--officer", "officers", multiple=True)
@click.pass_obj
def open_(
    context: CustodyContext,
    kind: str,
    letter: Path,
    received: str,
    incident: str,
    from_: str | None,
    to_: str | None,
    place: str,
    description: str,
    cameras: tuple[str, ...],
    officers: tuple[str, ...],
) -> None:
    """Files the letter and holds what it may ask for, also what is still on a camera."""
    try:
        text = letter.read_bytes()
    except OSError as error:
        raise CustodyError(f"{letter} can't be read: {error.strerror}.", "Name a file.") from None
    at_ns = context.parse_ns(incident)
    asked = public_requests.RequestDetails(
        kind,
        text,
        letter.name,
        context.day(received),
        at_ns,
        context.parse_ns(from_) if from_ else at_ns - 15 * 60 * 10**9,
        context.parse_ns(to_) if to_ else at_ns + 3600 * 10**9,
        place,
        description,
        cameras,
        officers,
    )
    opened = public_requests.open_request(context.session, asked, context.figures)
    click.echo(f"Request {opened.request}: the answer is due on {opened.due}.")
    for said in opened.alike:
        click.echo(visible(f"perhaps the same: {said}"), err=True)
    if not opened.in_time:
        click.echo("It came more than 31 days after the incident: answered from what is kept.")
    for name in opened.held:
        click.echo(f"held: {name}")


@request_command.command()
@click.argument("request")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def search(context: CustodyContext, request: str, as_json: bool) -> None:
    """What may show what REQUEST asks for, and which cameras can't have been searched:
    certified."""
    coverage = search_request(context.session, request)
    if as_json:
        print_json(coverage._asdict())
        return
    for name in coverage.found:
        click.echo(name)
    click.echo(f"searched: {', '.join(coverage.searched) or 'no camera'}", err=True)
    if coverage.not_docked:
        click.echo(
            f"not docked since, may still hold footage: {', '.join(coverage.not_docked)}", err=True
        )
    for name in coverage.not_delivered:
        click.echo(visible(f"{name}: recorded, and not all of it was delivered"), err=True)
    if coverage.erased:
        click.echo(f"{coverage.erased} recordings of that time were erased before", err=True)


@request_command.command()
@click.argument("request")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def show(context: CustodyContext, request: str, as_json: bool) -> None:
    """Everything about REQUEST: each step with its effect on the day when the answer is due."""
    index = context.session.index
    row = existing_request(index, request)
    lines = [
        {key: value for key, value in line.items() if key != "certificate"}
        for line in index.lines("kind IN ('request', 'request-step', 'request-closed', 'search')")
        if line["request"] == request
    ]
    held = index.rows("SELECT * FROM holds WHERE request = ? ORDER BY n", request)
    found = public_requests.candidates(index, request)
    if as_json:
        print_json({"request": row, "lines": lines, "holds": held, "candidates": found})
        return
    click.echo(visible(f"{request}  {row['kind']}, received {row['received']}: {_state(row)}"))
    click.echo(visible(f"{row['place']}: {row['description']}"))
    click.echo(f"footage {context.said(row['from_ns'])} to {context.said(row['to_ns'])}")
    click.echo(f"letter SHA-256 {row['letter']}")
    for line in lines:
        due = f"; due {line['due'] or 'not while the clock stands'}" if "due" in line else ""
        words = " ".join(filter(None, (line.get("step"), line.get("about"), line.get("day"))))
        words = words or line.get("outcome", "") or f"{len(line.get('found', ()))} recordings found"
        words = line["received"] if line["kind"] == "request" else words
        click.echo(visible(
            f"  {line['n']:>6}  {context.said(line['utc_ns'])}  {line['kind']:<15} {words}{due}  "
            f"{line['name']} {line.get('reason', '')}"
        ))  # fmt: skip
    for hold in held:
        state = "released" if hold["released"] else "in force"
        click.echo(visible(f"  hold {hold['n']} of {hold['recording']}: {state}"))
    if not held:
        click.echo("  nothing is held for it")


def _state(row: Mapping[str, Any]) -> str:
    if row["outcome"]:
        return f"closed, {row['outcome']}"
    return f"due {row['due']}" if row["due"] else "open, the clock stands still"


def _step(
    context: CustodyContext, request: str, what: str, about: str, day: str | None, reason: str
) -> None:
    today = context.session.retention.day(context.now_ns())
    step = Step(what, about, context.day(day) if day else today)
    _say_due(request, take_step(context.session, request, step, reason))


def _say_due(request: str, now: Deadline) -> None:
    if now.due:
        click.echo(f"Request {request}: the answer is due on {now.due}.")
    else:
        waits = " and ".join(now.waits_for)
        click.echo(f"Request {request}: the clock stands still until {waits} is answered.")


@request_command.command()
@click.argument("request")
@click.option("--about", required=True,
              type=click.Choice([law.IDENTITY, law.CLARIFICATION, law.FEE]))  # fmt: skip
@click.option("--day", help="Default: today.")
@click.option("--reason", required=True, help="What was asked, and how.")
@click.pass_obj
def ask(context: CustodyContext, request: str, about: str, day: str | None, reason: str) -> None:
    """Whoever wrote REQUEST was asked for something: the clock stands still until it comes."""
    _step(context, request, law.ASKED, about, day, reason)


@request_command.command()
@click.argument("request")
@click.option("--about", required=True,
              type=click.Choice([law.IDENTITY, law.CLARIFICATION, law.FEE]))  # fmt: skip
@click.option("--day", help="On which it came; default: today.")
@click.option("--reason", required=True, help="What came.")
@click.pass_obj
def answer(context: CustodyContext, request: str, about: str, day: str | None, reason: str) -> None:
    """What was asked for came: the clock goes on, or begins anew."""
    _step(context, request, law.ANSWERED, about, day, reason)


@request_command.command()
@click.argument("request")
@click.option("--about", required=True, type=click.Choice([law.COMPLEX, law.PUBLIC_INTEREST]))
@click.option("--day", help="On which the requester was told; default: today.")
@click.option("--reason", required=True)
@click.pass_obj
def extend(context: CustodyContext, request: str, about: str, day: str | None, reason: str) -> None:
    """REQUEST takes longer, as the statute allows: once, and told before the answer is due."""
    _step(context, request, law.EXTENDED, about, day, reason)


@request_command.command(name="statistics")
@click.option("--from", "from_", help="Received from this day on: 2026-01-01.")
@click.option("--to", "to_", help="Received until this day.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def statistics_(context: CustodyContext, from_: str | None, to_: str | None, as_json: bool) -> None:
    """In time, late, how long it took, what is open: counted from signed lines. The program
    bwv_device.verification.request_statistics counts the same without this one."""
    first = context.day(from_) if from_ else datetime.date.min
    last = context.day(to_) if to_ else datetime.date.max
    counted = list(statistics(context.session, first, last))
    if as_json:
        print_json({said.kind: {k: v for k, v in said._asdict().items() if k != "kind"}
                    for said in counted})  # fmt: skip
        return
    table = Table(box=None, pad_edge=False)
    for column in ("", *(said.kind for said in counted)):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name in Answered._fields[1:]:
        values = [getattr(said, name) for said in counted]
        words = ("-" if value is None else str(value) for value in values)
        table.add_row(name.replace("_", " "), *words)
    print_table(table)


@request_command.command()
@click.argument("request")
@click.option("--outcome", required=True, type=click.Choice(public_requests.OUTCOMES))
@click.option("--reason", default="")
@click.pass_obj
def close(context: CustodyContext, request: str, outcome: str, reason: str) -> None:
    """Says how REQUEST was answered."""
    held = public_requests.close_request(context.session, request, outcome, reason)
    click.echo(f"Request {request} is closed: {outcome}.")
    for hold in held:
        said = f"hold {hold['n']} of {hold['recording']} stays until two people release it"
        click.echo(visible(said), err=True)


@request_command.command(name="list")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def list_(context: CustodyContext, as_json: bool) -> None:
    """All requests, with the days on which their answers are due."""
    rows = public_requests.all_requests(context.session.index)
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("request", "kind", "received", "due", "in time", "place", "state"):
        table.add_column(column)
    for row in rows:
        table.add_row(plain(row["id"]), plain(row["kind"]), row["received"], row["due"] or "waits",
                      "yes" if row["in_time"] else "no", plain(row["place"]),
                      plain(row["outcome"] or "open"))  # fmt: skip
    print_table(table)
    for sentence in public_requests.reminders(
        context.session, context.settings.service.reminder_days
    ):
        click.echo(sentence, err=True)
