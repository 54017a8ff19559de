"""`bwv run`: the camera itself, in real time."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from bwv_device import keys
from bwv_device.backends import config_process
from bwv_device.backends.evidence_store import open_store
from bwv_device.backends.realtime_loop import RealLoop
from bwv_device.camera.agent import Agent
from bwv_device.camera.agent_observer import Unobserved
from bwv_device.camera.commands.assignment import read_kept
from bwv_device.camera.state_table import Event, State
from bwv_device.camera.systemd_watchdog import Watchdog, notifier, watchdog_ns
from bwv_device.camera.vault.recovery import Found, survey
from bwv_device.commands.cli.parameters import PositiveSeconds
from bwv_device.commands.running.machine_restarts import MachineRestarts
from bwv_device.commands.running.run_display import RunDisplay
from bwv_device.commands.running.without_vault import show_that_it_cannot_record
from bwv_device.config import Loaded, load
from bwv_device.errors import (
    ConfigError,
    KeyFileError,
    MissingPartError,
    VaultError,
    VaultInUseError,
)
from bwv_device.files import reason
from bwv_device.formats.statement import StatementError, camera_of, chain_of
from bwv_device.live_panel.open_page import listen, open_page
from bwv_device.settings import Device, Dock, Settings
from hal import memory
from hal.host import (
    VOLATILE,
    HostClock,
    HostDisk,
    HostEntropy,
    InUseError,
    filesystem,
    lock_folder,
)
from hal.keystore import SoftwareIdentity
from hal.ports import Anchor, Board, HardwareError, Slots

BOARDS = "bwv.boards"
SIMULATED = "sim"
# The exit codes that ask the supervisor for a new start, and for one of the machine.
RESTART, RESTART_MACHINE = 15, 24


@click.command()
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Default: built in.")
@click.option("--board", help="Which hardware; overrides the configuration.")
@click.option("--seconds", type=PositiveSeconds(), help="Stop in order after so long.")
@click.option(
    "--panel",
    "panel_at",
    metavar="HOST:PORT",
    help="Show the simulated camera on a page; a real one: see [live_panel].",
)
@click.option(
    "--panel-identity",
    type=click.Path(path_type=Path),
    help="The agency's identity, for a page that plays the recordings.",
)
@click.option("--trial", is_flag=True, help="Allow a vault that a power loss erases.")
def command(
    config_file: Path | None,
    board: str | None,
    seconds: float | None,
    panel_at: str | None,
    panel_identity: Path | None,
    trial: bool,
) -> None:
    """Runs the camera until SIGINT or SIGTERM.

    The simulated board reads its buttons from standard input, a word a line: record (pressed
    twice), stop (held), mark, snapshot, flag, dock, undock. With --panel it is pressed on a page.
    """
    checked = config_process.check
    loaded = load(config_file, checked) if config_file else Loaded(Settings(), "", {}, checked)
    chosen = board or loaded.settings.device.board
    _own_memory()
    try:
        vault = open_vault(loaded.settings, trial=trial or chosen == SIMULATED)
    except VaultInUseError:
        raise
    except VaultError as error:
        if chosen != SIMULATED:
            _warn(str(error))
            show_that_it_cannot_record(loaded.settings)
        raise
    found = _survey(loaded.settings, vault)
    settings = _as_assigned(loaded, found)
    _first_run(settings)
    recipients = keys.load_recipients(Path(settings.sealing.recipients))
    if {recipient.kind for recipient in recipients} != {settings.sealing.recipient_type}:
        raise KeyFileError(
            f"{settings.sealing.recipients} holds keys of another type than sealing.recipient_type "
            f"= {settings.sealing.recipient_type!r}.",
            "Set sealing.recipient_type, or make other keys.",
        )
    panel_loop = RealLoop(HostClock())
    name = board or settings.device.board
    simulated = name == SIMULATED
    listening = listen(settings, panel_at, simulated=simulated, warn=_warn)
    hardware = open_hardware(name, settings, vault, panel_loop)
    hardware = _at_the_dock(hardware, settings.dock)
    asked = settings.dock.store or settings.mqtt.broker
    roots = keys.load_certificates(Path(settings.dock.root)) if asked else []
    display = RunDisplay(click.echo, lambda: HostClock().utc().utc_ns)
    page = open_page(listening, hardware, settings, panel_identity, simulated=simulated, warn=_warn)
    with vault, page, _at_the_broker(hardware, settings) as hardware:
        loop = RealLoop(HostClock())
        watch = _Watch(loop, display, loaded, settings, hardware.slots)
        agent = Agent(
            page.board(display.board(hardware)),
            loop,
            settings,
            recipients,
            loaded.sha256,
            roots,
            watch,
            found,
        )
        watch.stop_agent = agent.stop
        loop.post(lambda: page.watch(agent, loop))
        click.echo(_welcome(chosen, settings), err=True)
        if listening:
            click.echo(f"The camera's page: {listening.address}", err=True)
        _run(agent, loop, panel_loop, seconds)
    click.echo(display.summary(Path(settings.device.vault), Path(settings.dock.root)), err=True)
    if not _restart(watch.restart):
        # What is on trial and can't be left in order: a restart of the machine takes the other.
        watch.exit_code = watch.exit_code or RESTART_MACHINE
    if watch.exit_code:
        sys.exit(watch.exit_code)


def _own_memory() -> None:
    """Footage and keys are not swapped to a card. Memory is locked only where they could be: locked
    memory is given back less."""
    if (areas := memory.swaps_to_storage()) and not memory.lock():
        _warn(f"Footage in memory may be swapped to {', '.join(areas)}: 'swapoff -a' (docs/pi.md).")


def _warn(text: str) -> None:
    click.echo(text, err=True)


def _run(agent: Agent, loop: RealLoop, panel_loop: RealLoop, seconds: float | None) -> None:
    """Until the agent has stopped in order."""
    notify = notifier()
    if every_ns := watchdog_ns():
        watchdog = Watchdog(loop, notify, agent.parts.capture.pictures_overdue_ns)
        loop.post(lambda: watchdog.start(every_ns))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.post(agent.stop))
    # The panel has a thread of its own: a hung agent must not keep the light alive. It begins when
    # the agent listens, so that no early press is lost without a word.
    panel = threading.Thread(target=_run_panel, args=(panel_loop, loop), name="panel", daemon=True)
    loop.post(agent.start)
    loop.post(panel.start)
    if seconds is not None:
        loop.call_at(loop.now_ns() + int(seconds * 1e9), agent.stop)
    loop.run()
    notify("STOPPING=1")
    panel_loop.stop()


def _restart(restart: Callable[[], None]) -> bool:
    """What an update asked for; whether that could be asked."""
    try:
        restart()
    except OSError as error:
        _warn(f"The machine is not restarted as the update wants it: {error}")
        return False
    return True


def _first_run(settings: Settings) -> None:
    """Without any key the remedy is not a path to check, but two commands."""
    needed = (settings.sealing.recipients, settings.device.key, settings.device.certificate)
    if any(Path(path).exists() for path in needed):
        return
    folder = Path(settings.device.key).parent
    raise KeyFileError(
        f"There are no keys in {folder} yet.",
        "Make them: 'bwv keygen agency', then "
        f"'bwv provision cam-1 --agency agency --out {folder}'.",
    )


def open_vault(settings: Settings, *, trial: bool) -> HostDisk:
    """The vault's folder, locked until this process ends: two cameras that write one ledger would
    fork it. Raises `VaultError` if it is in use, can't be written, or is on a file system that a
    power loss erases and this is no trial."""
    folder = Path(settings.device.vault)
    try:
        disk = HostDisk(folder)
        lock_folder(folder)
    except InUseError as error:
        process = f"process {error.pid}" if error.pid else "another process"
        raise VaultInUseError(
            f"The vault {folder} is in use by {process}.", "Stop that one, or set device.vault."
        ) from None
    except OSError as error:
        raise VaultError(
            f"The vault {folder} can't be used: {reason(error)}.",
            "Set device.vault to a folder that can be written.",
        ) from None
    kind = filesystem(folder)
    if kind in VOLATILE and not trial:
        raise VaultError(
            f"The vault {folder} is on {kind}: a power loss would erase all footage.",
            "Mount a disk there (docs/pi.md: overlayroot=tmpfs:recurse=0), or give --trial.",
        )
    return disk


def _welcome(board: str, settings: Settings) -> str:
    text = f"The camera starts; Ctrl-C ends it in order. Vault: {settings.device.vault}"
    if board == SIMULATED or settings.panel.factory == "mock":
        text += "\nType a button and press Enter: record, stop, mark, snapshot, flag, dock, undock."
    return text


class _Watch(Unobserved):
    """Tells the person beside the camera and the supervisor what the agent does. New settings begin
    with a new process: the supervisor starts it again."""

    def __init__(
        self,
        loop: RealLoop,
        display: RunDisplay,
        loaded: Loaded,
        settings: Settings,
        slots: Slots,
    ) -> None:
        self._loop, self._display, self._loaded, self._settings = loop, display, loaded, settings
        self._notify = notifier()
        self._slots = slots
        self.restart: Callable[[], None] = lambda: None
        self.stop_agent: Callable[[], None] = loop.stop
        self.exit_code = 0
        self._machine = MachineRestarts(Path(settings.device.vault))
        self._pictures = False

    def transition(self, before: State, event: Event, after: State) -> None:
        self._display.transition(before, event, after)
        ready = "READY=1\n" if before is State.STARTING else ""
        self._notify(f"{ready}STATUS={after.value}")

    def noted(self, kind: str, fields: Mapping[str, Any], at: Anchor) -> None:
        self._display.noted(kind, fields, at)
        if kind == "open" and not self._pictures:
            self._pictures = True
            self._machine.over()

    def machine_stuck(self, reason: str) -> bool:
        if not self._machine.one_more():
            _warn("Restarting the machine has not helped: the camera goes on trying.")
            return False
        self.exit_code = RESTART_MACHINE
        return True

    def slot_wanted(self, *, other: bool) -> None:
        self.restart = self._slots.start_other if other else self._slots.end_trial

    def settings_assigned(self, settings: dict[str, Any]) -> None:
        self._loop.post(lambda: self._consider(settings))

    def stopped(self) -> None:
        self._loop.stop()

    def _consider(self, assigned: dict[str, Any]) -> None:
        """In the dock, where nothing is recorded."""
        try:
            settings = self._loaded.with_assigned(assigned)
        except ConfigError as error:
            click.echo(f"The assigned settings are not taken: {error}", err=True)
            return
        if settings != self._settings:
            click.echo("The agency has assigned other settings: the camera starts anew.", err=True)
            self.exit_code = RESTART
            self.stop_agent()


def _survey(settings: Settings, vault: HostDisk) -> Found | None:
    """Of a camera that may have been assigned settings: its vault is looked through once, here."""
    if not settings.dock.store:
        return None
    return survey(vault, load_identity(settings.device).certificate_pem)


def _as_assigned(loaded: Loaded, found: Found | None) -> Settings:
    """The file's settings, with those of the newest assignment that the ledger holds, if the agency
    signed it for this camera."""
    if found is None or found.assignment is None:
        return loaded.settings
    try:
        name = load_identity(loaded.settings.device).device
        roots = keys.load_certificates(Path(loaded.settings.dock.root))
        said = read_kept(found.assignment, name, roots)
        return loaded.with_assigned(dict(said.value.settings))
    except (StatementError, ConfigError) as error:
        click.echo(f"The assigned settings are not taken: {error}", err=True)
        return loaded.settings


def _at_the_dock(board: Board, dock: Dock) -> Board:
    """The board with its evidence store, where one is set."""
    if not dock.store:
        return board
    store = open_store(dock.store, Path(dock.credentials), dock.ca, dock.client_certificate)
    return replace(board, uplink=store)


def _at_the_broker(board: Board, settings: Settings) -> AbstractContextManager[Board]:
    """The board with its broker, where one is set: else nothing of MQTT is even loaded."""
    if not settings.mqtt.broker:
        return nullcontext(board)
    from bwv_device.backends.broker import at_the_broker

    return at_the_broker(board, settings)


def _run_panel(panel: RealLoop, agent: RealLoop) -> None:
    """If the panel's thread ends, the camera ends: lights must not go on unattended."""
    try:
        panel.run()
    except Exception as error:
        agent.die(error)
        raise


