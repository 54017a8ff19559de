"""`bwv check`: the field test of a rig."""

from __future__ import annotations

import datetime
import json
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bwv_device import __version__, keys
from bwv_device.backends.realtime_loop import RealLoop
from bwv_device.commands.cli.tables import print_table
from bwv_device.commands.run import SIMULATED, open_hardware
from bwv_device.config import Loaded, check, load
from bwv_device.errors import BwvError, MissingPartError
from bwv_device.files import writable_folder
from bwv_device.settings import Settings
from hal.host import HostClock, HostDisk
from hal.memory import swaps_to_storage
from hal.ports import Board, Edge

# The exit code where something is bad; `poor` is no reason to stay at home.
BAD_EXIT = 16
COLOURS = {"good": "green", "poor": "yellow", "bad": "red", "not tested": "dim"}
PRESS_WAIT_S = 20.0


@click.command()
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Default: built in.")
@click.option("--board", help="Which hardware; overrides the configuration.")
@click.option("--seconds", type=click.FloatRange(4, 3600), default=12, show_default=True,
              help="How long to look and listen.")  # fmt: skip
@click.option("--writes", type=click.IntRange(10, 100_000), default=200, show_default=True,
              help="How many writes to measure the storage with.")  # fmt: skip
@click.option("--mirror", is_flag=True, help="A mirror shows the camera its own red light.")
@click.option("--buttons", is_flag=True, help="Asks for presses.")
@click.option("--soak", type=click.FloatRange(0.05, 24 * 60), metavar="MINUTES",
              help="Records so long: processor, memory, heat, losses.")  # fmt: skip
@click.option("--tone", type=click.IntRange(200, 12_000), help="Of the beeper, hertz.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path),
              help="A folder for an HTML report with pictures.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True)
def command(
    config_file: Path | None,
    board: str | None,
    seconds: float,
    writes: int,
    mirror: bool,
    buttons: bool,
    soak: float | None,
    tone: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Proves a rig: what it sees, hears, says and stores. Nothing is kept.

    The beeper sounds, the red light flashes. Exit code 16 where something is bad.
    """
    try:
        from bwv_device.field_test import broker, report
    except ImportError as error:
        raise MissingPartError(
            f"The field test needs {error.name}.", "pip install 'bwv-device[check]'"
        ) from None
    if out is not None:
        writable_folder(out)
    loaded = load(config_file) if config_file else Loaded(Settings(), "", {}, check)
    settings = loaded.settings
    vault = Path(settings.device.vault)
    findings = [*_keys(settings), *_store(settings)]
    console = Console(highlight=False, stderr=as_json)
    with HostDisk(vault) as disk:
        loop = RealLoop(HostClock())
        threading.Thread(target=loop.run, name="panel", daemon=True).start()
        hardware = open_hardware(board or settings.device.board, settings, disk, loop)
        test = report.Test(hardware, settings, vault, out)
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("looking and listening", total=1.0)
            findings += test.run(
                seconds,
                writes,
                mirror=mirror,
                tone_hz=tone,
                progress=lambda share: bar.update(task, completed=share),
            )
        if buttons:
            findings += _buttons(hardware, console)
        findings.append(broker.look(settings, hardware.identity.device))
        loop.stop()
    findings += _memory()
    if soak is not None:
        from bwv_device.field_test.soak import soak as soaked

        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("recording", total=1.0)
            findings += soaked(
                settings,
                board or settings.device.board,
                soak,
                lambda share: bar.update(task, completed=share),
            )
    verdict = report.verdict(findings)
    name = board or settings.device.board
    about = report.About(
        hardware.identity.device,
        "simulated board: nothing here says anything of a real one"
        if name == SIMULATED
        else f"board {name}",
        f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        __version__,
        verdict,
    )
    if out is not None:
        report.write(out, findings, about)
    rows = [{**found._asdict(), "status": found.status.value} for found in findings]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _show(console, rows)
        console.print(f"{verdict.words}. {about.device}, {about.board}, {about.when}.")
        if out is not None:
            console.print(f"Look at [bold]{out / 'index.html'}[/] in a browser.")
    if any(row["status"] == "bad" for row in rows):
        sys.exit(BAD_EXIT)


def _keys(settings: Settings) -> list[Any]:
    from bwv_device.field_test.findings import judged

    def loads(what: str, name: str, read: Callable[[Path], Any]) -> Any:
        try:
            read(Path(name))
        except (BwvError, OSError, ValueError) as error:
            remedy = "Make keys with 'bwv provision', on the agency's computer."
            return judged("keys", what, str(error), good=False, remedy=remedy)
        return judged("keys", what, name, good=True, remedy="")

    device, sealing = settings.device, settings.sealing
    return [
        loads("the camera's certificate", device.certificate, keys.load_certificates),
        loads("who may open its footage", sealing.recipients, keys.load_recipients),
    ]


def _memory() -> list[Any]:
    from bwv_device.field_test.findings import judged

    areas = swaps_to_storage()
    return [
        judged(
            "memory", "swap", ", ".join(areas) or "none on a card", good=not areas,
            remedy="Footage and keys can be written there in plain: switch it off "
            "('swapoff -a', and its line in /etc/fstab, dphys-swapfile or rpi-swap).",
        )
    ]  # fmt: skip


def _store(settings: Settings) -> list[Any]:
    """Whether the evidence store answers at all; delivery itself needs the dock."""
    from bwv_device.field_test.findings import Finding, Grade, judged

    address = settings.dock.store
    if not address:
        remedy = "Set dock.store, or take the card out to deliver."
        return [Finding("dock", "evidence store", Grade.NOT_TESTED, "none is set", remedy)]
    if "://" not in address:
        there = Path(address).is_dir()
        return [judged("dock", "evidence store", address, good=there, remedy="Mount it.")]
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
        return [judged("dock", "evidence store", "reachable", good=True, remedy="")]
    except OSError as error:
        return [
            judged(
                "dock", "evidence store", str(error), good=False, poor=True,
                remedy="Look at the network and at dock.store. Recording does not need it.",
            )
        ]  # fmt: skip


def _buttons(board: Board, console: Console) -> list[Any]:
    from bwv_device.field_test.findings import judged

    found = []
    for name, button in (("record", board.record_button), ("marker", board.marker_button)):
        edges: list[Edge] = []
        enough = threading.Event()

        def hear(edge: Edge, edges: list[Edge] = edges, enough: threading.Event = enough) -> None:
            edges.append(edge)
            if sum(not each.pressed for each in edges) >= 2:
                enough.set()

        button.listen(hear)
        console.print(f"Press the {name} button twice now.")
        enough.wait(PRESS_WAIT_S)
        threading.Event().wait(0.3)  # what still bounces
        presses = sum(edge.pressed for edge in edges)
        found.append(
            judged(
                "buttons", name, f"{presses} presses", good=presses == 2, poor=presses > 2,
                remedy="More: the contact bounces, raise buttons.debounce_ms. Fewer: look at "
                f"pins.{name}_button, its wire to ground, and the button.",
            )
        )  # fmt: skip
    return found


def _show(console: Console, rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("part", "what", "", "measured"):
        table.add_column(name)
    for row in rows:
        colour = COLOURS[row["status"]]
        table.add_row(row["part"], row["what"], f"[{colour}]{row['status']}[/]", row["measured"])
        if row["remedy"]:
            table.add_row("", "", "", f"[{colour}]→ {row['remedy']}[/]")
    print_table(table, console)
