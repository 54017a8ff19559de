"""`bwv-sim faults`: what can go wrong, and what is promised then."""

from __future__ import annotations

import click

from sim.faults import KINDS, Promise


@click.command()
def command() -> None:
    """Lists every fault by its name. Under most of them every promise holds; under some footage may
    be lost, and the verifiers must say so."""
    for kind in KINDS:
        mark = "" if kind.promise is Promise.SURVIVED else "  [detected]"
        click.echo(f"{kind.name:<22} {kind.what}{mark}")
