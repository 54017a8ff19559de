"""`bwv keydesk serve`."""

from __future__ import annotations

from pathlib import Path

import click

from bwv_device.commands.custody.options import CustodyContext
from bwv_device.commands.custody.service_log import ServiceLog
from bwv_device.commands.key_files.identities import load_identities
from bwv_device.custody.key_desk.key_desk import KeyDesk
from bwv_device.errors import KeyFileError
from bwv_device.files import read_small
from bwv_device.formats import age
from bwv_device.formats.age_passphrase import without_armor
from bwv_device.formats.certificates import KEY_DESK
from hal import memory


@click.command()
@click.option(
    "--identity",
    required=True,
    type=click.Path(path_type=Path),
    help="The agency's secret, encrypted: with a passphrase, or by a token's key (docs/keys.md).",
)
@click.option("--token", default="", help="URI of the token's key that the secret is wrapped by.")
@click.option("--listen", default="127.0.0.1:7390", show_default=True, help="HOST:PORT.")
@click.option("--open", "open_", is_flag=True, help="Listen where other machines reach it.")
@click.option("--unlocked", is_flag=True, help="Go on where memory can't be kept from swap.")
@click.pass_obj
def serve_command(
    context: CustodyContext,
    identity: Path,
    token: str,
    listen: str,
    open_: bool,
    unlocked: bool,
) -> None:
    """Answers requests to look, until it is stopped. Requests are signed, and each answer opens
    with one person's key alone; TLS is a reverse proxy's."""
    from bwv_device.key_desk_server.application import DeskCounts, application
    from bwv_device.web.listen import bind, parse_address, url
    from bwv_device.web.serve import run

    session = context.session
    if session.role != KEY_DESK:
        raise KeyFileError(
            f"{session.name} acts as {session.role}; a key desk has a role of its own.",
            "Make its key: bwv custody enrol 'key desk' --role keydesk.",
        )
    session.require("viewed")
    require_encrypted(identity)
    memory.keep_private()
    if not memory.lock() and not unlocked:
        raise KeyFileError(
            "The memory of this process may be written to swap.",
            "Set LimitMEMLOCK=infinity in its unit (ulimit -l unlimited), or give --unlocked.",
        )
    identities = load_identities(identity, token)
    said, counts = ServiceLog(context), DeskCounts()

    def alarmed(sentence: str) -> None:
        counts.alarms += 1
        said.line(f"ALARM: {sentence}", wrong=True)

    policy = context.settings.viewing.policy
    desk = KeyDesk(session, context.roots, identities, policy, alarmed)
    # What it hears is signed, and what it gives is sealed: a token would protect nothing.
    listening = bind(*parse_address(listen), "public" * 4 if open_ else "")
    said.line(f"the key desk answers on {url(listening)}")
    run(application(desk, lambda text: said.line(text, wrong=True), counts), listening)


def require_encrypted(path: Path) -> None:
    """Raises `KeyFileError` for a file in clear: a service's machine is not where it may lie."""
    try:
        content = read_small(path)
    except OSError as error:
        raise KeyFileError(f"{path} can't be read: {error.strerror}.", "Check the path.") from None
    if not without_armor(content).startswith(age.VERSION_LINE):
        raise KeyFileError(
            f"{path} holds the agency's secret in clear.",
            f"Encrypt it: age -p -a -o identity.age {path}, or to a token's plugin.",
        )
