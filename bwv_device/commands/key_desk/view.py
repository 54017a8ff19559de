"""`bwv custody view`: the one way to look at a recording that leaves a line first."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from bwv_device import keys
from bwv_device.commands.custody.options import CustodyContext
from bwv_device.commands.key_desk.key_options import served_desk, waiting
from bwv_device.commands.key_files.identities import load_identities
from bwv_device.custody.disclosure.losses import losses
from bwv_device.custody.disclosure.work_folder import work_folder
from bwv_device.custody.key_desk.key_desk import KeyDesk
from bwv_device.custody.key_desk.looking import Desk, DeskKeys, ViewingKey, ask
from bwv_device.custody.key_desk.open_recording import open_recording, received_files
from bwv_device.custody.retention.holds import existing
from bwv_device.errors import CustodyError
from bwv_device.files import read_small, writable_folder, write_durably
from bwv_device.formats.grammar.statements import VIEWED_LIMIT


@click.command(name="view")
@click.argument("recording")
@click.option("--viewing-key", required=True, type=click.Path(path_type=Path),
              help="Yours: bwv custody enrol --role viewing.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="A folder for the film.")
@click.option("--reason", default="", help="Why you look.")
@click.option("--case", default="", help="The case that you work on.")
@click.option("--desk", default="", help="Where the key desk answers; default: viewing.desk.")
@click.option("--identity", type=click.Path(path_type=Path),
              help="Without a key desk: the agency's secret, on this machine.")  # fmt: skip
@click.option("--request-out", type=click.Path(path_type=Path),
              help="Only write the request, for a second person (approve-view).")  # fmt: skip
@click.option("--request", "asked", type=click.Path(path_type=Path),
              help="A request that was written with --request-out.")  # fmt: skip
@click.option("--approval", type=click.Path(path_type=Path), help="What the second person signed.")
@click.pass_obj
def view_command(
    context: CustodyContext,
    recording: str,
    viewing_key: Path,
    out: Path | None,
    reason: str,
    case: str,
    desk: str,
    identity: Path | None,
    request_out: Path | None,
    asked: Path | None,
    approval: Path | None,
) -> None:
    """Opens RECORDING for you into --out, once custody's ledger says that you look.

    Its files open for you alone, and stay openable with your viewing key.
    """
    key = ViewingKey(*keys.load_viewing_key(viewing_key))
    session = context.session
    existing(session, recording)
    if request_out is not None:
        names = [str(file["segment"]) for file in received_files(session, recording)]
        if len(names) > VIEWED_LIMIT:
            raise CustodyError(
                f"{recording} has {len(names)} files; a request that a second person agrees with "
                f"names at most {VIEWED_LIMIT}.",
                "Open it with 'bwv export', which writes its own line.",
            )
        write_durably(request_out, ask(session, recording, names, key.pem, reason, case))
        click.echo(f"A second person agrees with: bwv custody approve-view {request_out}")
        return
    if out is None:
        raise click.UsageError("Say where the film goes: --out FOLDER.")
    writable_folder(out)
    through = DeskKeys(
        session,
        _desk(context, desk, identity),
        key,
        case=case,
        asked=read_small(asked) if asked else b"",
        approval=read_small(approval) if approval else b"",
        again=waiting(),
    )
    with work_folder(out) as work:
        opened = open_recording(session, context.roots, through, recording, work, reason)
        made = sorted((work / "films").iterdir())
        for path in made:
            shutil.move(path, out / path.name)
    for item in opened.films:
        click.echo(f"{out / item.path.name}  {item.duration_ms / 1000:.1f} s")
    click.echo("A line says that you looked. What was opened for you stays openable by you.")
    for sentence in losses(opened):
        click.echo(f"Warning: {sentence}", err=True)
    if not opened.report.ok:
        raise CustodyError(
            f"{recording} does not verify.", "See 'bwv custody audit' before you rely on it."
        )


def _desk(context: CustodyContext, url: str, identity: Path | None) -> Desk:
    if identity is not None:
        return KeyDesk(
            context.session, context.roots, load_identities(identity),
            context.settings.viewing.policy, lambda sentence: click.echo(sentence, err=True),
        )  # fmt: skip
    return served_desk(context, url)
