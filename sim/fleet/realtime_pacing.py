"""Virtual time in step with the wall clock, which other threads can post to."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from hal.ports import SECOND_NS, MqttLink, MqttListener, MqttMessage
from sim.world.virtual_loop import VirtualLoop

LONGEST_WAIT_S = 0.2


class PacedLoop:
    """Runs a `VirtualLoop` `speed` times as fast as time goes. `lag_ns` is how far it was behind at
    worst, of wall time."""

    def __init__(self, loop: VirtualLoop, speed: float = 1.0) -> None:
        self.loop, self._speed = loop, speed
        self._inbox: deque[Callable[[], None]] = deque()
        self._arrived = threading.Event()
        self.lag_ns = 0

    def post(self, callback: Callable[[], None]) -> None:
        """From any thread."""
        self._inbox.append(callback)
        self._arrived.set()

    def run(self, duration_s: float, over: Callable[[], bool] = lambda: False) -> None:
        """So long by the wall clock."""
        began_ns, virtual_ns = time.monotonic_ns(), self.loop.now_ns()
        end_ns = began_ns + round(duration_s * SECOND_NS)
        while (now_ns := time.monotonic_ns()) < end_ns and not over():
            target_ns = virtual_ns + round((now_ns - began_ns) * self._speed)
            self._hear()
            self.loop.run_until(target_ns)
            self.lag_ns = max(self.lag_ns, time.monotonic_ns() - now_ns)
            self._wait(virtual_ns, began_ns)

    def _hear(self) -> None:
        self._arrived.clear()
        while self._inbox:
            self._inbox.popleft()()

    def _wait(self, virtual_ns: int, began_ns: int) -> None:
        next_ns = self.loop.next_ns()
        wait_s = LONGEST_WAIT_S
        if next_ns is not None:
            due_ns = began_ns + round((next_ns - virtual_ns) / self._speed)
            wait_s = min(wait_s, max(0.0, (due_ns - time.monotonic_ns()) / 1e9))
        if wait_s and not self._inbox:
            self._arrived.wait(wait_s)


class PacedLink:
    """`hal.ports.MqttLink` over a real one: what is heard arrives in virtual time. Remembers when
    each message was handed over, and which were acknowledged."""

    def __init__(self, link: MqttLink, paced: PacedLoop) -> None:
        self._link, self._paced = link, paced
        self.sent_ns: dict[tuple[str, int, int], int] = {}
        self.acknowledged: set[tuple[str, int, int]] = set()
        self._tokens: dict[int, tuple[str, int, int]] = {}
        self.connections = 0
        self.connected_ns = 0

    def open(self, will: MqttMessage, subscriptions: Sequence[str], listener: MqttListener) -> None:
        self._tokens.clear()
        self._link.open(will, subscriptions, _Ear(self, self._paced, listener))

    def publish(self, token: int, message: MqttMessage) -> None:
        if key := key_of(message.topic, dict(message.attributes).get("id", "")):
            self.sent_ns.setdefault(key, time.monotonic_ns())
            self._tokens[token] = key
        self._link.publish(token, message)

    def close(self, farewell: MqttMessage | None = None) -> None:
        self._link.close(farewell)

    def heard(self, token: int) -> None:
        if key := self._tokens.pop(token, None):
            self.acknowledged.add(key)


class _Ear:
    """From the network's thread into the paced loop."""

    def __init__(self, link: PacedLink, paced: PacedLoop, listener: MqttListener) -> None:
        self._link, self._paced, self._listener = link, paced, listener

    def connected(self) -> None:
        self._link.connections += 1
        self._link.connected_ns = time.monotonic_ns()
        self._paced.post(self._listener.connected)

    def acknowledged(self, token: int) -> None:
        def told() -> None:
            self._link.heard(token)
            self._listener.acknowledged(token)

        self._paced.post(told)

    def refused(self, token: int, reason: str, *, final: bool) -> None:
        self._paced.post(lambda: self._listener.refused(token, reason, final=final))

    def received(self, topic: str, payload: bytes) -> None:
        self._paced.post(lambda: self._listener.received(topic, payload))

    def sifted_out(self, reason: str, count: int) -> None: ...

    def closed(self, reason: str) -> None:
        self._paced.post(lambda: self._listener.closed(reason))


def key_of(topic: str, id_: str) -> tuple[str, int, int] | None:
    """A message as both ends know it: (device/leaf, boot, number). Presence and the like have no
    number."""
    device, _, leaf = topic.rpartition("/")
    name, _, rest = id_.partition("-")
    if name not in ("state", "health", "event", "reply"):
        return None
    boot, _, number = rest.partition("-")
    return f"{device.rpartition('/')[2]}/{leaf}", int(boot), int(number)
