"""The `bwv-sim` command: shifts, campaigns, scenarios and a live panel, without any hardware."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from bwv_device import __version__
from bwv_device.commands.cli.lazy_group import Lazy, LazyGroup
from bwv_device.errors import BwvError
from bwv_device.files import output_error
from bwv_device.formats.visible_text import visible_lines

COMMANDS = {
    "campaign": "Play many drawn shifts; repeat those that fail.",
    "desk": "Look at the evidence desk, in a browser.",
    "faults": "List every fault by its name.",
    "fleet": "Run many cameras at a real broker.",
    "live": "Play with a camera in the terminal.",
    "months": "Play months of an agency's custody and judge them.",
    "run": "Play one drawn shift and judge it.",
    "scenario": "Play shifts written in sentences.",
}
LAZY = {
    name: Lazy(f"sim.commands.{name}:command", short_help) for name, short_help in COMMANDS.items()
}


@click.command(cls=LazyGroup, lazy=LAZY, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bwv-sim")
def bwv_sim() -> None:
    """The simulated world around the real agent, in virtual time.

    One seed is one shift. Exit codes: 0 every promise was kept; 1 unexpected; 2 wrong usage;
    3 a scenario file can't be used; 10 a promise was broken, or an expectation failed.
    """


def main() -> None:
    """Runs the command; an expected error becomes one clear sentence and its exit code.
    What it writes is for its user alone, unless it says otherwise."""
    os.umask(0o077)
    try:
        bwv_sim(standalone_mode=True)
    except BwvError as error:
        click.echo(f"bwv-sim: {visible_lines(error)}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if not error.filename:
            raise
        failed_at = output_error(Path(os.fsdecode(error.filename)), error)
        click.echo(f"bwv-sim: {visible_lines(failed_at)}", err=True)
        sys.exit(failed_at.exit_code)


if __name__ == "__main__":
    main()
