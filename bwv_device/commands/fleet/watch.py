"""`bwv fleet watch`: a live table of cameras."""

from __future__ import annotations

import json
import queue
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from bwv_device.commands.fleet.options import address, broker_options

FORKED_EXIT = 19
REDRAW_S = 1.0
BOARD_AT = "127.0.0.1:8090"
ACKNOWLEDGED = "acknowledged.jsonl"
BATCH = 5000


@click.command()
@broker_options
@click.option("--only", multiple=True, help="recording, trouble, offline, forked, docked.")
@click.option("--camera", default="", help="Part of the cameras' names.")
@click.option("--sort", default="trouble", show_default=True,
              help="trouble, device, battery, storage, undelivered, seen.")  # fmt: skip
@click.option("--rows", default=0, help="At most so many; 0: as the terminal is high.")
@click.option("--json", "as_json", is_flag=True, help="A line for every change of a camera.")
@click.option("--record", type=click.Path(path_type=Path, file_okay=False),
              help="A folder that keeps each camera's newest signed head.")  # fmt: skip
@click.option("--web", is_flag=False, flag_value=BOARD_AT, metavar="[HOST:PORT]",
              help=f"As a page, for a wall; without an address {BOARD_AT}.")  # fmt: skip
@click.option("--token", default="wall-board-token", show_default=True,
              type=click.Path(path_type=Path),
              help="With --web: who knows it may look; made where it is missing.")  # fmt: skip
@click.option("--seconds", type=float, help="End after so long.")
def command(
    broker: str,
    agency: str,
    root: Path,
    key: Path,
    only: tuple[str, ...],
    camera: str,
    sort: str,
    rows: int,
    as_json: bool,
    record: Path | None,
    web: str | None,
    token: Path,
    seconds: float | None,
) -> None:
    """Shows every camera of the agency: state, battery, storage, what is not delivered, clock, when
    it was last seen, and whether the heads of its ledger are consistent or FORKED.

    Custody's intake checks ledgers against what --record keeps (`heads` in custody.toml). Exit code
    19: a forked ledger was seen.
    """
    from bwv_device import keys
    from bwv_device.errors import BrokerError
    from bwv_device.fleet import watch_table
    from bwv_device.fleet.kept_heads import Records
    from bwv_device.fleet.mqtt_client import OperatorClient
    from bwv_device.fleet.roster import Roster, Seen
    from bwv_device.fleet.wall_board import WallBoard
    from bwv_device.formats.mqtt_messages import VERSION, level

    if unknown := [word for word in only if word not in watch_table.FILTERS]:
        raise click.UsageError(f"--only {unknown[0]}: choose of {', '.join(watch_table.FILTERS)}.")
    if sort not in watch_table.SORTS:
        raise click.UsageError(f"--sort {sort}: choose of {', '.join(watch_table.SORTS)}.")
    listening = _listen(web, token) if web else None
    try:
        records = Records(record) if record else None
    except OSError as error:
        raise BrokerError(
            f"{record} can't be used: {error.strerror}.", "Give a folder that can be written."
        ) from None

    def forked(seen: Seen) -> None:
        if records:
            _keep(records, seen, fork=True)

    roster = Roster(keys.load_certificates(root), forked)
    for kept in records.all() if records else ():
        roster.recall(**kept)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    subscriptions = [f"bwv/{VERSION}/{level(agency)}/+/{leaf}" for leaf in LEAVES]
    client = f"watch-{secrets.token_hex(6)}"
    with OperatorClient(*address(broker), client, key, root, subscriptions) as line:
        line.wait(15.0)
        until_s = time.monotonic() + seconds if seconds is not None else None

        def take() -> list[Seen]:
            """What changed since the last time."""
            changed: dict[str, Seen] = {}
            for heard in _arrived(line.heard):
                if seen := roster.feed(heard.topic, heard.payload, time.time_ns()):
                    changed[seen.device] = seen
            for seen in changed.values():
                if records:
                    _keep(records, seen)
            return list(changed.values())

        def over() -> bool:
            return ended.is_set() or (until_s is not None and time.monotonic() > until_s)

        def row_of(seen: Seen) -> dict[str, Any]:
            return watch_table.row(seen, time.time_ns())

        if listening:
            board = WallBoard(time.time_ns, record / ACKNOWLEDGED if record else None)
            _serve(board, listening, f"Fleet of {agency}", roster, line, take, over, row_of)
        elif as_json:
            while not over():
                for seen in watch_table.chosen([row_of(s) for s in take()], only, "device", camera):
                    click.echo(json.dumps({**seen, "trouble": watch_table.troubles(seen)}))
                sys.stdout.flush()
        else:
            _live(roster, line, take, over, row_of, (only, sort, camera), rows, broker)
    if any(seen.fork for seen in roster.cameras.values()):
        sys.exit(FORKED_EXIT)


