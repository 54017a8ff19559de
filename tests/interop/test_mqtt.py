"""The real broker with the rights that `bwv fleet broker` gives: who may do what, and who nothing.
And paho against brokers that are hostile."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.camera_bench import make_camera
from support.mqtt_clients import AGENCY, Desk, Ear
from support.signed_commands import fields, person, signed

from bwv_device import keys
from bwv_device.fleet.asyncapi import document
from hal.host import HostEntropy
from hal.mqtt.paho_link import Broker, MqttThread, PahoLink
from hal.ports import MqttMessage
from sim.servers.mosquitto import HOST
from sim.world.test_keys import FOUNDED, BenchAgency

ASYNCAPI = Path(__file__).parents[2] / "docs" / "asyncapi.json"
WILL = MqttMessage(f"bwv/v1/{AGENCY}/nobody/presence", b"will", retain=True)
Open = Callable[..., Ear]


@pytest.fixture
def opened(desk: Desk) -> Iterator[Open]:
    links: list[PahoLink] = []

    def one(link: PahoLink, *subscriptions: str, will: MqttMessage | None = None) -> Ear:
        ear = Ear()
        links.append(link)
        link.open(will, subscriptions, ear)
        return ear

    yield one
    for link in links:
        link.close()


def topic(device: str, leaf: str) -> str:
    return f"bwv/v1/{AGENCY}/{device}/{leaf}"


# --- rights ------------------------------------------------------------------------------------


def test_a_camera_writes_its_own_topics_and_no_others(desk: Desk, opened: Open) -> None:
    eyes = opened(desk.person("auditor", "acl-eyes"), f"bwv/v1/{AGENCY}/#")
    eyes.wait("connected")
    link = desk.camera("cam-a")
    ear = opened(link)
    ear.wait("connected")
    allowed = [topic("cam-a", leaf) for leaf in
               ("presence", "identity", "state", "health", "event", "reply")]  # fmt: skip
    allowed.append("homeassistant/device/cam-a/config")
    for token, name in enumerate(allowed):
        link.publish(token, MqttMessage(name, b"mine"))
    ear.wait("acknowledged", len(allowed))
    forbidden = [
        topic("cam-b", "state"), topic("cam-b", "presence"), topic("cam-b", "command"),
        topic("cam-a", "command"), topic("cam-a", "other"), topic("cam-a", "state/deeper"),
        "bwv/v1/another-agency/cam-a/state", "homeassistant/device/cam-b/config", "other",
        f"$share/g/{topic('cam-a', 'state')}", "$SYS/broker/version",
    ]  # fmt: skip
    for token, name in enumerate(forbidden, 100):
        link.publish(token, MqttMessage(name, b"not mine"))
    # Wild topics may end the line; all others are answered one by one.
    while not ear.all("closed") and len(ear.all("refused")) < len(forbidden):
        ear.wait("refused", len(ear.all("refused")) + 1)
    said = {what[2] for what in eyes.all("received")}
    assert b"not mine" not in said
    assert not [what for what in ear.all("acknowledged") if int(str(what[1])) >= 100]


def test_a_camera_hears_its_own_commands_and_nobody_elses(desk: Desk, opened: Open) -> None:
    wanted = [topic("cam-c", "command"), topic("cam-d", "command"), topic("cam-d", "state"),
              f"bwv/v1/{AGENCY}/+/state", "#", "$SYS/#"]  # fmt: skip
    ear = opened(desk.camera("cam-c"), *wanted)
    other_link = desk.camera("cam-d")
    other = opened(other_link, topic("cam-d", "command"))
    teller = desk.person("command", "acl-teller")
    told = opened(teller)
    for one in (ear, other, told):
        one.wait("connected")
    other_link.publish(1, MqttMessage(topic("cam-d", "state"), b"state of d", retain=True))
    other.wait("acknowledged")
    teller.publish(1, MqttMessage(topic("cam-d", "command"), b"for d"))
    other.wait("received")
    teller.publish(2, MqttMessage(topic("cam-c", "command"), b"for c"))
    ear.wait("received")
    # Twice, where two of its filters match.
    assert {what[1:] for what in ear.all("received")} == {(topic("cam-c", "command"), b"for c")}


def test_only_the_role_command_may_write_commands(desk: Desk, opened: Open) -> None:
    auditor = desk.person("auditor", "acl-auditor")
    ear = opened(auditor)
    ear.wait("connected")
    auditor.publish(1, MqttMessage(topic("cam-e", "command"), b"do"))
    assert ear.wait("refused")[2:] == ("Not authorized", True)
    auditor.publish(2, MqttMessage(topic("cam-e", "state"), b"forged"))
    ear.wait("refused", 2)


def test_a_camera_is_nobody_at_the_desks_port(desk: Desk, opened: Open) -> None:
    link = desk.camera("cam-f", port=desk.broker.ports.operator)
    ear = opened(link, f"bwv/v1/{AGENCY}/#")
    ear.wait("connected")
    link.publish(1, MqttMessage(topic("cam-f", "state"), b"here"))
    ear.wait("refused")
    assert not ear.all("received")


def test_a_camera_can_not_push_another_off(desk: Desk, opened: Open) -> None:
    """The client id is the certificate's name, whatever a client calls itself."""
    first_link = desk.camera("cam-g")
    first = opened(first_link)
    first.wait("connected")
    thief_link = desk.camera("cam-h", client="cam-g")
    thief = opened(thief_link)
    thief.wait("connected")
    first_link.publish(1, MqttMessage(topic("cam-g", "event"), b"still here"))
    first.wait("acknowledged")
    thief_link.publish(1, MqttMessage(topic("cam-g", "event"), b"forged"))
    thief.wait("refused")
    assert not first.all("closed")


