"""`bwv desk`: the evidence store in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from bwv_device.commands.cli.lazy_group import Lazy, LazyGroup

LAZY = {
    "serve": Lazy("bwv_device.commands.desk.serve:serve_command", "Answer until stopped."),
    "worker": Lazy("bwv_device.commands.desk.worker:worker_command", "Render at signed orders."),
    "code": Lazy("bwv_device.commands.desk.code:code_command", "Publish what browsers run."),
    "check": Lazy("bwv_device.commands.desk.check:check_command", "Compare what is published."),
}


@click.group(name="desk", cls=LazyGroup, lazy=LAZY)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Default: custody.toml where there is one, else what is built in.",
)
@click.option(
    "--as", "key", type=click.Path(path_type=Path), envvar="BWV_CUSTODY_KEY",
    help="A custodian's key for 'code', the worker's own for 'worker'; the desk itself has none.",
)  # fmt: skip
@click.pass_context
def command(context: click.Context, config: Path | None, key: Path | None) -> None:
    """Find, watch, decide, in a browser. The server has no key: it can neither watch nor act
    (docs/desk.md)."""
    from bwv_device.commands.custody.options import CustodyContext

    context.obj = CustodyContext(config, key)
