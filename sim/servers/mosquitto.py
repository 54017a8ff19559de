"""mosquitto on loopback, with an agency's keys: the real broker of tests and `make fleet`."""

from __future__ import annotations

import copy
import datetime
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bwv_device import keys
from bwv_device.errors import MissingPartError
from bwv_device.fleet import mosquitto_config
from bwv_device.fleet.mosquitto_config import Ports
from hal.host import HostEntropy

HOST = "127.0.0.1"
READY_S, STOP_S = 20, 10


class Mosquitto:
    """One broker in `folder`. `agency` are an agency's key files, `people` role files whose
    certificates may use the operators' listener."""

    def __init__(
        self,
        folder: Path,
        agency: Mapping[str, bytes],
        name: str,
        people: Sequence[bytes] = (),
        *,
        home_assistant: bool = False,
    ) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = Ports(*_free_ports())
        now = datetime.datetime.now(datetime.UTC)
        for file, content in keys.broker_files(agency, [HOST], HostEntropy(), now).items():
            (self.folder / file).write_bytes(content)
        self.root = self.folder / keys.ROOT
        self.root.write_bytes(agency[keys.ROOT])
        # As root it would become another user, who reads none of this.
        certificates = [keys.parse_certificates(pem, "desk")[0] for pem in people]
        mosquitto_config.write(
            self.folder, self.root, name, certificates, self.ports, HOST,
            home_assistant=home_assistant,
        )  # fmt: skip
        if os.geteuid() == 0:
            with (self.folder / "mosquitto.conf").open("a") as configuration:
                configuration.write("user root\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """On the same ports and data as before. Raises `MissingPartError`."""
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [_program(), "-c", str(self.folder / "mosquitto.conf")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until_s = time.monotonic() + READY_S
        while not all(_listens(port) for port in self.ports):
            if self._process.poll() is not None or time.monotonic() > until_s:
                said = (self.folder / "mosquitto.log").read_text()[-500:]
                raise MissingPartError(f"mosquitto does not start: {said}", "See its log.")
            time.sleep(0.02)

    def kill(self) -> None:
        """At once; what it had in memory is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In order: it saves what it holds."""
        self._end(signal.SIGTERM)

    def freeze(self, on: bool) -> None:
        """It stops answering while its connections stand."""
        if self._process:
            self._process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def without_process(self) -> Mosquitto:
        """The same for another process: where it is, and by what it is known."""
        other = copy.copy(self)
        other._process = None
        return other

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
            process.wait(STOP_S)


def _program() -> str:
    # Debian keeps daemons where not every user's PATH leads.
    found = shutil.which(
        "mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    )
    if found is None:
        raise MissingPartError("mosquitto is not installed.", "apt-get install mosquitto")
    return found


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind((HOST, 0))
        second.bind((HOST, 0))
        return first.getsockname()[1], second.getsockname()[1]