def test_strangers_are_refused(desk: Desk, opened: Open) -> None:
    stranger = opened(desk.camera("cam-i", agency=desk.stranger))
    stranger.wait("closed")
    unknown = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unknown.load_verify_locations(desk.broker.root)
    nobody = opened(desk.link(unknown, "cam-i", desk.broker.ports.cameras))
    nobody.wait("closed")
    in_clear = opened(desk.link(None, "cam-i", desk.broker.ports.cameras))
    in_clear.wait("closed")
    assert not [ear for ear in (stranger, nobody, in_clear) if ear.all("connected")]


def test_a_broker_of_another_agency_is_refused(desk: Desk, opened: Open, tmp_path: Path) -> None:
    """And one whose certificate names another host."""
    files = keys.device_files(desk.stranger.files, "cam-j", HostEntropy(), FOUNDED)
    for name in (keys.DEVICE, keys.DEVICE_KEY):
        (tmp_path / name).write_bytes(files[name])
    (tmp_path / "root.pem").write_bytes(desk.stranger.files[keys.ROOT])
    from hal.mqtt.paho_link import tls_context

    tls = tls_context(tmp_path / "root.pem", tmp_path / keys.DEVICE, tmp_path / keys.DEVICE_KEY)
    ear = opened(desk.link(tls, "cam-j", desk.broker.ports.cameras))
    assert "not trusted" in str(ear.wait("closed")[1])
    ours = desk.tls(*desk_pair(desk, "cam-j"))
    elsewhere = PahoLink(desk.thread, Broker("localhost", desk.broker.ports.cameras, "cam-j"), ours)
    assert "not trusted" in str(opened(elsewhere).wait("closed")[1])


def desk_pair(desk: Desk, name: str) -> tuple[bytes, bytes]:
    files = keys.device_files(desk.agency.files, name, HostEntropy(), FOUNDED)
    return files[keys.DEVICE], files[keys.DEVICE_KEY]


def test_openssl_agrees_that_a_client_must_show_a_certificate(desk: Desk) -> None:
    command = ["openssl", "s_client", "-connect", f"{HOST}:{desk.broker.ports.cameras}",
               "-CAfile", str(desk.broker.root), "-verify_return_error", "-tls1_2"]  # fmt: skip
    done = subprocess.run(command, input=b"", capture_output=True, timeout=20, check=False)
    assert b"Verify return code: 0 (ok)" in done.stdout
    assert b"alert" in done.stderr or b"Acceptable client certificate CA names" in done.stdout


