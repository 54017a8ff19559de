"""`bwv run`: the camera itself, in real time."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import click
from cryptography import x509

from bwv_device import keys
from bwv_device.agent import Agent
from bwv_device.config import Loaded, load
from bwv_device.errors import KeyFileError, MissingPartError
from bwv_device.loop import RealLoop
from bwv_device.settings import Dock, Settings
from bwv_device.stores import open_store
from hal.host import HostClock, HostDisk, HostEntropy
from hal.keystore import SoftwareIdentity
from hal.ports import Board

BOARDS = "bwv.boards"


@click.command()
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Default: built in.")
@click.option("--board", help="Which hardware; overrides the configuration.")
@click.option("--seconds", type=float, help="Stop in order after so long.")
def command(config_file: Path | None, board: str | None, seconds: float | None) -> None:
    """Runs the camera until it is told to stop (SIGINT, SIGTERM).

    The simulated board reads its buttons from standard input, a word a line: record (pressed
    twice), stop (held), mark, snapshot, flag, dock, undock.
    """
    loaded = load(config_file) if config_file else Loaded(Settings(), "")
    settings = loaded.settings
    recipients = keys.load_recipients(Path(settings.sealing.recipients))
    if {recipient.kind for recipient in recipients} != {settings.sealing.recipient_type}:
        raise KeyFileError(
            f"{settings.sealing.recipients} holds keys of another type than sealing.recipient_type "
            f"= {settings.sealing.recipient_type!r}.",
            "Set sealing.recipient_type, or make other keys.",
        )
    loop, panel_loop = RealLoop(HostClock()), RealLoop(HostClock())
    vault = HostDisk(Path(settings.device.vault))
    hardware = _board(board or settings.device.board, settings, vault, panel_loop)
    hardware, roots = _at_the_dock(hardware, settings.dock)
    agent = Agent(hardware, loop, settings, recipients, loaded.sha256, roots)
    agent.on_transition = lambda before, event, after: click.echo(
        f"{loop.now_ns() / 1e9:12.3f}  {before.value} → {after.value}  ({event.value})"
    )
    agent.on_stopped = loop.stop
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.post(agent.stop))
    # The panel has a thread of its own: a hung agent must not keep the light alive.
    threading.Thread(target=_run_panel, args=(panel_loop, loop), name="panel", daemon=True).start()
    click.echo("The camera starts; Ctrl-C ends it in order.", err=True)
    loop.post(agent.start)
    if seconds is not None:
        loop.call_at(loop.now_ns() + int(seconds * 1e9), agent.stop)
    loop.run()
    panel_loop.stop()
    vault.close()


def _at_the_dock(board: Board, dock: Dock) -> tuple[Board, list[x509.Certificate]]:
    """The board with its evidence store, and the agency's root; neither where no store is set."""
    if not dock.store:
        return board, []
    store = open_store(dock.store, Path(dock.credentials), dock.ca, dock.client_certificate)
    return replace(board, uplink=store), keys.load_certificates(Path(dock.root))


def _run_panel(panel: RealLoop, agent: RealLoop) -> None:
    """Lights that nobody drives any more must end the camera, not go on lying."""
    try:
        panel.run()
    except Exception as error:
        agent.die(error)
        raise


def _board(name: str, settings: Settings, disk: HostDisk, panel: RealLoop) -> Board:
    points = {point.name: point for point in entry_points(group=BOARDS)}
    if name not in points:
        known = ", ".join(sorted(points)) or "none"
        raise MissingPartError(
            f"There is no board {name!r} in this installation (found: {known}).",
            "Install the package that brings it, or change device.board.",
        )
    try:
        identity = SoftwareIdentity.load(
            Path(settings.device.key), Path(settings.device.certificate)
        )
    except (OSError, ValueError) as error:
        raise KeyFileError(
            f"The camera's key can't be used: {error}.", "Make one with 'bwv provision'."
        ) from None
    board: Board = points[name].load()(settings, HostClock(), HostEntropy(), disk, identity, panel)
    return board
