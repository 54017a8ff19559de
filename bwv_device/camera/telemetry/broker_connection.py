"""The connection to the broker: connects, backs off, sends the outbox in order, and notices a
connection that is dead but open.

Delivery is at least once: a message leaves the outbox when the broker has acknowledged it. This
file does not know what messages mean, and can't delay a recording.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bwv_device.camera.error_boundary import ErrorBoundary
from bwv_device.camera.loop import Loop, Outcome
from bwv_device.settings import Mqtt, seconds
from hal.ports import (
    SECOND_NS,
    Entropy,
    MqttLink,
    MqttMessage,
    Outbox,
    OutboxFill,
    Outgoing,
    Timer,
    Waiting,
)

# Messages under way at once.
WINDOW = 16
# A broker makes some hundred TLS handshakes a second: thousands of cameras that lost it together
# must spread themselves from the first attempt on.
SHORTEST_WAIT_NS, FIRST_WAIT_NS, LONGEST_WAIT_NS = SECOND_NS, 8 * SECOND_NS, 300 * SECOND_NS
# Longer than any backend tries to connect.
CONNECT_NS = 40 * SECOND_NS
# A message that so many connections in a row died with is not tried again.
POISON = 5
# Messages that wait for the outbox's disk; beyond it the oldest go, and are counted.
PENDING_LIMIT = 512


@dataclass(frozen=True, slots=True)
class Greeting:
    """Messages at the start and the end of a connection, and the broker's if it breaks."""

    birth: Sequence[MqttMessage]
    offline: MqttMessage


class BrokerObserver(Protocol):
    """What a connection needs and reports, inside its error boundary."""

    def greeting(self, session: int) -> Greeting:
        """The messages at both ends of connection number `session`."""
        ...

    def received(self, topic: str, payload: bytes) -> None: ...

    def sifted_out(self, reason: str, count: int) -> None:
        """So many commands were none, and came no further than the link."""
        ...

    def trouble(self, reason: str) -> None:
        """Something failed; it is tried again."""
        ...

    def broker_up(self) -> None:
        """The broker accepted the connection."""
        ...


class _Ear:
    """Posts the events of one connection to the loop. Those of an older one are ignored."""

    def __init__(self, loop: Loop, run: Callable[..., None], line: BrokerConnection) -> None:
        self._loop, self._run, self._line, self._number = loop, run, line, line.session

    def connected(self) -> None:
        self._post(self._line.connected)

    def acknowledged(self, token: int) -> None:
        self._post(lambda: self._line.acknowledged(token))

    def refused(self, token: int, reason: str, *, final: bool) -> None:
        self._post(lambda: self._line.refused(token, reason, final))

    def received(self, topic: str, payload: bytes) -> None:
        self._post(lambda: self._line.received(topic, payload))

    def sifted_out(self, reason: str, count: int) -> None:
        self._post(lambda: self._line.sifted_out(reason, count))

    def closed(self, reason: str) -> None:
        self._post(lambda: self._line.lost(reason))

    def _post(self, callback: Callable[[], None]) -> None:
        def still() -> None:
            if self._line.session == self._number:
                self._run(callback)

        self._loop.post(still)


class ConnectionState(enum.Enum):
    """The state of the connection to the broker."""

    IDLE = "not started, or stopped"
    CONNECTING = "an answer is waited for"
    UP = "messages go out"
    WAITING = "lost; tried again later"
    ABANDONED = "another one has taken its place"


_S = ConnectionState


