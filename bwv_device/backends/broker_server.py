"""The broker's process: `python -m bwv_device.backends.broker_server SOCKET`.

Everything that the owner of the broker can send is read here, outside the process that records, by
one that gives way to it and takes a quarter of a core at most. Only commands that the agency signed
for this camera, unchanged, go on to it; the others are counted.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bwv_device import keys
from bwv_device.backends import broker_frames as frames
from bwv_device.camera.commands import check
from hal.mqtt.paho_link import Broker, MqttThread, PahoLink, tls_context

NICE = 10
# Of one core; so much may be saved up.
SHARE, SAVED_S = 0.25, 0.25
MEMORY_BYTES = 1 << 30
TELL_S = 1.0
READ_BYTES = 64 << 10


class Quota:
    """Lets the thread that reads wait when this process has used more than its share. The broker
    waits then, too: nothing is read from the line."""

    def __init__(self) -> None:
        self._used_s, self._since_s = time.process_time(), time.monotonic()

    def rest(self) -> None:
        used_s, elapsed_s = time.process_time() - self._used_s, time.monotonic() - self._since_s
        over_s = used_s - SHARE * elapsed_s
        if over_s > SAVED_S:
            time.sleep((over_s - SAVED_S) / SHARE)
        elif over_s < 0:  # what was not used is not saved up
            self._used_s, self._since_s = time.process_time(), time.monotonic()


class Sieve:
    """What of a connection's messages goes on."""

    def __init__(self, device: str, roots: list[Any]) -> None:
        self._device, self._roots = device, roots
        self._presence_s = float("-inf")

    def reason(self, topic: str, payload: bytes) -> str:
        """Why a message goes no further; "" where it does."""
        leaf = topic.rpartition("/")[2]
        if leaf == "command":
            said = check.read(payload, self._device, self._roots)
            return said.reason if isinstance(said, check.Refused) else ""
        now_s = time.monotonic()
        if leaf != "presence" or len(payload) > check.SIZE_LIMIT:
            return "unknown"
        if now_s - self._presence_s < TELL_S:
            return "flood"
        self._presence_s = now_s
        return ""


class Heard:
    """`hal.ports.MqttListener` of connection `number`: tells the recording process."""

    def __init__(self, server: Server, number: int) -> None:
        self._server, self._number = server, number

    def connected(self) -> None:
        self._tell("connected")

    def acknowledged(self, token: int) -> None:
        self._tell("acknowledged", token=token)

    def refused(self, token: int, reason: str, *, final: bool) -> None:
        self._tell("refused", token=token, reason=reason[:1000], final=final)

    def received(self, topic: str, payload: bytes) -> None:
        if reason := self._server.sieve.reason(topic, payload):
            self._server.sifted_out(self._number, reason)
        else:
            self._tell("received", topic=topic[:1000], payload=frames.data(payload))
        self._server.quota.rest()

    def sifted_out(self, reason: str, count: int) -> None:
        """Nobody sifts before this process."""

    def closed(self, reason: str) -> None:
        self._tell("closed", reason=reason[:1000])

    def _tell(self, what: str, **fields: Any) -> None:
        self._server.tell(frames.encode(what, self._number, **fields))


class Server:
    """Orders from the recording process, until it is gone."""

    def __init__(self, recorder: socket.socket) -> None:
        self._recorder, self._lock = recorder, threading.Lock()
        self._counts: Counter[str] = Counter()
        self._told_s = time.monotonic()
        self.quota = Quota()
        self.sieve: Sieve
        self._thread: MqttThread
        self._link: PahoLink

    def run(self) -> None:
        reader = frames.Reader()
        while received := self._recorder.recv(READ_BYTES):
            for order in reader.feed(received):
                self._obey(order)
        self._link.close()
        self._thread.close()

    def tell(self, frame: bytes) -> None:
        with self._lock, contextlib.suppress(OSError):  # it is gone: `run` ends
            self._recorder.sendall(frame)

    def sifted_out(self, connection: int, reason: str) -> None:
        """Told once a second, however many there are."""
        self._counts[reason] += 1
        if time.monotonic() - self._told_s >= TELL_S or sum(self._counts.values()) == 1:
            self._told_s, counts = time.monotonic(), dict(self._counts)
            self._counts.clear()
            self.tell(frames.encode("sifted_out", connection, counts=counts))

    def _obey(self, order: dict[str, Any]) -> None:
        what, number = order["what"], order["c"]
        if what == "begin":
            self._begin(order)
        elif what == "open":
            will = frames.unpacked(order["will"])
            self._link.open(will, tuple(order["subscriptions"]), Heard(self, number))
        elif what == "publish":
            message = frames.unpacked(order["message"])
            assert message is not None
            self._link.publish(order["token"], message)
        else:
            self._link.close(frames.unpacked(order["farewell"]))

    def _begin(self, order: dict[str, Any]) -> None:
        ca, certificate, key, root = (Path(order[n]) for n in ("ca", "certificate", "key", "root"))
        roots = keys.load_certificates(root) if order["root"] else []
        self.sieve = Sieve(str(order["device"]), roots)
        self._thread = MqttThread()
        broker = Broker(*order["broker"])
        self._link = PahoLink(self._thread, broker, tls_context(ca, certificate, key))


def _give_way() -> None:
    """To the recorder: of processor time, and of memory when it runs out."""
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def main(descriptor: int) -> None:
    _give_way()
    with contextlib.suppress(ConnectionError):
        Server(socket.socket(fileno=descriptor)).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
