"""A listener that tests can wait at, and a real broker with everybody who may use it."""

from __future__ import annotations

import datetime
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from bwv_device import keys
from bwv_device.backends.broker_process import BrokerProcess
from hal.host import HostEntropy
from hal.mqtt.paho_link import Broker, MqttThread, PahoLink, tls_context
from sim.servers.mosquitto import HOST, Mosquitto
from sim.world.test_keys import BenchAgency

PATIENCE_S = 20.0
AGENCY = "example-agency"
NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


class Ear:
    """Everything it heard, in order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.heard: list[tuple[object, ...]] = []
        self.pump: Callable[[], None] = lambda: None

    def connected(self) -> None:
        self._hear("connected")

    def acknowledged(self, token: int) -> None:
        self._hear("acknowledged", token)

    def refused(self, token: int, reason: str, *, final: bool) -> None:
        self._hear("refused", token, reason, final)

    def received(self, topic: str, payload: bytes) -> None:
        self._hear("received", topic, payload)

    def sifted_out(self, reason: str, count: int) -> None:
        self._hear("sifted_out", reason, count)

    def closed(self, reason: str) -> None:
        self._hear("closed", reason)

    def _hear(self, *what: object) -> None:
        with self._changed:
            self.heard.append(what)
            self._changed.notify_all()

    def all(self, kind: str) -> list[tuple[object, ...]]:
        with self._changed:
            return [what for what in self.heard if what[0] == kind]

    def wait(self, kind: str, count: int = 1) -> tuple[object, ...]:
        """The last of so many. Fails the test after a while."""
        self.pump()
        with self._changed:
            came = self._changed.wait_for(lambda: len(self._of(kind)) >= count, PATIENCE_S)
            assert came, f"no {kind!r} in {PATIENCE_S} s; heard {self.heard}"
            return self._of(kind)[count - 1]

    def _of(self, kind: str) -> list[tuple[object, ...]]:
        return [what for what in self.heard if what[0] == kind]


class Desk:
    """A real broker, an agency, its cameras and people."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.agency = BenchAgency("desk")
        self.stranger = BenchAgency("stranger")
        self._role_files = {role: self._role(self.agency, role) for role in ("command", "auditor")}
        self.broker = Mosquitto(
            folder / "broker",
            self.agency.files,
            AGENCY,
            list(self._role_files.values()),
            home_assistant=True,
        )
        self.thread = MqttThread()

    def _role(self, agency: BenchAgency, role: str) -> bytes:
        made = keys.role_files(agency.files, f"a {role}", role, HostEntropy(), NOW)
        return next(iter(made.values()))

    def role(self, role: str) -> bytes:
        return self._role_files[role]

    def camera(
        self, name: str, agency: BenchAgency | None = None, port: int = 0, client: str = ""
    ) -> PahoLink:
        files = keys.device_files((agency or self.agency).files, name, HostEntropy(), NOW)
        tls = self.tls(files[keys.DEVICE], files[keys.DEVICE_KEY])
        return self.link(tls, client or name, port or self.broker.ports.cameras)

    def camera_process(self, name: str) -> BrokerProcess:
        """The same camera's line, as `bwv run` has it."""
        files = keys.device_files(self.agency.files, name, HostEntropy(), NOW)
        chain, private = self.folder / f"{name}.pem", self.folder / f"{name}-key.pem"
        chain.write_bytes(files[keys.DEVICE])
        private.write_bytes(files[keys.DEVICE_KEY])
        about = {"device": name, "broker": Broker(HOST, self.broker.ports.cameras, name),
                 "ca": str(self.broker.root), "certificate": str(chain), "key": str(private),
                 "root": str(self.broker.root)}  # fmt: skip
        return BrokerProcess(about)

    def person(self, role: str, client: str, port: int = 0) -> PahoLink:
        pem = self._role_files[role]
        return self.link(self.tls(pem, pem), client, port or self.broker.ports.operator)

    def link(self, tls: ssl.SSLContext | None, client: str, port: int) -> PahoLink:
        return PahoLink(self.thread, Broker(HOST, port, client), tls)

    def tls(self, certificate: bytes, key: bytes) -> ssl.SSLContext:
        chain, private = self.folder / "client.pem", self.folder / "client-key.pem"
        chain.write_bytes(certificate)
        private.write_bytes(key)
        return tls_context(self.broker.root, chain, private)

    def close(self) -> None:
        self.thread.close()
        self.broker.kill()