def _keep(records: Any, seen: Any, *, fork: bool = False) -> None:
    """A disk that is full is no reason not to watch."""
    try:
        if fork:
            records.keep_fork(seen)
        else:
            records.keep(seen, time.monotonic_ns())
    except OSError as error:
        click.echo(f"The head of {seen.device} is not kept: {error}", err=True)


LEAVES = ("presence", "identity", "state", "health", "event", "reply")


def _redraws(take: Any, over: Any) -> Iterator[None]:
    """Each time that it is to be drawn anew; messages are taken meanwhile."""
    drawn_s = 0.0
    while not over():
        take()
        if time.monotonic() - drawn_s >= REDRAW_S:
            drawn_s = time.monotonic()
            yield


def _live(
    roster: Any, line: Any, take: Any, over: Any, row_of: Any, choice: Any, rows: int, broker: str
) -> None:
    from rich.console import Console
    from rich.live import Live

    from bwv_device.fleet import watch_table

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        for _ in _redraws(take, over):
            everyone = [row_of(seen) for seen in roster.cameras.values()]
            only, sort, camera = choice
            shown = watch_table.chosen(everyone, only, sort, camera)
            recording = sum(bool(one["recording"]) for one in everyone)
            troubled = sum(bool(watch_table.troubles(one)) for one in everyone)
            title = f"{len(everyone)} cameras, {recording} recording, {troubled} with trouble"
            state = "" if line.up.is_set() else f"; the broker is away: {line.reason}"
            lost = f"; {line.dropped} messages dropped here" if line.dropped else ""
            limit = rows or max(5, console.height - 6)
            live.update(
                watch_table.render(shown, limit, f"{title}   {broker}{state}{lost}", console.width),
                refresh=True,
            )


def _listen(web: str, token_file: Path) -> Any:
    """Before anything else: a port that is taken is the first error."""
    from bwv_device.web.listen import bind, parse_address, read_token, url

    host, port = parse_address(web)
    token = read_token(token_file)
    listening = bind(host, port, token)
    click.echo(f"The wall board: {url(listening, token)}", err=True)
    return listening, token


def _serve(
    board: Any,
    listening: Any,
    title: str,
    roster: Any,
    line: Any,
    take: Any,
    over: Any,
    row_of: Any,
) -> None:
    from bwv_device.fleet.wall_board_page import ServedBoard

    with ServedBoard(board, title, *listening):
        for _ in _redraws(take, over):
            away = "" if line.up.is_set() else f"The broker is away: {line.reason}."
            lost = f" {line.dropped} messages were dropped here." if line.dropped else ""
            board.update([row_of(seen) for seen in roster.cameras.values()], away + lost)


def _arrived(heard: queue.Queue[Any]) -> Iterator[Any]:
    """What is there, waiting a moment for the first."""
    try:
        yield heard.get(timeout=0.2)
        for _ in range(BATCH):
            yield heard.get_nowait()
    except queue.Empty:
        return
