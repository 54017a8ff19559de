"""`bwv keydesk`: the service that opens headers for people who may look."""

from __future__ import annotations

from pathlib import Path

import click

from bwv_device.commands.cli.lazy_group import Lazy, LazyGroup

LAZY = {
    "wrap": Lazy("bwv_device.commands.key_desk.wrap:wrap_command", "Wrap a secret by a token."),
    "serve": Lazy("bwv_device.commands.key_desk.serve:serve_command", "Answer until stopped."),
}


@click.group(name="keydesk", cls=LazyGroup, lazy=LAZY)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Default: custody.toml where there is one, else what is built in.",
)
@click.option(
    "--as",
    "key",
    type=click.Path(path_type=Path),
    envvar="BWV_CUSTODY_KEY",
    help="The desk's own key: bwv custody enrol --role keydesk.",
)
@click.pass_context
def command(context: click.Context, config: Path | None, key: Path | None) -> None:
    """Holds the agency's identity, and opens a file's header for a person who may look, once
    custody's ledger says so. It sees no footage; the store sees no key (docs/custody.md)."""
    from bwv_device.commands.custody.options import CustodyContext

    context.obj = CustodyContext(config, key)
