"""`bwv fleet send`: a signed command to one camera, and its answer."""

from __future__ import annotations

import json
import queue
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import click

from bwv_device.commands.fleet.options import address, broker_options
from bwv_device.commands.key_files.role_key import load_role_key

REFUSED_EXIT = 18


@click.command()
@click.argument("device")
@click.argument("name", metavar="COMMAND")
@click.argument("arguments", nargs=-1, metavar="[NAME=VALUE]...")
@broker_options
@click.option("--wait", default=30.0, show_default=True, help="Seconds for the answer; 0: none.")
@click.option("--expires", default=300, show_default=True,
              type=click.IntRange(1, 86_400),
              help="Seconds; later the camera refuses it.")  # fmt: skip
def command(
    device: str,
    name: str,
    arguments: tuple[str, ...],
    broker: str,
    agency: str,
    root: Path,
    key: Path,
    wait: float,
    expires: int,
) -> None:
    """Tells one camera something: locate seconds=10, mark, start, hold recording=00000001-0002,
    assign officer=4711, head, diagnostics.

    There is no command that stops a recording, deletes, or turns a light off. What it came to is
    printed as JSON; exit code 18 where the camera refused.
    """
    from bwv_device import keys
    from bwv_device.camera.commands.check import COUNTER_AHEAD_MS, conform
    from bwv_device.errors import BrokerError
    from bwv_device.fleet.mqtt_client import OperatorClient
    from bwv_device.fleet.sign_command import command_statement
    from bwv_device.formats.mqtt_messages import COMMANDS, prefix

    if name not in COMMANDS:
        raise click.UsageError(f"There is no command {name!r}; known: {', '.join(COMMANDS)}.")
    table = _table(name, arguments)
    if conform(name, table) is None:
        raise click.UsageError(f"{name} takes {_takes(COMMANDS[name])}.")
    signer, host = load_role_key(key), address(broker)
    keys.load_certificates(root)
    topics, id_ = prefix(agency, device), secrets.token_hex(8)
    listens = [f"{topics}/state", f"{topics}/reply", f"{topics}/presence"]
    with OperatorClient(*host, f"send-{id_}", key, root, listens) as line:
        line.wait(min(15.0, max(5.0, wait)))
        known = _known_counter(line, f"{topics}/state")
        # A state is not signed: what it says of the counter can't use up the counters.
        now_ms = time.time_ns() // 1_000_000
        counter = max(min(known + 1, now_ms + COUNTER_AHEAD_MS // 2), now_ms)
        data = command_statement(signer, device, name, table, counter, id_, expires)
        line.publish(1, f"{topics}/command", data)
        _, refusal = _next(line.sent, 15.0, "The broker does not take the command.")
        if refusal:
            raise BrokerError(
                f"The broker does not take the command: {refusal}.",
                "Only a role key 'command' that is named at 'bwv fleet broker' may send.",
            )
        if not wait:
            return
        until_s = time.monotonic() + wait
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                heard = line.heard.get(timeout=left_s)
            except queue.Empty:
                break
            said = _said(heard.payload) if heard.topic.endswith("/reply") else {}
            if said.get("id") == id_:
                click.echo(json.dumps(said, indent=2))
                sys.exit(0 if said.get("outcome") == "done" else REFUSED_EXIT)
    raise BrokerError(
        f"{device} did not answer within {wait:g} s.",
        f"The broker keeps the command; the camera carries it out if it connects within {expires} "
        "s.",
    )


def _table(name: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    table: dict[str, Any] = {"recording": ""} if name == "hold" else {}
    for argument in arguments:
        field, equals, value = argument.partition("=")
        if not equals:
            raise click.UsageError(f"{argument!r} is no NAME=VALUE.")
        table[field] = int(value) if field == "seconds" and value.isdecimal() else value
    return table


def _takes(kind: type) -> str:
    fields = getattr(kind, "__slots__", ())
    return f"{' '.join(f'{name}=...' for name in fields) or 'no arguments'} (docs/mqtt.md)"


def _known_counter(line: Any, topic: str) -> int:
    """The counter that the camera reported last: another operator's clock may be ahead. A camera
    that never spoke has none."""
    try:
        while True:
            heard = line.heard.get(timeout=1.0)
            if heard.topic == topic:
                known = _said(heard.payload).get("command_counter")
                return known if type(known) is int else 0
    except queue.Empty:
        return 0


def _said(payload: bytes) -> dict[str, Any]:
    try:
        said = json.loads(payload)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _next(answers: Any, patience_s: float, else_say: str) -> Any:
    from bwv_device.errors import BrokerError

    try:
        return answers.get(timeout=patience_s)
    except queue.Empty:
        raise BrokerError(else_say, "Look at the broker.") from None
