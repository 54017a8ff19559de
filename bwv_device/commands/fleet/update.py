"""`bwv fleet update`: asks a part of the fleet to come to a release, and stops by itself."""

from __future__ import annotations

import json
import queue
import secrets
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import click

from bwv_device.commands.fleet.options import address, broker_options
from bwv_device.commands.key_files.role_key import load_role_key

STOPPED_EXIT = 25
LOOK_S = 1.0
EXPIRES_S = 86_400
LEAVES = ("state", "event", "reply")


@click.command()
@click.argument("release")
@click.argument("sha256", metavar="BUNDLE-SHA256")
@broker_options
@click.option("--percent", type=click.FloatRange(0, 100), default=1.0, show_default=True,
              help="Of the cameras with slots; a larger wave holds the smaller.")  # fmt: skip
@click.option("--at-once", type=click.IntRange(1, 10_000), default=50, show_default=True,
              help="So many may be under way.")  # fmt: skip
@click.option("--hours", type=float, default=24.0, show_default=True, help="End after so long.")
@click.option("--withdraw", is_flag=True, help="Take the wish back from all that have not begun.")
def command(
    release: str,
    sha256: str,
    broker: str,
    agency: str,
    root: Path,
    key: Path,
    percent: float,
    at_once: int,
    hours: float,
    withdraw: bool,
) -> None:
    """Asks a part of the fleet to come to RELEASE, in the dock (bwv custody software offer).

    Stops by itself where 2 % of those that were asked went back or fell silent: then what has not
    begun is taken back, and the exit code is 25.
    """
    from bwv_device import keys
    from bwv_device.fleet.mqtt_client import OperatorClient
    from bwv_device.fleet.update_wave import Wave, Wish
    from bwv_device.formats.grammar.forms import Hex
    from bwv_device.formats.mqtt_messages import VERSION, level
    from bwv_device.formats.software_offer import OfferError, release_numbers

    try:
        release_numbers(release)
    except OfferError as error:
        raise click.UsageError(f"{error}.") from None
    if not Hex(64).fits(sha256):
        raise click.UsageError("BUNDLE-SHA256 has 64 digits: see 'bwv custody software list'.")
    signer = load_role_key(key)
    keys.load_certificates(root)
    wave = Wave(Wish(release, sha256), 0.0 if withdraw else percent, at_once)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    subscriptions = [f"bwv/{VERSION}/{level(agency)}/+/{leaf}" for leaf in LEAVES]
    client = f"update-{secrets.token_hex(6)}"
    with OperatorClient(*address(broker), client, key, root, subscriptions) as line:
        line.wait(15.0)
        desk = Desk(line, signer, agency)
        time.sleep(LOOK_S)  # what is retained comes first
        until_s = time.monotonic() + (LOOK_S * 3 if withdraw else hours * 3600)
        told = ""
        while not ended.is_set() and time.monotonic() < until_s:
            desk.take(wave)
            for device in wave.due(time.monotonic()):
                desk.send(device, wave.wish)
            said = ", ".join(f"{count} {what}" for what, count in sorted(wave.counts().items()))
            if said != told:
                told = said
                click.echo(f"{len(wave.chosen())} chosen of {len(wave.known)}: {said}", err=True)
            if wave.asked and wave.over and not withdraw:
                break
            ended.wait(LOOK_S)
        back = list(wave.known) if withdraw else wave.to_withdraw() if wave.stopped else []
        for device in back:
            desk.send(device, Wish("", ""))
        desk.flush()
    result = {"outcome": dict(sorted(wave.outcome.items())), "reasons": wave.reason,
              "stopped": wave.stopped}  # fmt: skip
    click.echo(json.dumps(result, indent=2))
    if wave.stopped:
        click.echo(f"It stopped: {', '.join(wave.failures)} did not keep it.", err=True)
        sys.exit(STOPPED_EXIT)


class Desk:
    """Sends and hears for a wave."""

    def __init__(self, line: Any, signer: Any, agency: str) -> None:
        self._line, self._signer, self._agency = line, signer, agency
        self._counters: dict[str, int] = {}
        self._sent = 0

    def take(self, wave: Any) -> None:
        while True:
            try:
                heard = self._line.heard.get_nowait()
            except queue.Empty:
                return
            self._note_counter(heard)
            wave.feed(heard.topic, heard.payload, time.monotonic())

    def send(self, device: str, wish: Any) -> None:
        from bwv_device.camera.commands.check import COUNTER_AHEAD_MS
        from bwv_device.fleet.sign_command import command_statement
        from bwv_device.formats.mqtt_messages import prefix

        now_ms = time.time_ns() // 1_000_000
        known = min(self._counters.get(device, 0) + 1, now_ms + COUNTER_AHEAD_MS // 2)
        counter = self._counters[device] = max(known, now_ms)
        data = command_statement(
            self._signer, device, "update", wish._asdict(), counter, secrets.token_hex(8), EXPIRES_S
        )
        self._sent += 1
        self._line.publish(self._sent, f"{prefix(self._agency, device)}/command", data)

    def flush(self) -> None:
        """Until the broker has what was sent."""
        for _ in range(self._sent):
            try:
                self._line.sent.get(timeout=5.0)
            except queue.Empty:
                return

    def _note_counter(self, heard: Any) -> None:
        levels = heard.topic.split("/")
        if levels[-1] != "state":
            return
        try:
            said = json.loads(heard.payload).get("command_counter")
        except (ValueError, AttributeError):
            return
        if type(said) is int:
            self._counters[levels[3]] = max(said, self._counters.get(levels[3], 0))
