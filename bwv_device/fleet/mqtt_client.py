"""An operator's connection to the broker: received messages are queued, lost commands repeated."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bwv_device.errors import BrokerError
from hal.mqtt.paho_link import Broker, MqttThread, PahoLink, tls_context
from hal.ports import HardwareError, MqttMessage

# If the operator's program can't keep up, the oldest messages are dropped and counted.
QUEUE_LIMIT = 200_000
RETRY_S = 2.0


class ReceivedMessage(NamedTuple):
    """`at_ns` on the monotonic clock."""

    topic: str
    payload: bytes
    at_ns: int


class OperatorClient:
    """A context. `heard` is filled by the network's thread; nothing in here is lost silently."""

    def __init__(
        self,
        host: str,
        port: int,
        client: str,
        certificate: Path,
        ca: Path,
        subscriptions: Sequence[str],
        session_expiry_s: int = 0,
    ) -> None:
        """`certificate` is a role file: key and certificate. Raises `BrokerError`."""
        try:
            tls = tls_context(ca, certificate, certificate)
        except HardwareError as error:
            raise BrokerError(str(error), error.remedy) from None
        self._thread = MqttThread()
        broker = Broker(host, port, client, session_expiry_s=session_expiry_s)
        self._link = PahoLink(self._thread, broker, tls)
        self._subscriptions = subscriptions
        self.heard: queue.Queue[ReceivedMessage] = queue.Queue(QUEUE_LIMIT)
        self.dropped = 0
        self.reason = ""
        self.up, self._tried = threading.Event(), threading.Event()
        self.sent: queue.Queue[tuple[int, str]] = queue.Queue()
        self._ends = False

    def __enter__(self) -> OperatorClient:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self._link.close(None)
        self._thread.close()

    def wait(self, patience_s: float) -> None:
        """For the first attempt. Raises `BrokerError` with what stood in the way."""
        self._tried.wait(patience_s)
        if not self.up.is_set():
            raise BrokerError(
                f"The broker can't be used: {self.reason or 'it does not answer'}.",
                "Look at --broker, --as and --root, and at the broker's log.",
            )

    def publish(self, token: int, topic: str, payload: bytes) -> None:
        self._link.publish(token, MqttMessage(topic, payload))

    # --- `hal.ports.MqttListener`, in the network's thread ----------------------------------------

    def connected(self) -> None:
        self.reason = ""
        self.up.set()
        self._tried.set()

    def acknowledged(self, token: int) -> None:
        self.sent.put((token, ""))

    def refused(self, token: int, reason: str, *, final: bool) -> None:
        self.sent.put((token, reason))

    def received(self, topic: str, payload: bytes) -> None:
        try:
            self.heard.put_nowait(ReceivedMessage(topic, payload, time.monotonic_ns()))
        except queue.Full:
            self.dropped += 1

    def sifted_out(self, reason: str, count: int) -> None: ...

    def closed(self, reason: str) -> None:
        self.up.clear()
        self.reason = reason
        self._tried.set()
        if not self._ends:
            timer = threading.Timer(RETRY_S, self._open)
            timer.daemon = True
            timer.start()

    def _open(self) -> None:
        if not self._ends:
            self._link.open(None, self._subscriptions, self)
