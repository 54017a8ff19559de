"""Where the keys of a recording come from: a key desk, or the agency's own identity."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bwv_device import keys
from bwv_device.commands.custody.options import CustodyContext
from bwv_device.commands.key_files.identities import load_identities
from bwv_device.custody.key_desk.looking import AgencyKeys, Desk, DeskKeys, FootageKeys, ViewingKey
from bwv_device.errors import KeyFileError

WITNESSES_WITHIN_S, ASK_AGAIN_S = 60, 1.0


def key_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--identity`, `--viewing-key` and `--desk`."""
    options = (
        click.option(
            "--identity",
            type=click.Path(path_type=Path),
            help="The agency's secret: agency-identity.txt, in clear or with a passphrase.",
        ),
        click.option(
            "--viewing-key",
            type=click.Path(path_type=Path),
            help="Yours, to open through the key desk: bwv custody enrol --role viewing.",
        ),
        click.option("--desk", default="", help="Where it answers; default: viewing.desk."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def footage_keys(
    context: CustodyContext, identity: Path | None, viewing_key: Path | None, desk: str
) -> FootageKeys:
    """Raises `KeyFileError` where neither is named."""
    if viewing_key is not None:
        key = ViewingKey(*keys.load_viewing_key(viewing_key))
        return DeskKeys(context.session, served_desk(context, desk), key, again=waiting())
    if identity is None:
        raise KeyFileError(
            "Nothing to open footage with.", "Give --viewing-key and a key desk, or --identity."
        )
    return AgencyKeys(context.session, load_identities(identity))


def served_desk(context: CustodyContext, url: str) -> Desk:
    """Raises `KeyFileError` where none is named."""
    url = url or context.settings.viewing.desk
    if not url:
        raise KeyFileError(
            "No key desk is named.", "Set viewing.desk in custody.toml, or give --desk."
        )
    from bwv_device.backends.key_desk_line import HttpDesk

    return HttpDesk(url, context.settings.viewing.ca)


def waiting() -> Callable[[], bool]:
    """Witnesses see a line within seconds."""
    until_s = time.monotonic() + WITNESSES_WITHIN_S

    def again() -> bool:
        time.sleep(ASK_AGAIN_S)
        return time.monotonic() < until_s

    return again
