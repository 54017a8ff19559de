"""`bwv desk serve`."""

from __future__ import annotations

from urllib.parse import urlsplit

import click

from bwv_device.commands.custody.options import CustodyContext
from bwv_device.commands.custody.service_log import ServiceLog
from bwv_device.errors import ConfigError, MissingPartError


@click.command()
@click.option("--listen", default="127.0.0.1:7400", show_default=True, help="HOST:PORT.")
@click.pass_obj
def serve_command(context: CustodyContext, listen: str) -> None:
    """Answers browsers, until it is stopped. Beyond this machine it stands behind a reverse proxy
    with TLS, and desk.address in custody.toml says by which name it is reached."""
    try:
        from bwv_device.commands.desk.opening import (
            open_desk,
            open_orders,
            open_provider,
            open_state,
        )
        from bwv_device.desk.application import DeskApplication, Served
        from bwv_device.desk.sign_in import Origin
    except ImportError as error:
        raise MissingPartError(
            f"The desk needs {error.name}, which is not installed.",
            "pip install 'bwv-device[desk]'",
        ) from None
    from bwv_device.web.listen import bind, parse_address
    from bwv_device.web.serve import run

    said = context.settings.desk
    listening = bind(*parse_address(listen), "")
    # Passkeys know no addresses in numbers: on one machine the name is localhost.
    address = said.address.rstrip("/") or f"http://localhost:{listening.getsockname()[1]}"
    code = said.code.rstrip("/") or address
    for name, given in (("desk.address", address), ("desk.code", code)):
        _require_origin(name, given)
    host = urlsplit(address).hostname or ""
    secure = address.startswith("https://")
    origin = Origin(code, urlsplit(code).hostname or "", said.agency)
    served = Served(origin, (host,), address, secure, said.key_alone)
    state = open_state(context)
    application = DeskApplication(
        open_desk(context), state, open_orders(context), served,
        open_provider(context, state, address),
    )  # fmt: skip
    ServiceLog(context).line(f"the evidence desk answers on {address}/")
    run(application.app(), listening, said.proxy if secure else "")


def _require_origin(name: str, given: str) -> None:
    parts = urlsplit(given)
    local = parts.hostname in ("localhost",)
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        problem = "must be https://NAME, or http://localhost:PORT on one machine"
        raise ConfigError("The configuration can't be used:", [(name, problem)])
    if parts.path or parts.query or not parts.hostname:
        problem = "is the address of a site alone: https://desk.agency.example"
        raise ConfigError("The configuration can't be used:", [(name, problem)])
