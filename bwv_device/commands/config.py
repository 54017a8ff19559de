"""`bwv config`: checks a configuration."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import click

from bwv_device import config
from bwv_device.config import parse_table, read_file
from bwv_device.custody import settings as custody
from bwv_device.custody.settings import CustodySettings
from bwv_device.errors import ConfigError
from bwv_device.settings import Settings
from hal.ports import HardwareError
from hal.rpi.panel import i2s

RPI = "rpi"


@click.group(name="config")
def command() -> None:
    """The configuration files: config.toml (the camera) and custody.toml (the evidence store)."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path), default="config.toml")
@click.option("--json", "as_json", is_flag=True, help="Print the settings in force as JSON.")
def check(file: Path, as_json: bool) -> None:
    """Reports every problem of FILE at once, each with its place and a remedy.

    FILE is a camera's configuration, or custody's: its sections tell.
    """
    raw = read_file(file)
    table = parse_table(raw, str(file))
    digest = hashlib.sha256(raw).hexdigest()
    if _is_custody(table):
        settings = dataclasses.asdict(custody.check(table, str(file)))
        whose = "as custody's configuration"
    else:
        checked, whose = config.check(table, str(file)), "as a camera's configuration"
        settings = checked.as_dict()
        if checked.device.board == RPI:
            _of_this_board(str(file), settings)
    if as_json:
        click.echo(json.dumps({"sha256": digest, "settings": settings}, indent=2))
    else:
        click.echo(f"{file} is valid {whose} (SHA-256 {digest}).")


def _of_this_board(name: str, settings: dict[str, Any]) -> None:
    """What only the board can say, where this is one."""
    try:
        i2s.refuse(settings["pins"])
    except HardwareError as error:
        raise ConfigError(
            f"The configuration {name} can't work here:", [("pins", str(error))]
        ) from None


def _is_custody(table: dict[str, object]) -> bool:
    """More of its sections are custody's than a camera's."""
    ours, theirs = ({f.name for f in dataclasses.fields(k)} for k in (CustodySettings, Settings))
    return len(table.keys() & ours) > len(table.keys() & theirs)