class BrokerConnection:
    """From `start` to `stop`."""

    def __init__(
        self,
        link: MqttLink,
        outbox: Outbox,
        entropy: Entropy,
        loop: Loop,
        boundary: ErrorBoundary,
        settings: Mqtt,
        subscriptions: Sequence[str],
        observer: BrokerObserver,
    ) -> None:
        self._link, self._outbox, self._entropy, self._loop = link, outbox, entropy, loop
        self._boundary, self._observer = boundary, observer
        self._subscriptions = subscriptions
        self._ack_ns = seconds(settings.ack_timeout_s)
        self._gap_ns = SECOND_NS // settings.drain_per_s
        self.session = 0
        self.connections = 0
        self.dropped = 0
        self.filled = OutboxFill(0, 0, 0)
        self._state = _S.IDLE
        self._failures = 0
        self._pending: list[Outgoing] = []
        self._writing = self._fetching = False
        self._sent_until = 0
        self._under_way: dict[int, int] = {}  # row → when it was sent; births are negative
        self._next_ns = 0
        self._queue: list[Waiting] = []
        self._more = True
        self._carries = False
        self._deaths: dict[int, int] = {}
        self._timers: dict[str, Timer] = {}

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        if self._state is _S.IDLE:
            self._connect()

    def stop(self) -> None:
        """Sends the offline message if connected. Waits for nothing."""
        farewell = self._observer.greeting(self.session).offline if self.up else None
        self._end(_S.IDLE, farewell)

    def abandon(self) -> None:
        """Ends silently; another connection takes its place."""
        self._state = _S.ABANDONED
        for name in list(self._timers):
            self._cancel(name)
        self.session = -1

    def put(self, key: str, message: MqttMessage) -> None:
        """Puts a message into the outbox. With a `key` it replaces an older one."""
        if key:
            self._pending = [item for item in self._pending if item.key != key]
        self._pending.append(Outgoing(key, message))
        if len(self._pending) > PENDING_LIMIT:
            self._pending.pop(0)
            self.dropped += 1
        self._write()

    @property
    def up(self) -> bool:
        return self._state is _S.UP

    @property
    def drained(self) -> bool:
        """Whether nothing waits, or nothing can be sent."""
        busy = self._pending or self._writing or self._under_way or self.filled.rows
        return not self.up or not busy

    # --- one connection -----------------------------------------------------------------------

    def _connect(self) -> None:
        self._state = _S.CONNECTING
        self.session += 1
        self._sent_until, self._queue, self._more = 0, [], True
        self._under_way.clear()
        self._carries = False
        ear = _Ear(self._loop, self._boundary.run, self)
        self._after("connect", CONNECT_NS, lambda: self.lost("the broker does not answer"))
        self._link.open(self._observer.greeting(self.session).offline, self._subscriptions, ear)

    def received(self, topic: str, payload: bytes) -> None:
        self._observer.received(topic, payload)

    def sifted_out(self, reason: str, count: int) -> None:
        self._observer.sifted_out(reason, count)

    def connected(self) -> None:
        self._cancel("connect")
        self._state = _S.UP
        self.connections += 1
        self._observer.broker_up()
        self.say_birth()
        self._after("supervise", self._ack_ns // 2, self._supervise)
        self._pump()

    def say_birth(self) -> None:
        if not self.up or any(token < 0 for token in self._under_way):
            return
        for number, message in enumerate(self._observer.greeting(self.session).birth, 1):
            self._send(-number, message)

    def acknowledged(self, token: int) -> None:
        self._under_way.pop(token, None)
        self._carries = True
        if token > 0:
            self._failures = 0
            self._deaths.clear()
            self._forget(token)
        self._pump()

    def refused(self, token: int, reason: str, final: bool) -> None:
        """A full broker is tried again later. A message that it will never accept is dropped."""
        self._observer.trouble(f"the broker refuses a message: {reason}")
        if not final:
            self.lost(reason)
        elif token > 0:
            self.dropped += 1
            self.acknowledged(token)
        else:
            self._under_way.pop(token, None)

    def lost(self, reason: str) -> None:
        """Tries again with growing random delays: a fleet must not reconnect all at once."""
        self._suspect()
        idle = self._state is _S.IDLE
        self._end(_S.IDLE if idle else _S.WAITING, None)
        self.session += 1  # nothing more is heard of this one
        if idle:
            return
        self._failures += 1
        self._observer.trouble(reason)
        longest_ns = min(LONGEST_WAIT_NS, FIRST_WAIT_NS << min(self._failures - 1, 16))
        drawn = int.from_bytes(self._entropy.token(4), "big")
        wait_ns = SHORTEST_WAIT_NS + (longest_ns - SHORTEST_WAIT_NS) * drawn // 2**32
        self._after("connect", wait_ns, self._connect)

    def _end(self, state: ConnectionState, farewell: MqttMessage | None) -> None:
        self._state = state
        for name in list(self._timers):
            self._cancel(name)
        self._link.close(farewell)

    def _supervise(self) -> None:
        """Ends a connection that looks alive and carries nothing."""
        oldest_ns = min(self._under_way.values(), default=None)
        if oldest_ns is not None and self._loop.now_ns() - oldest_ns >= self._ack_ns:
            self.lost("the broker acknowledges nothing")
        else:
            self._after("supervise", self._ack_ns // 2, self._supervise)

    def _suspect(self) -> None:
        """The oldest message under way, when a connection dies that carried something before: one
        that the broker can't take would end every connection."""
        rows = [row for row in self._under_way if row > 0]
        if not rows or not self._carries:
            return
        oldest = min(rows)
        self._deaths = {oldest: self._deaths.get(oldest, 0) + 1}
        if self._deaths[oldest] >= POISON:
            self.dropped += 1
            self._observer.trouble("a message that ended every connection is let go")
            self._forget(oldest)

    # --- the outbox, in its lane --------------------------------------------------------------

    def _write(self) -> None:
        if self._writing or not self._pending:
            return
        self._writing, items = True, self._pending
        self._pending = []
        outbox = self._outbox

        def put() -> OutboxFill:
            outbox.put(items)
            return outbox.fill()

        def written(outcome: Outcome) -> None:
            self._writing = False
            if outcome.error is not None:
                self.dropped += sum(not item.key for item in items)
                self._observer.trouble(str(outcome.error))
            else:
                self.filled = outcome.value
                self._more = True
            self._write()
            self._pump()

        self._boundary.submit(put, written)

    def _fetch(self) -> None:
        self._fetching = True
        outbox, row, session = self._outbox, self._sent_until, self.session

        def fetched(outcome: Outcome) -> None:
            self._fetching = False
            if outcome.error is not None:
                self._observer.trouble(str(outcome.error))
            elif session == self.session:
                self._queue = outcome.value
                self._more = len(self._queue) == WINDOW
                self._pump()
            else:
                self._pump()

        self._boundary.submit(lambda: outbox.after(row, WINDOW), fetched)

    def _forget(self, row: int) -> None:
        outbox = self._outbox

        def removed() -> OutboxFill:
            outbox.remove([row])
            return outbox.fill()

        def told(outcome: Outcome) -> None:
            if outcome.error is not None:
                self._observer.trouble(str(outcome.error))
            else:
                self.filled = outcome.value

        self._boundary.submit(removed, told)

    # --- sending ------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Sends as many as may be in flight, no faster than `drain_per_s`."""
        while self.up and len(self._under_way) < WINDOW:
            if not self._queue:
                if self._more and not self._fetching:
                    self._more = False
                    self._fetch()
                return
            wait_ns = self._next_ns - self._loop.now_ns()
            if wait_ns > 0:
                if "pump" not in self._timers:
                    self._after("pump", wait_ns, self._pump)
                return
            row, message = self._queue.pop(0)
            self._sent_until = row
            # A short burst is no flood: what is saved up is a window at most.
            earliest_ns = self._loop.now_ns() - WINDOW * self._gap_ns
            self._next_ns = max(self._next_ns, earliest_ns) + self._gap_ns
            self._send(row, message)

    def _send(self, token: int, message: MqttMessage) -> None:
        self._under_way[token] = self._loop.now_ns()
        self._link.publish(token, message)

    def _after(self, name: str, wait_ns: int, callback: Callable[[], None]) -> None:
        self._cancel(name)

        def due() -> None:
            self._timers.pop(name, None)
            self._boundary.run(callback)

        self._timers[name] = self._loop.call_at(self._loop.now_ns() + wait_ns, due)

    def _cancel(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()
