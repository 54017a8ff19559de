"""The `bwv` command. Each subcommand is loaded only when it is called."""

from __future__ import annotations

import errno
import os
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click

from bwv_device import __version__
from bwv_device.commands.cli.lazy_group import Lazy, LazyGroup
from bwv_device.errors import BwvError, EvidenceStoreError
from bwv_device.files import output_error
from bwv_device.formats.visible_text import visible_lines
from hal.ports import StoreError

COMMANDS = {
    "check": Lazy("bwv_device.commands.check:command", "Field-test a rig: camera, light, beeper."),
    "config": Lazy("bwv_device.commands.config:command", "Check a configuration file."),
    "cues": Lazy("bwv_device.commands.cues:command", "Find the camera's beeps in a film."),
    "custody": Lazy("bwv_device.commands.custody:command", "Run and use the evidence store."),
    "desk": Lazy("bwv_device.commands.desk:command", "The evidence desk, in a browser."),
    "export": Lazy("bwv_device.commands.export:command", "Decrypt a vault into MP4 films."),
    "fleet": Lazy("bwv_device.commands.fleet:command", "Watch and command cameras over MQTT."),
    "keydesk": Lazy("bwv_device.commands.key_desk:command", "Open headers for who may look."),
    "keygen": Lazy("bwv_device.commands.keygen:command", "Make an agency's keys."),
    "ledger": Lazy("bwv_device.commands.ledger:command", "Print a camera's ledger in words."),
    "pins-safe": Lazy(
        "bwv_device.commands.pins_safe:command", "Switch all outputs of a panel off."
    ),
    "provision": Lazy("bwv_device.commands.provision:command", "Make a camera's key."),
    "request": Lazy("bwv_device.commands.request:command", "Ask for a camera's certificate."),
    "run": Lazy("bwv_device.commands.run:command", "Run the camera."),
    "video-verify": Lazy(
        "bwv_device.commands.video_verify:command", "Check a film by its own signatures."
    ),
    "witness": Lazy("bwv_device.commands.witness:command", "Witness the log of a store."),
    "verify": Lazy("bwv_device.commands.verify:command", "Check a vault with public keys only."),
    "verify-page": Lazy(
        "bwv_device.commands.verify_page:command", "Publish what packages are checked with."
    ),
}

# Other packages may add commands: the simulator adds `demo`.
PLUGINS = "bwv.commands"
PLUGIN_HELP = {"demo": "Play a simulated shift, with a page as the result."}


def _all() -> dict[str, Lazy]:
    plugins = {
        point.name: Lazy(point.value, PLUGIN_HELP.get(point.name, f"From {point.value}."))
        for point in entry_points(group=PLUGINS)
    }
    return {**COMMANDS, **plugins}


@click.command(cls=LazyGroup, lazy=_all(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bwv")
def bwv() -> None:
    """A body-worn video camera that a court, an officer and the person filmed can trust.

    Commands and exit codes are explained in docs/commands.md.

    Tab completion: eval "$(_BWV_COMPLETE=bash_source bwv)" in .bashrc (zsh_source, fish_source).
    """


def main() -> None:
    """Runs the command; an expected error becomes one clear sentence and its exit code.
    What it writes is for its user alone, unless it says otherwise."""
    os.umask(0o077)
    try:
        bwv(standalone_mode=True)
    except StoreError as failed:
        told = EvidenceStoreError(
            f"The evidence store did not do that: {failed}.", "Try again, or look at the store."
        )
        click.echo(f"bwv: {visible_lines(told)}", err=True)
        sys.exit(told.exit_code)
    except BwvError as error:
        click.echo(f"bwv: {visible_lines(error)}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if not error.filename and error.errno != errno.ENOSPC:
            raise  # not about a file: a bug, whose traceback is wanted
        failed_at = output_error(Path(os.fsdecode(error.filename or "The output")), error)
        click.echo(f"bwv: {visible_lines(failed_at)}", err=True)
        sys.exit(failed_at.exit_code)


if __name__ == "__main__":
    main()
