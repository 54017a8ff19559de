"""A broker in virtual time with realistic faults and a memory, and a connection to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hal.ports import SECOND_NS, MqttListener, MqttMessage, Scheduler

MILLISECOND_NS = 1_000_000
# Half as long again as a camera's keepalive: then a broker, and a client, give a connection up.
KEEPALIVE_NS = 90 * SECOND_NS


class Published(NamedTuple):
    """`at_ns` of the world. A retained message of the broker's own, a will, comes from here too."""

    at_ns: int
    topic: str
    payload: bytes
    retain: bool


class SimulatedBroker:
    """What it was sent, what it retains, and how it is ill. Wishes are set from outside:

    `reachable`, `refuses` (authentication), `latency_ns`, `loses_acks`, `doubles` (delivers again
    what it delivered), `full` (quota exceeded), `forbidden` (topics by their last level), `deaf`
    (never answers a connection). Between the two ends of a connection there is TCP: nothing is lost
    or overtakes while it lives; without a network it lives for `KEEPALIVE_NS`.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.messages: list[Published] = []
        self.retained: dict[str, bytes] = {}
        self._reachable, self._away = True, 0
        self.refuses, self.full, self.deaf = "", False, False
        self.put_off: list[MqttMessage] = []  # what was refused because it was full
        self.loses_acks = self.doubles = False
        self.latency_ns = MILLISECOND_NS
        self.forbidden: set[str] = set()
        self.connections = 0
        self.most_under_way = 0
        self._lines: dict[str, SimulatedMqtt] = {}
        self._queued: dict[str, list[tuple[str, bytes]]] = {}
        self.on_published: Callable[[Published], None] = lambda published: None

    # --- the world's face ---------------------------------------------------------------------

    @property
    def reachable(self) -> bool:
        return self._reachable

    @reachable.setter
    def reachable(self, there: bool) -> None:
        if there == self._reachable:
            return
        self._reachable = there
        self._away += 1
        away = self._away
        if there:
            for line in list(self._lines.values()):
                line.network_is_back()
        else:
            self._later(KEEPALIVE_NS, lambda: self._give_up(away))

    def _give_up(self, away: int) -> None:
        if away == self._away:
            for line in list(self._lines.values()):
                self.lose(line, "nothing was heard for too long")

    def send(self, topic: str, payload: bytes) -> None:
        """Somebody else publishes. For a camera whose session lives it waits."""
        for client, line in self._lines.items():
            if topic in line.subscriptions:
                if line.up:
                    self._deliver(line, topic, payload)
                else:
                    self._queued.setdefault(client, []).append((topic, payload))

    def cut(self) -> None:
        """Every line breaks at once."""
        for line in list(self._lines.values()):
            self.lose(line, "the connection was lost")

    def hang_up(self) -> None:
        """It closes every line in order: what it had said until then arrives."""
        for line in list(self._lines.values()):
            line.hear_the_rest()
            self.lose(line, "the broker hung up")

    def take_over(self) -> None:
        """Somebody with the same client id pushes every camera off; the old will comes late."""
        for line in list(self._lines.values()):
            if line.up:
                will = line.will
                line.will = None
                self.lose(line, "session taken over")
                if will:
                    self._later(5_000 * MILLISECOND_NS, lambda will=will: self._say(will))  # type: ignore[misc]

    # --- for lines ----------------------------------------------------------------------------

    def lose(self, line: SimulatedMqtt, reason: str) -> None:
        if line.up:
            line.broken(reason)
            if line.will:
                self._say(line.will)

    def connect(self, line: SimulatedMqtt) -> None:
        if not self.reachable:
            line.broken("the network is unreachable")
        elif self.refuses:
            line.broken(self.refuses)
        elif not self.deaf:
            self.connections += 1
            self._lines[line.client] = line
            line.up = True
            line.tell(lambda listener: listener.connected())
            for topic, payload in self._queued.pop(line.client, []):
                self._deliver(line, topic, payload)

    def take(self, line: SimulatedMqtt, token: int, message: MqttMessage) -> None:
        if message.topic.rpartition("/")[2] in self.forbidden:
            line.tell(lambda listener: listener.refused(token, "not authorized", final=True))
        elif self.full:
            self.put_off.append(message)
            line.tell(lambda listener: listener.refused(token, "quota exceeded", final=False))
        else:
            self._say(message)
            if not self.loses_acks:
                line.tell(lambda listener: listener.acknowledged(token))

    def take_farewell(self, message: MqttMessage) -> None:
        if self.reachable:
            self._say(message)

    def _deliver(self, line: SimulatedMqtt, topic: str, payload: bytes) -> None:
        for _ in range(2 if self.doubles else 1):
            line.tell(lambda listener: listener.received(topic, payload))

    def _say(self, message: MqttMessage) -> None:
        published = Published(
            self._scheduler.now_ns(), message.topic, message.payload, message.retain
        )
        self.messages.append(published)
        if message.retain:
            self.retained[message.topic] = message.payload
        self.on_published(published)
        for line in list(self._lines.values()):
            if line.up and message.topic in line.subscriptions:
                self._deliver(line, message.topic, message.payload)

    def _later(self, wait_ns: int, callback: Callable[[], None]) -> None:
        self._scheduler.call_at(self._scheduler.now_ns() + wait_ns, callback)


class _Wire:
    """One direction of one TCP connection: all of it, in order. What is under way while the network
    is away arrives behind its return."""

    def __init__(self, broker: SimulatedBroker, scheduler: Scheduler) -> None:
        self._broker, self._scheduler = broker, scheduler
        self._under_way: deque[tuple[int, Callable[[], None]]] = deque()
        self._newest_ns = 0
        self._whole = True

    def carry(self, deliver: Callable[[], None]) -> None:
        if not self._whole:
            return
        due_ns = self._scheduler.now_ns() + self._broker.latency_ns
        self._newest_ns = max(self._newest_ns, due_ns)
        self._under_way.append((self._newest_ns, deliver))
        self._scheduler.call_at(self._newest_ns, self.arrive)

    def arrive(self) -> None:
        while (
            self._under_way
            and self._broker.reachable
            and self._under_way[0][0] <= self._scheduler.now_ns()
        ):
            self._under_way.popleft()[1]()

    def hurry(self) -> None:
        """The sender closes in order: what it said arrives before that."""
        while self._under_way and self._broker.reachable:
            self._under_way.popleft()[1]()

    def cut(self) -> None:
        self._whole = False
        self._under_way.clear()


class SimulatedMqtt:
    """`hal.ports.MqttLink` of one camera."""

    def __init__(self, broker: SimulatedBroker, scheduler: Scheduler, client: str) -> None:
        self._broker, self._scheduler, self.client = broker, scheduler, client
        self.up = False
        self.will: MqttMessage | None = None
        self.subscriptions: tuple[str, ...] = ()
        self._listener: MqttListener | None = None
        self._under_way = 0
        self._to_broker = self._to_camera = _Wire(broker, scheduler)

    def open(self, will: MqttMessage, subscriptions: Sequence[str], listener: MqttListener) -> None:
        self.vanish()
        self.will, self.subscriptions, self._listener = will, tuple(subscriptions), listener
        self._under_way = 0
        self._to_broker = _Wire(self._broker, self._scheduler)
        self._to_camera = _Wire(self._broker, self._scheduler)
        self._later(lambda: self._broker.connect(self), listener)

    def publish(self, token: int, message: MqttMessage) -> None:
        if self.up:
            self._under_way += 1
            self._broker.most_under_way = max(self._broker.most_under_way, self._under_way)
            self._to_broker.carry(lambda: self._broker.take(self, token, message))

    def close(self, farewell: MqttMessage | None = None) -> None:
        self._listener = None
        if self.up and farewell is not None:
            self.up = False
            self._to_broker.hurry()
            self._broker.take_farewell(farewell)
            self._cut_wires()
        else:
            self.vanish()

    def vanish(self) -> None:
        """The camera is gone, or its network is: the broker says the will."""
        self._listener = None
        self._broker.lose(self, "gone")

    def tell(self, word: Callable[[MqttListener], None]) -> None:
        """Through the line: later, and never to a listener that was let go."""
        listener = self._listener
        if listener is None:
            return

        def said() -> None:
            if self._listener is listener:
                self._under_way = max(0, self._under_way - 1)
                word(listener)

        self._to_camera.carry(said)

    def broken(self, reason: str) -> None:
        """There is no connection any more, or there never was one; both ends notice."""
        self.up = False
        self._cut_wires()
        if self._listener is not None:
            listener = self._listener
            self._later(lambda: listener.closed(reason), listener)

    def hear_the_rest(self) -> None:
        self._to_camera.hurry()

    def network_is_back(self) -> None:
        self._to_broker.arrive()
        self._to_camera.arrive()

    def _cut_wires(self) -> None:
        self._to_broker.cut()
        self._to_camera.cut()

    def _later(self, callback: Callable[[], None], listener: MqttListener | None) -> None:
        def still() -> None:
            if self._listener is listener:
                callback()

        when_ns = self._scheduler.now_ns() + self._broker.latency_ns
        self._scheduler.call_at(when_ns, still)
