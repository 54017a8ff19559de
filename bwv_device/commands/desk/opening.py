"""The desk's parts, by custody.toml."""

from __future__ import annotations

from pathlib import Path

from bwv_device.backends.key_desk_line import HttpDesk
from bwv_device.commands.custody.options import CustodyContext
from bwv_device.config import read_file
from bwv_device.desk.desk import Agency, EvidenceDesk
from bwv_device.desk.orders import Orders
from bwv_device.desk.state import DeskState, Lifetimes
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
