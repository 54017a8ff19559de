"""The desk's parts, by custody.toml."""

from __future__ import annotations

from pathlib import Path

from bwv_device.backends.key_desk_line import HttpDesk
from bwv_device.backends.open_id_line import HttpProvider
from bwv_device.commands.custody.options import CustodyContext
from bwv_device.config import read_file
from bwv_device.desk.desk import Agency, EvidenceDesk
from bwv_device.desk.open_id import Client, OpenId, is_safe
from bwv_device.desk.orders import Orders
from bwv_device.desk.state import DeskState, Lifetimes
from bwv_device.errors import ConfigError, KeyFileError
from bwv_device.files import read_small
from hal.host import HostEntropy


def open_desk(context: CustodyContext) -> EvidenceDesk:
    settings = context.settings
    viewing = settings.viewing
    agency = Agency(
        context.roots,
        read_file(Path(settings.agency.root)).decode("ascii", "replace"),
        context.configured_rules,
        context.figures,
        settings.agency.zone,
        context.trust_list,
        HttpDesk(viewing.desk, viewing.ca) if viewing.desk else None,
    )
    index = Path(settings.desk.index) if settings.desk.index else None
    return EvidenceDesk(context.store, context.clock, HostEntropy(), agency, index)


def open_state(context: CustodyContext) -> DeskState:
    said = context.settings.desk
    lifetimes = Lifetimes(said.idle_min * 60, said.most_h * 3600)
    return DeskState(Path(said.state), context.clock, HostEntropy(), lifetimes)


def open_orders(context: CustodyContext) -> Orders:
    """Beside the state: what was made is sealed, and kept for a day."""
    state = Path(context.settings.desk.state)
    return Orders(state, state.with_name(f"{state.stem}-results"), context.clock)


def open_provider(context: CustodyContext, state: DeskState, address: str) -> OpenId | None:
    """None where the agency's accounts are not used. Raises `KeyFileError`, `ConfigError`."""
    said = context.settings.desk
    if not said.issuer:
        return None
    if not is_safe(said.issuer) or not said.client:
        raise ConfigError(
            "The configuration can't be used:",
            [("desk.issuer", "must be https, and desk.client be set")],
        )
    path = Path(said.client_secret)
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others than its owner.", f"chmod 600 {path}")
        secret = read_small(path).decode("utf-8", "replace").strip()
    except OSError as error:
        raise KeyFileError(
            f"The secret {path} can't be read: {error.strerror}.", "Set desk.client_secret."
        ) from None
    back = f"{address}/api/sign-in/open-id/back"
    client = Client(said.issuer, said.client, secret, back, said.person_claim)
    ask = HttpProvider(said.issuer_ca)
    return OpenId(client, state, context.clock, HostEntropy(), ask)
