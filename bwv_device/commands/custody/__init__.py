"""`bwv custody`: the evidence store's side. Each subcommand is loaded only when it is called."""

from __future__ import annotations

from pathlib import Path

import click

from bwv_device.commands.cli.lazy_group import Lazy, LazyGroup

COMMANDS = {
    "audit": ("find", "Tell a recording's whole life, and check its chain."),
    "camera": ("register", "Issue, take back or revoke cameras."),
    "categorize": ("holds", "Give a recording a category."),
    "certificate": ("find", "Show the certificate of a deletion."),
    "completeness": ("completeness", "Read everything again, and name what is lost."),
    "disclose": ("disclose", "Make a package for a court or a requester."),
    "enrol": ("roles", "Make a person's or a service's role key."),
    "expire": ("expire", "Hide and delete what is due."),
    "hold": ("holds", "Keep a recording until two people release it."),
    "index": ("find", "Rebuild the index from the store."),
    "init": ("init", "Make a place a store of evidence."),
    "intake": ("intake", "Take in what cameras delivered, once."),
    "list": ("find", "Find recordings."),
    "log": ("log", "Publish the ledger's log, and ask witnesses."),
    "migrate": ("migrate", "Move the store to another place."),
    "policy": ("roles", "Print the least S3 rights of a key."),
    "quarantine": ("quarantine", "What intake did not accept, and how it ends."),
    "release": ("holds", "Release a hold: propose, then approve."),
    "request": ("requests", "Requests from the public."),
    "review": ("holds", "Record that somebody watched a recording."),
    "rules": ("rules", "Show or change how long footage stays."),
    "serve": ("serve", "Run intake and deletion as a service."),
    "show": ("find", "Show everything about one recording."),
    "software": ("software", "Sign, name and offer software for cameras."),
    "verify-package": ("verify_package", "Check a package that was disclosed."),
    "trust": ("trust", "Show or change whose word counts."),
}
# Who looks at what: a room of its own beside `bwv keydesk`.
LOOKING = {
    "approve-view": ("approve", "Agree to another person's look."),
    "case": ("case", "Put people on cases, and take them off."),
    "view": ("view", "Look at a recording; a line says so first."),
    "views": ("views", "Show who looked at what."),
}
LAZY = {
    name: Lazy(f"bwv_device.commands.custody.{module}:{name.replace('-', '_')}_command", short_help)
    for name, (module, short_help) in COMMANDS.items()
} | {
    name: Lazy(f"bwv_device.commands.key_desk.{module}:{module}_command", short_help)
    for name, (module, short_help) in LOOKING.items()
}


@click.command(name="custody", cls=LazyGroup, lazy=LAZY)
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
    help="The role key of whoever acts (bwv custody enrol); or BWV_CUSTODY_KEY.",
)
@click.pass_context
def command(context: click.Context, config: Path | None, key: Path | None) -> None:
    """What happens to footage in the evidence store: each step is a signed line of its ledger.

    Exit codes as of bwv; 13: custody may not or can't do that; 14: the store can't be used.
    """
    from bwv_device.commands.custody.options import CustodyContext

    context.obj = CustodyContext(config, key)