def test_a_look_takes_no_command_away(desk: Desk, opened: Open) -> None:
    link = desk.camera("cam-n")
    ear = opened(link, topic("cam-n", "command"))
    ear.wait("connected")
    link.publish(1, MqttMessage(topic("cam-n", "event"), b"subscribed"))
    ear.wait("acknowledged")
    link.close(MqttMessage(topic("cam-n", "presence"), b"bye"))
    teller = desk.person("command", "look-teller")
    told = opened(teller, topic("cam-n", "presence"))
    told.wait("connected")
    teller.publish(1, MqttMessage(topic("cam-n", "command"), b"waits"))
    told.wait("acknowledged")
    tls = desk.tls(*desk_pair(desk, "cam-n"))
    port = desk.broker.ports.cameras
    look = PahoLink(desk.thread, Broker(HOST, port, "cam-n", acknowledges=False), tls)
    looked = opened(look)
    looked.wait("received")
    look.close()
    again = opened(desk.camera("cam-n"), topic("cam-n", "command"))
    assert again.wait("received")[2] == b"waits"


# --- a line that only seems to live ------------------------------------------------------------


def test_a_frozen_broker_acknowledges_nothing_and_a_thawed_one_everything(
    desk: Desk, opened: Open
) -> None:
    link = desk.camera("cam-k")
    ear = opened(link)
    ear.wait("connected")
    desk.broker.freeze(True)
    try:
        for token in range(1, 17):
            link.publish(token, MqttMessage(topic("cam-k", "event"), b"x" * 1000))
        assert not ear.all("acknowledged")
    finally:
        desk.broker.freeze(False)
    ear.wait("acknowledged", 16)


class Hostile:
    """A TCP server that says what it likes."""

    def __init__(self, *says: bytes) -> None:
        self._server = socket.create_server((HOST, 0))
        self.port = self._server.getsockname()[1]
        self._says = says
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        with connection, contextlib.suppress(ConnectionResetError):
            for said in self._says:
                connection.recv(65_536)
                connection.sendall(said)
            while connection.recv(65_536):
                pass


CONNACK = bytes([0x20, 3, 0, 0, 0])


class Busy:
    """A broker that writes whenever it reads, as one does that acknowledges: what it reads after
    its first failing write, it has not read."""

    def __init__(self) -> None:
        self._server = socket.create_server((HOST, 0))
        self.port = self._server.getsockname()[1]
        self.heard = b""
        self.over = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            connection.sendall(CONNACK)
            while data := connection.recv(1):  # as slowly as a loaded machine
                self.heard += data
                connection.sendall(bytes([0xD0, 0]) * 500)  # PINGRESP: the camera need not read it
        self.over.set()


def test_a_farewell_is_read_by_a_broker_that_is_still_writing() -> None:
    """Without lingering, closing the socket with something unread in it resets the connection:
    the broker's next write fails, and DISCONNECT behind the farewell is never read."""
    busy, thread, ear = Busy(), MqttThread(), Ear()
    link = PahoLink(thread, Broker(HOST, busy.port, "cam-x", keepalive_s=60), None)
    link.open(WILL, (), ear)
    ear.wait("connected")
    link.close(MqttMessage(WILL.topic, b"farewell " * 20, retain=True))
    thread.close(patience_s=20)
    assert busy.over.wait(20)
    assert b"farewell" in busy.heard
    assert busy.heard.endswith(bytes([0xE0, 0])), "DISCONNECT was lost"


