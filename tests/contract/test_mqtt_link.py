"""One suite over all lines to a broker: paho with a real mosquitto, the same in a process of its
own, and the simulated one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

import pytest
from support.mqtt_clients import AGENCY, Desk, Ear
from support.signed_commands import fields, signed

from hal.keystore import SoftwareIdentity
from hal.ports import SECOND_NS, MqttLink, MqttMessage
from hal.simulated.broker import SimulatedBroker, SimulatedMqtt
from sim.world.virtual_loop import VirtualLoop

NUMBERS = count(1)


class Bench(NamedTuple):
    link: MqttLink
    ear: Ear
    watcher: Ear
    send: Callable[[str, bytes], None]
    cut: Callable[[], None]
    name: str
    # What is sent to a camera: where commands are judged on the way, one that the agency signed.
    command: Callable[[str], bytes] = str.encode

    def topic(self, leaf: str) -> str:
        return f"bwv/v1/{AGENCY}/{self.name}/{leaf}"

    @property
    def will(self) -> MqttMessage:
        return MqttMessage(self.topic("presence"), b"gone", retain=True)


@pytest.fixture(params=["simulated", "mosquitto", "process"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    ear, watcher, name = Ear(), Ear(), f"cam-{next(NUMBERS)}"  # a session each
    if request.param == "simulated":
        loop = VirtualLoop()
        broker = SimulatedBroker(loop)
        broker.on_published = lambda said: watcher.received(said.topic, said.payload)
        for one in (ear, watcher):
            one.pump = lambda: loop.run_until(loop.now_ns() + SECOND_NS)
        yield Bench(SimulatedMqtt(broker, loop, name), ear, watcher, broker.send, broker.cut, name)
        return
    desk: Desk = request.getfixturevalue("desk")
    eyes = desk.person("command", f"watch-{id(ear)}")
    eyes.open(None, [f"bwv/v1/{AGENCY}/{name}/#"], watcher)
    watcher.wait("connected")
    process = desk.camera_process(name) if request.param == "process" else None
    link: MqttLink = process or desk.camera(name)
    key = SoftwareIdentity(desk.role("command"), desk.role("command"))

    def command(text: str) -> bytes:
        return signed(key, fields(device=name, id=text))

    def cut() -> None:
        desk.broker.stop()
        desk.broker.start()

    bench = Bench(link, ear, watcher, lambda t, p: eyes.publish(0, MqttMessage(t, p)), cut, name)
    yield bench._replace(command=command) if process else bench
    link.close()
    if process:
        process.end()
    eyes.close()


def opened(bench: Bench) -> Bench:
    bench.link.open(bench.will, (bench.topic("command"),), bench.ear)
    bench.ear.wait("connected")
    return bench


def heard(bench: Bench, payload: bytes) -> None:
    """Waits until the watcher has this."""
    for number in range(1, 50):
        if bench.watcher.wait("received", number)[2] == payload:
            return
    raise AssertionError(payload)


def test_what_is_acknowledged_has_arrived_in_order(bench: Bench) -> None:
    opened(bench)
    for token in range(1, 9):
        bench.link.publish(token, MqttMessage(bench.topic("event"), b"event %d" % token))
    assert bench.ear.wait("acknowledged", 8) == ("acknowledged", 8)
    heard(bench, b"event 8")
    arrived = [what[2] for what in bench.watcher.all("received") if b"event" in what[2]]  # type: ignore[operator]
    assert arrived == [b"event %d" % token for token in range(1, 9)]


def test_commands_come_while_connected(bench: Bench) -> None:
    opened(bench)
    bench.link.publish(1, MqttMessage(bench.topic("event"), b"here"))
    bench.ear.wait("acknowledged")
    said = bench.command("do")
    bench.send(bench.topic("command"), said)
    assert bench.ear.wait("received") == ("received", bench.topic("command"), said)


def test_commands_wait_for_a_camera_that_is_away(bench: Bench) -> None:
    opened(bench)
    bench.link.publish(1, MqttMessage(bench.topic("event"), b"here"))
    bench.ear.wait("acknowledged")
    bench.link.close(MqttMessage(bench.topic("presence"), b"bye", retain=True))
    heard(bench, b"bye")
    said = bench.command("later")
    bench.send(bench.topic("command"), said)
    bench.link.open(bench.will, (bench.topic("command"),), bench.ear)
    assert bench.ear.wait("received") == ("received", bench.topic("command"), said)


def test_a_farewell_is_the_last_word(bench: Bench) -> None:
    opened(bench)
    bench.link.close(MqttMessage(bench.topic("presence"), b"bye", retain=True))
    heard(bench, b"bye")
    assert b"gone" not in [what[2] for what in bench.watcher.all("received")]


def test_without_a_farewell_the_broker_says_the_will(bench: Bench) -> None:
    opened(bench)
    bench.link.close()
    heard(bench, b"gone")


def test_a_line_that_breaks_is_told_once_and_a_new_one_works(bench: Bench) -> None:
    opened(bench)
    bench.cut()
    assert bench.ear.wait("closed")[1]
    opened_again = Ear()
    opened_again.pump = bench.ear.pump
    bench.link.open(bench.will, (), opened_again)
    opened_again.wait("connected")
    bench.link.publish(7, MqttMessage(bench.topic("event"), b"again"))
    opened_again.wait("acknowledged")
    assert len(bench.ear.all("closed")) == 1


def test_nothing_is_heard_after_close(bench: Bench) -> None:
    opened(bench)
    bench.link.close()
    before = list(bench.ear.heard)
    bench.link.publish(1, MqttMessage(bench.topic("event"), b"nobody"))
    heard(bench, b"gone")
    assert bench.ear.heard == before
