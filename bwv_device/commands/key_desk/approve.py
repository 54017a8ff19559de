"""`bwv custody approve-view`: the second person."""

from __future__ import annotations

from pathlib import Path

import click

from bwv_device.commands.custody.options import CustodyContext
from bwv_device.custody.key_desk.view_request import (
    APPROVERS,
    make_approval,
    read_approval,
    read_request,
)
from bwv_device.custody.key_desk.viewing_policy import VIEWERS
from bwv_device.errors import CustodyError
from bwv_device.files import read_small, write_durably
from bwv_device.formats.statement import StatementError
from bwv_device.formats.visible_text import visible


@click.command(name="approve-view")
@click.argument("request", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Default: REQUEST.approval.")
@click.pass_obj
def approve_command(context: CustodyContext, request: Path, out: Path | None) -> None:
    """Signs that you agree to the look that the file REQUEST asks for (view --request-out)."""
    session = context.session
    data = read_small(request)
    try:
        asked = read_request(data, VIEWERS, context.roots)
        approval = make_approval(session.signer, data, session.now_ns())
        read_approval(approval, asked, context.roots)
    except StatementError as error:
        who = " or ".join(APPROVERS)
        raise CustodyError(
            f"This can't be approved by {session.name}: it {error}.", f"Another {who} must agree."
        ) from None
    path = out or request.with_name(request.name + ".approval")
    write_durably(path, approval)
    value = asked.value
    named = f"{asked.person} ({asked.role}) may look at {value.device}/{value.recording}"
    click.echo(visible(f"{named}, {len(value.segments)} files: {value.reason}"))
    click.echo(f"Give them {path}.")