HOSTILE = {
    "an HTTP server": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a packet of 256 MB": CONNACK + bytes([0x30, 0xFF, 0xFF, 0xFF, 0x7F]),
    "a length without end": CONNACK + bytes([0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
    "a packet type that is none": CONNACK + bytes([0xF0 | 0x0F, 2, 0, 0]),
    "a PUBACK for nothing": CONNACK + bytes([0x40, 2, 0x12, 0x34]) + bytes([0xE0, 0]),
    "a topic that is no UTF-8": CONNACK + b"\x30\x06\x00\x02\xff\xfe\x00\x01\xe0\x00",
    "a PUBLISH that is cut off": CONNACK + bytes([0x32, 3, 0, 9, 65]) + bytes([0xE0, 0]),
    "properties that lie": CONNACK + bytes([0x30, 5, 0, 1, 65, 0x7F, 0]) + bytes([0xE0, 0]),
    "QoS 2": CONNACK + bytes([0x34, 6, 0, 1, 65, 0, 1, 0]),
    "refused": bytes([0x20, 3, 0, 0x86, 0]),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(HOSTILE))
def test_a_hostile_broker_ends_a_connection_and_not_the_thread(what: str, desk: Desk) -> None:
    """The same thread serves a good broker afterwards."""
    thread = MqttThread()
    hostile = Hostile(HOSTILE[what])
    link = PahoLink(thread, Broker(HOST, hostile.port, "cam-x", keepalive_s=5), None)
    ear = Ear()
    link.open(WILL, ("bwv/v1/a/b/command",), ear)
    assert ear.wait("closed")[1]
    assert not ear.all("received")
    good_ear = Ear()
    good = PahoLink(
        thread,
        Broker(HOST, desk.broker.ports.cameras, "cam-l"),
        desk.tls(*desk_pair(desk, "cam-l")),
    )
    good.open(None, (), good_ear)
    good_ear.wait("connected")
    thread.close()


def test_an_exception_in_a_listener_does_not_pass_unseen(desk: Desk) -> None:
    """paho's own threads die of it and go on claiming to be connected; ours ends the line."""
    link = desk.camera("cam-m")

    class Broken(Ear):
        def acknowledged(self, token: int) -> None:
            raise RuntimeError("a bug in a callback")

    ear = Broken()
    link.open(None, (), ear)
    ear.wait("connected")
    link.publish(1, MqttMessage(topic("cam-m", "event"), b"x"))
    assert "a bug in a callback" in str(ear.wait("closed")[1])
    again = Ear()
    link.open(None, (), again)
    again.wait("connected")
    link.close()


def test_a_listener_that_raises_when_it_is_told_the_end_takes_nothing_with_it(desk: Desk) -> None:
    thread = MqttThread()
    hostile = Hostile(HOSTILE["an HTTP server"])

    class Broken(Ear):
        def sifted_out(self, reason: str, count: int) -> None: ...

        def closed(self, reason: str) -> None:
            super().closed(reason)
            raise RuntimeError("a bug in a listener")

    ear = Broken()
    broken = PahoLink(thread, Broker(HOST, hostile.port, "cam-x", keepalive_s=5), None)
    broken.open(WILL, (), ear)
    ear.wait("closed")
    tls = desk.tls(*desk_pair(desk, "cam-o"))
    good, good_ear = PahoLink(thread, Broker(HOST, desk.broker.ports.cameras, "cam-o"), tls), Ear()
    good.open(None, (), good_ear)
    good_ear.wait("connected")
    thread.close()


# --- the document ------------------------------------------------------------------------------


def test_the_document_in_the_tree_is_what_the_classes_say() -> None:
    assert json.loads(ASYNCAPI.read_text()) == document(), "bwv fleet schema > docs/asyncapi.json"


def test_the_document_is_asyncapi_3(tools: Path) -> None:
    """By AsyncAPI's own schema."""
    schema = json.loads(
        (tools / "node_modules/@asyncapi/specs/schemas/3.0.0.json").read_text(encoding="utf-8")
    )
    jsonschema.Draft7Validator(schema).validate(document())
    broken = document()
    broken["channels"]["state"]["address"] = 7
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(broken)


@contextmanager
def judge() -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """Validates payloads by the document, with nothing of ours."""
    whole = document()

    def check(leaf: str, said: dict[str, Any]) -> None:
        payload = whole["components"]["messages"][leaf]["payload"]
        strict = {**payload, "components": whole["components"]}
        jsonschema.Draft202012Validator(strict).validate(said)

    yield check


def test_every_message_of_a_shift_is_as_the_document_says(agency: BenchAgency) -> None:
    it = make_camera(agency, mqtt={"broker": "bench"}, policy={"remote_start": True})
    it.run(seconds=2)
    names = ("start", "mark", "hold", "locate", "assign", "head", "diagnostics")
    for counter, name in enumerate(names, 1):
        it.broker.send(
            "bwv/v1/example-agency/bench-camera-1/command",
            signed(person(agency), fields(counter, name)),
        )
        it.run(seconds=2)
    it.hold_record()
    it.run(seconds=4)
    it.power.set(8)
    it.run(seconds=20)
    it.put_in_dock(True)
    it.run(seconds=400)
    seen: dict[str, int] = {}
    with judge() as check:
        for message in it.broker.messages:
            leaf = message.topic.rpartition("/")[2]
            seen[leaf] = seen.get(leaf, 0) + 1
            if leaf != "identity":
                check(leaf, json.loads(message.payload))
        with pytest.raises(jsonschema.ValidationError):
            check("state", {"boot": -1})
    assert seen["reply"] == len(names)
    assert {"presence", "identity", "state", "health", "event", "reply"} <= seen.keys()
