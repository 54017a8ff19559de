"""The `bwv-sim` command: shifts, campaigns, scenarios and a live panel, without any hardware."""

from __future__ import annotations

import importlib
import sys

import click

from bwv_device import __version__
from bwv_device.errors import BwvError

COMMANDS = ("campaign", "faults", "fleet", "live", "run", "scenario")


class Commands(click.Group):
    """Loads a subcommand only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"sim.commands.{cmd_name}").command
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bwv-sim")
def bwv_sim() -> None:
    """The simulated world around the real agent, in virtual time.

    One seed is one shift. Exit codes: 0 every promise was kept; 1 unexpected; 2 wrong usage;
    3 a scenario file can't be used; 10 a promise was broken, or an expectation failed.
    """


def main() -> None:
    """Runs the command; an expected error becomes one clear sentence and its exit code."""
    try:
        bwv_sim(standalone_mode=True)
    except BwvError as error:
        click.echo(f"bwv-sim: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
