"""The fleet's subscriber, in a process of its own: when each message came, and how often."""

from __future__ import annotations

import json
import queue
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from bwv_device.fleet.mqtt_client import OperatorClient
from bwv_device.formats.mqtt_messages import VERSION
from sim.fleet.realtime_pacing import key_of
from sim.servers.mosquitto import HOST

Key = tuple[str, int, int]


class HeardAll(NamedTuple):
    """First arrival of each message on the monotonic clock, all arrivals, and how many events
    were out of order within their camera."""

    first_ns: dict[Key, int]
    arrivals: int
    out_of_order: int
    presences: int
    others: int
    cpu_s: float


def listen(port: int, agency: str, certificate: Path, ca: Path, pipe: Connection) -> None:
    """Until something comes through the pipe."""
    first_ns: dict[Key, int] = {}
    newest: dict[str, tuple[int, int]] = {}
    arrivals = out_of_order = presences = others = 0
    line = OperatorClient(
        HOST, port, "fleet-ear", certificate, ca, [f"bwv/{VERSION}/{agency}/#"], 3600
    )
    with line:
        line.wait(30)
        pipe.send("ready")
        quiet = False
        while not (quiet and pipe.poll()):
            try:
                topic, payload, at_ns = line.heard.get(timeout=0.2)
            except queue.Empty:
                quiet = True
                continue
            quiet = False
            arrivals += 1
            leaf = topic.rpartition("/")[2]
            if leaf == "presence":
                presences += 1
            key = key_of(topic, _id(leaf, payload))
            others += key is None and leaf != "presence"
            if key is None or key in first_ns:
                continue
            first_ns[key] = at_ns
            pair = key[1:]
            # What is retained overtakes what waits for an operator that was away: states may.
            if leaf in ("event", "reply"):
                out_of_order += pair < newest.get(key[0], (0, 0))
            newest[key[0]] = max(pair, newest.get(key[0], (0, 0)))
    pipe.send(HeardAll(first_ns, arrivals, out_of_order, presences, others, time.process_time()))


def _id(leaf: str, payload: bytes) -> str:
    if leaf not in ("state", "health", "event", "reply"):
        return ""
    said = json.loads(payload)
    return f"{leaf}-{said['boot']}-{said['number']}"
