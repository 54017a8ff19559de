"""`bwv-sim faults`: what can go wrong, and what is promised then."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from sim.faults import KINDS


@click.command()
def command() -> None:
    """Lists every fault by its name."""
    table = Table("fault", "what happens", "the promises are", box=None)
    for kind in KINDS:
        kept = "kept" if kind.promise.value == "survived" else "kept, or the verifiers say so"
        table.add_row(kind.name, kind.what, kept)
    Console().print(table)
