"""`bwv custody request`: requests from the public."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from bwv_device.commands.cli.tables import plain, print_table
from bwv_device.commands.custody.options import CustodyContext, print_json
from bwv_device.custody import public_requests
from bwv_device.errors import CustodyError
from bwv_device.formats.visible_text import visible


@click.group(name="request")
def request_command() -> None:
    """Requests from the public: held at once, answered in time."""


@request_command.command(name="open")
@click.option("--kind", required=True, type=click.Choice(public_requests.KINDS))
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
    opened = public_requests.open_request(context.session, asked, context.settings.agency.region)
    click.echo(f"Request {opened.request}: the answer is due on {opened.due}.")
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
    coverage = public_requests.search(context.session, request)
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
        table.add_row(plain(row["id"]), plain(row["kind"]), row["received"], row["due"],
                      "yes" if row["in_time"] else "no", plain(row["place"]),
                      plain(row["outcome"] or "open"))  # fmt: skip
    print_table(table)
    for sentence in public_requests.reminders(
        context.session, context.settings.service.reminder_days
    ):
        click.echo(sentence, err=True)
