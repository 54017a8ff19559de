"""The `bwv` command. Each subcommand is loaded only when it is called."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import entry_points

import click

from bwv_device import __version__
from bwv_device.errors import BwvError, EvidenceStoreError
from hal.ports import StoreError

COMMANDS = {
    "check": "bwv_device.commands.check",
    "cues": "bwv_device.commands.cues",
    "custody": "bwv_device.commands.custody",
    "config": "bwv_device.commands.config",
    "export": "bwv_device.commands.export",
    "fleet": "bwv_device.commands.fleet",
    "keygen": "bwv_device.commands.keygen",
    "ledger": "bwv_device.commands.ledger",
    "pins-safe": "bwv_device.commands.pins_safe",
    "provision": "bwv_device.commands.provision",
    "run": "bwv_device.commands.run",
    "verify": "bwv_device.commands.verify",
}

# Packages may add subcommands: the bench brings `demo`.
PLUGINS = "bwv.commands"


class Commands(click.Group):
    """Finds subcommands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*COMMANDS, *(point.name for point in entry_points(group=PLUGINS))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
            return command
        for point in entry_points(group=PLUGINS, name=cmd_name):
            plugin: click.Command = point.load()
            return plugin
        return None


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bwv")
def bwv() -> None:
    """A body-worn video camera that a court, an officer and the person filmed can trust.

    Exit codes: 0 done; 1 unexpected; 2 wrong usage; 3 configuration; 4 clip; 5 key; 6 vault;
    7 certificate; 8 a part of the installation is missing; 9 a sealed file does not open;
    10 verification found a change or a loss; 11 verified, but not closed in order; 12 verified,
    but no agency root was given; 13 custody may not or can't do that; 14 the evidence store
    can't be used; 15 run stopped in order to begin anew with assigned settings; 16 the field
    test found something bad; 17 the MQTT broker can't be used, or the camera does not answer;
    18 a camera refused a command; 19 a forked ledger was seen.

    Tab completion: eval "$(_BWV_COMPLETE=bash_source bwv)" in .bashrc (zsh_source, fish_source).
    """


def main() -> None:
    """Runs the command; an expected error becomes one clear sentence and its exit code."""
    try:
        bwv(standalone_mode=True)
    except StoreError as failed:
        told = EvidenceStoreError(
            f"The evidence store did not do that: {failed}.", "Try again, or look at the store."
        )
        click.echo(f"bwv: {told}", err=True)
        sys.exit(told.exit_code)
    except BwvError as error:
        click.echo(f"bwv: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
