"""`bwv-sim desk`: the evidence desk with something to look at."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from bwv_device.web.listen import bind
from sim.desk.clerk import Clerk
from sim.desk.example import EvidenceDeskExample


@click.command()
@click.option("--out", default="desk-example", show_default=True, type=click.Path(path_type=Path))
@click.option("--port", default=7400, show_default=True, type=click.IntRange(0, 65535))
def command(out: Path, port: int) -> None:
    """An agency on this machine: cameras' shifts in a store, intake, retention, a witness, a key
    desk, and the desk in a browser. Ctrl-C ends all of it."""
    console, began_s = Console(highlight=False), time.monotonic()
    bar = Progress(TextColumn("{task.description:<26}"), BarColumn(bar_width=40), console=console)
    task = bar.add_task("keys", total=1.0)
    example = EvidenceDeskExample(
        out.absolute(), lambda what, share: bar.update(task, description=what, completed=share)
    )
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(example.end)
        with bar:
            example.fill()
            address = example.serve(f"127.0.0.1:{port}")
        listening = bind("127.0.0.1", 0, "")
        cleanup.enter_context(Clerk(example.agency.keys, listening))
        clerk = f"http://localhost:{listening.getsockname()[1]}/"
        console.print(f"Ready after {time.monotonic() - began_s:.0f} s. Open [bold]{address}[/]")
        console.print(
            f"Sign in: press 'Make new keys' there, save the request, have it certified at {clerk} "
            "and take the certificates in. Ctrl-C ends it."
        )
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
