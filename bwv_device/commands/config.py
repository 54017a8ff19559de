"""`bwv config`: checks a configuration."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bwv_device import config


@click.group(name="config")
def command() -> None:
    """The configuration file; config.toml in the repository is its manual."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path), default="config.toml")
@click.option("--json", "as_json", is_flag=True, help="Print the settings in force as JSON.")
def check(file: Path, as_json: bool) -> None:
    """Reports every problem of FILE at once, each with its place and a remedy."""
    loaded = config.load(file)
    if as_json:
        settings = loaded.settings.as_dict()
        click.echo(json.dumps({"sha256": loaded.sha256, "settings": settings}, indent=2))
    else:
        click.echo(f"{file} is valid (SHA-256 {loaded.sha256}).")
