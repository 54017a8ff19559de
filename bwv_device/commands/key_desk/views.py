"""`bwv custody views`: who looked at what."""

from __future__ import annotations

import click
from rich.table import Table

from bwv_device.commands.cli.tables import plain, print_table
from bwv_device.commands.custody.options import CustodyContext, print_json
from bwv_device.custody.key_desk.consultations import Consultation, consultations
from bwv_device.errors import CustodyError

HEADINGS = ("line", "when", "who", "as", "recording", "how", "why", "")


@click.command(name="views")
@click.argument("recording", default="")
@click.option("--person", default="", help="By their identifier.")
@click.option("--outside", is_flag=True, help="Only looks outside of their cases.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def views_command(
    context: CustodyContext, recording: str, person: str, outside: bool, as_json: bool
) -> None:
    """Who looked at RECORDING, or at any. What a line says is held against what the person signed:
    exit code 13 where they differ."""
    found = consultations(context.session, context.roots, recording, person, outside=outside)
    if as_json:
        print_json([one._asdict() for one in found])
    else:
        table = Table(*HEADINGS, box=None, pad_edge=False)
        for one in found:
            table.add_row(*map(plain, _cells(context, one)))
        print_table(table)
        click.echo(f"{len(found)} looks.")
    if wrong := [one for one in found if one.wrong]:
        raise CustodyError(
            f"Line {wrong[0].line} does not say what was asked: {wrong[0].wrong}.",
            "Ask who runs the key desk.",
        )


def _cells(context: CustodyContext, one: Consultation) -> tuple[str, ...]:
    why = f"{one.reason} ({one.case})" if one.case else one.reason
    second = f"with {one.approver}" if one.approver else ""
    remark = ", ".join(filter(None, ("outside their cases" if one.outside else "", second)))
    return (
        str(one.line), context.said(one.utc_ns), one.person, one.role, ", ".join(one.recordings),
        one.kind, why, one.wrong or remark,
    )  # fmt: skip
