"""Between the two ends of a simulated connection there is TCP: in order, and nothing lost."""

from __future__ import annotations

from hal.ports import SECOND_NS, MqttMessage
from hal.simulated.broker import KEEPALIVE_NS, SimulatedBroker, SimulatedMqtt
from sim.world.virtual_loop import VirtualLoop


class Listener:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def connected(self) -> None:
        self.heard.append("connected")

    def acknowledged(self, token: int) -> None:
        self.heard.append(f"acknowledged {token}")

    def refused(self, token: int, reason: str, *, final: bool) -> None:
        self.heard.append(f"refused {token}")

    def received(self, topic: str, payload: bytes) -> None:
        self.heard.append(payload.decode())

    def sifted_out(self, reason: str, count: int) -> None:
        raise AssertionError(reason)

    def closed(self, reason: str) -> None:
        self.heard.append(reason)


class Bench:
    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.broker = SimulatedBroker(self.loop)
        self.ear = Listener()
        self.link = SimulatedMqtt(self.broker, self.loop, "cam")
        self.link.open(MqttMessage("presence", b"gone", retain=True), ("command",), self.ear)
        self.wait(1)
        self.ear.heard.clear()

    def wait(self, seconds: float) -> None:
        self.loop.run_until(self.loop.now_ns() + round(seconds * SECOND_NS))

    def say(self, number: int) -> None:
        self.link.publish(number, MqttMessage("event", str(number).encode(), retain=False))

    @property
    def arrived(self) -> list[str]:
        return [m.payload.decode() for m in self.broker.messages if m.topic == "event"]


def test_what_follows_on_a_faster_line_overtakes_nothing() -> None:
    it = Bench()
    it.broker.latency_ns = 20 * SECOND_NS
    it.say(1)
    it.broker.latency_ns = 1_000_000
    it.say(2)
    it.wait(60)
    assert it.arrived == ["1", "2"]
    assert it.ear.heard == ["acknowledged 1", "acknowledged 2"]


def test_what_was_under_way_while_the_network_was_away_arrives_behind_its_return() -> None:
    it = Bench()
    it.broker.reachable = False
    it.say(1)
    it.broker.send("command", b"locate")
    it.wait(30)
    assert (it.arrived, it.ear.heard) == ([], [])
    it.broker.reachable = True
    it.say(2)
    it.wait(1)
    assert it.arrived == ["1", "2"]
    assert it.ear.heard == ["locate", "acknowledged 1", "acknowledged 2"]


def test_without_a_network_a_connection_dies_and_the_will_is_said() -> None:
    it = Bench()
    it.broker.reachable = False
    it.say(1)
    it.wait(KEEPALIVE_NS / SECOND_NS + 1)
    assert it.ear.heard == ["nothing was heard for too long"]
    it.broker.reachable = True
    it.wait(1)
    assert it.arrived == []
    assert it.broker.retained == {"presence": b"gone"}


def test_a_broker_that_hangs_up_is_heard_to_the_end_and_one_that_is_cut_off_is_not() -> None:
    it = Bench()
    it.say(1)
    it.broker.on_published = lambda said: it.broker.hang_up() if said.topic == "event" else None
    it.wait(1)
    assert it.ear.heard == ["the broker hung up"]  # the message ended it: no answer was on its way
    it = Bench()
    it.broker.send("command", b"locate")
    it.broker.hang_up()
    it.wait(1)
    assert it.ear.heard == ["locate", "the broker hung up"]
    it = Bench()
    it.broker.send("command", b"locate")
    it.broker.cut()
    it.wait(1)
    assert it.ear.heard == ["the connection was lost"]
