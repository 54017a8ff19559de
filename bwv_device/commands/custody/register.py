"""`bwv custody camera`: the issue register."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from bwv_device.commands.cli.tables import plain, print_table
from bwv_device.commands.custody.options import CustodyContext, print_json
from bwv_device.commands.key_files.role_key import load_role_key
from bwv_device.config import Loaded, check, load
from bwv_device.custody import camera_register
from bwv_device.errors import CustodyError
from bwv_device.settings import Settings

configuration = click.option(
    "--configuration-as",
    "configuration",
    required=True,
    type=click.Path(path_type=Path),
    help="The role key of the agency's configuration, which cameras obey.",
)


@click.group(name="camera")
def camera_command() -> None:
    """Each camera is issued to one officer at a time."""


@camera_command.command()
@click.argument("device")
@click.argument("officer")
@configuration
@click.option(
    "--settings",
    type=click.Path(path_type=Path),
    help="A TOML file as config.toml, with what differs for this camera.",
)
@click.option("--profile", default="", help="A role's settings, by their name in custody.toml.")
@click.option("--new", is_flag=True, help="It never docked here and was never issued.")
@click.pass_obj
def issue(
    context: CustodyContext,
    device: str,
    officer: str,
    configuration: Path,
    settings: Path | None,
    profile: str,
    new: bool,
) -> None:
    """Issues DEVICE to OFFICER; it learns so in the dock. Refused with footage not yet delivered,
    an unset clock, a low battery, or while somebody else has it."""
    assigned = _profile(context, profile)
    for name, section in (load(settings).table if settings else {}).items():
        assigned[name] = {**assigned.get(name, {}), **section}
    Loaded(Settings(), "", {}, check).with_assigned(assigned)
    version = camera_register.issue(
        context.session, load_role_key(configuration), device, officer, assigned, new=new,
        profile=profile,
    )  # fmt: skip
    as_what = f" as {profile}" if profile else ""
    click.echo(f"{device} is issued to {officer}{as_what} (assignment {version}).")


def _profile(context: CustodyContext, name: str) -> dict[str, Any]:
    """A role's settings. Raises `CustodyError` where there are none of that name."""
    profiles = context.settings.profiles
    if name and name not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise CustodyError(
            f"There is no profile {name!r} (known: {known}).", "Write it: [profiles.NAME.policy]."
        )
    return {section: dict(values) for section, values in profiles.get(name, {}).items()}


@camera_command.command(name="return")
@click.argument("device")
@configuration
@click.pass_obj
def return_(context: CustodyContext, device: str, configuration: Path) -> None:
    """Takes DEVICE back."""
    camera_register.take_back(context.session, load_role_key(configuration), device)
    click.echo(f"{device} is returned.")


@camera_command.command()
@click.argument("device")
@click.option("--reason", required=True)
@click.pass_obj
def revoke(context: CustodyContext, device: str, reason: str) -> None:
    """What DEVICE brings from now on goes to quarantine."""
    camera_register.revoke(context.session, device, reason)
    click.echo(f"{device} is revoked.")


@camera_command.command()
@click.argument("device")
@click.option("--reason", required=True, help="What was found on its card.")
@click.pass_obj
def settle(context: CustodyContext, device: str, reason: str) -> None:
    """DEVICE's ledger forked, and somebody looked at it: it is taken in again."""
    heads = context.settings.agency.heads
    if not heads:
        raise CustodyError("No heads are kept here.", "Set agency.heads.")
    camera_register.settle_fork(context.session, device, Path(heads), reason)
    click.echo(f"{device} is taken in again; the proof stays.")


@camera_command.command(name="list")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def list_(context: CustodyContext, as_json: bool) -> None:
    """All cameras that custody knows."""
    rows = context.session.index.rows("SELECT * FROM cameras ORDER BY device")
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for column in (
        "camera",
        "issued to",
        "as",
        "last docked",
        "battery",
        "clock",
        "ledger",
        "state",
    ):
        table.add_column(column)
    for row in rows:
        battery = "-" if row["battery"] is None else f"{row['battery']} %"
        state = "revoked" if row["revoked"] else f"{row['waiting']} files to come"
        if row["whole_since"]:
            state += f"; ledger forked, whole since boot {row['whole_since']}"
        names = ("device", "officer", "profile", "clock")
        device, officer, profile, clock = (plain(row[n] or "-") for n in names)
        docked = context.said(row["docked_ns"])
        table.add_row(
            device, officer, profile, docked, battery, clock, f"line {row['number']}", state
        )
    print_table(table)
