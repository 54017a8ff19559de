"""What `watch` and `send` share: broker, key, agency."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bwv_device.fleet.mosquitto_config import OPERATOR_PORT


def broker_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--broker, --agency, --root, --as."""
    for option in (
        click.option(
            "--as", "key", required=True, envvar="BWV_FLEET_KEY",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="Your role key (bwv custody enrol); or BWV_FLEET_KEY.",
        ),
        click.option(
            "--root", default="keys/agency-root.pem", show_default=True,
            type=click.Path(path_type=Path), help="The agency's root certificate.",
        ),
        click.option(
            "--agency", default="example-agency", show_default=True,
            help="As device.agency of the cameras.",
        ),
        click.option(
            "--broker", required=True, envvar="BWV_FLEET_BROKER", metavar="HOST[:PORT]",
            help=f"Port {OPERATOR_PORT} where none is given; or BWV_FLEET_BROKER.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def address(broker: str) -> tuple[str, int]:
    host, colon, port = broker.rpartition(":")
    if not colon:
        return broker, OPERATOR_PORT
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise click.BadParameter(f"{broker!r} is no HOST:PORT.", param_hint="--broker")
    return host, int(port)