def open_hardware(name: str, settings: Settings, disk: HostDisk, panel: RealLoop) -> Board:
    """A board by the name of its entry point, with the camera's identity."""
    points = {point.name: point for point in entry_points(group=BOARDS)}
    if name not in points:
        known = ", ".join(sorted(points)) or "none"
        raise MissingPartError(
            f"There is no board {name!r} in this installation (found: {known}).",
            "Install the package that brings it, or change device.board.",
        )
    identity = load_identity(settings.device)
    try:
        board: Board = points[name].load()(
            settings, HostClock(), HostEntropy(), disk, identity, panel
        )
    except HardwareError as error:
        raise MissingPartError(str(error), error.remedy) from None
    return board


def load_identity(device: Device) -> SoftwareIdentity:
    """The camera's key, with a certificate that the agency's device CA issued. Raises
    `KeyFileError`."""
    key = Path(device.key)
    try:
        if key.stat().st_mode & 0o027:
            raise KeyFileError(
                f"{key} can be read or changed by others than the camera.", f"chmod 640 {key}"
            )
        identity = SoftwareIdentity.load(key, Path(device.certificate))
        camera_of(chain_of(identity.certificate_pem))
    except (OSError, ValueError) as error:
        raise KeyFileError(
            f"The camera's key can't be used: {error}.", "Make one with 'bwv provision'."
        ) from None
    return identity
