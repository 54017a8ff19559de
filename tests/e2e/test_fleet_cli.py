"""`bwv fleet` and `bwv run` as an operator uses them: processes, a real mosquitto, TLS."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bwv_device import keys
from hal.host import HostEntropy
from hal.mqtt.paho_link import MqttThread
from hal.simulated.slots import SimulatedSlots
from sim.fleet.camera import AGENCY, FleetCamera, fleet_media, fleet_settings
from sim.fleet.realtime_pacing import PacedLoop
from sim.servers.mosquitto import HOST, Mosquitto
from sim.world.test_keys import FOUNDED, BenchAgency
from sim.world.virtual_loop import VirtualLoop

BWV, BWV_SIM = (Path(sys.executable).with_name(name) for name in ("bwv", "bwv-sim"))


class Site:
    """A broker, one simulated camera that knows the time, and people's keys."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.agency = folder, BenchAgency("site")
        self.people: dict[str, Path] = {}
        for role in ("command", "auditor"):
            made = keys.role_files(self.agency.files, f"a {role}", role, HostEntropy(), FOUNDED)
            self.people[role] = folder / f"{role}-key.pem"
            self.people[role].write_bytes(next(iter(made.values())))
            self.people[role].chmod(0o600)
        self.root = folder / "root.pem"
        self.root.write_bytes(self.agency.files[keys.ROOT])
        pems = [path.read_bytes() for path in self.people.values()]
        self.broker = Mosquitto(folder / "broker", self.agency.files, AGENCY, pems)
        self.broker.start()
        self.paced, self.thread = PacedLoop(VirtualLoop()), MqttThread()
        self.camera = FleetCamera(
            "cam-1", self.agency, fleet_settings(2), fleet_media(), self.paced, self.thread,
            self.broker, folder / "cameras", keep=False,
        )  # fmt: skip
        self.camera.world.slots = SimulatedSlots(self.camera.world.disk, "1.0.0")
        self.camera.start(0)
        self._ends = threading.Event()
        self._runner = threading.Thread(
            target=lambda: self.paced.run(3600, over=self._ends.is_set), daemon=True
        )
        self._runner.start()

    def fleet(self, *words: str, role: str = "command") -> subprocess.CompletedProcess[str]:
        verb, *rest = words
        return subprocess.run(
            [BWV, "fleet", verb, *rest, *self.where(role)],
            capture_output=True, text=True, check=False, timeout=90,
        )  # fmt: skip

    def where(self, role: str = "command") -> list[str]:
        return ["--broker", f"{HOST}:{self.broker.ports.operator}", "--agency", AGENCY,
                "--root", str(self.root), "--as", str(self.people[role])]  # fmt: skip

    def close(self) -> None:
        self._ends.set()
        self._runner.join(10)
        self.thread.close()
        self.broker.kill()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    made.close()


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_a_command_is_carried_out_and_answered(site: Site) -> None:
    done = site.fleet("send", "cam-1", "locate", "seconds=1")
    assert done.returncode == 0, done.stderr
    assert answer(done)["outcome"] == "done"
    head = site.fleet("send", "cam-1", "head")
    assert answer(head)["result"]["head"]["device"] == "cam-1"
    diagnostics = site.fleet("send", "cam-1", "diagnostics")
    assert answer(diagnostics)["result"]["config_sha256"] == ""


def test_a_wave_asks_a_camera_and_takes_its_wish_back(site: Site) -> None:
    """Not docked it waits; what it comes to there is told in tests/simulation/test_updates.py."""
    wish = ["1.1.0", "ab" * 32]
    done = site.fleet("update", *wish, "--percent", "100", "--hours", "0.0008")
    assert done.returncode == 0, done.stderr
    assert answer(done)["outcome"] == {"cam-1": "asked"}
    assert "1 chosen of 1: 1 asked" in done.stderr
    again = site.fleet("update", "1.0.0", "cd" * 32, "--percent", "100", "--hours", "0.0008")
    assert answer(again)["outcome"] == {"cam-1": "kept"}, "it runs that already"
    back = site.fleet("update", *wish, "--withdraw")
    assert back.returncode == 0, back.stderr
    assert site.fleet("send", "cam-1", "head").returncode == 0, "commands come in order"
    assert site.camera.world.agent.parts.updates.last == "withdrawn"  # type: ignore[union-attr]
    for digits in ("ab" * 31, "xy" * 32):
        assert "has 64 digits" in site.fleet("update", "1.1.0", digits).stderr
    typo = site.fleet("update", "1.1", "ab" * 32)
    assert typo.returncode == 2
    assert "three numbers with dots between" in typo.stderr


def test_a_refused_command_says_why(site: Site) -> None:
    done = site.fleet("send", "cam-1", "start")
    assert done.returncode == 18
    assert answer(done)["reasons"] == ["policy forbids starting from afar"]


def test_mistakes_get_one_sentence(site: Site, tmp_path: Path) -> None:
    def said(done: subprocess.CompletedProcess[str]) -> tuple[int, str]:
        return done.returncode, done.stderr.strip().splitlines()[-1]

    code, words = said(site.fleet("send", "cam-1", "stop"))
    assert code == 2
    assert "There is no command 'stop'" in words
    code, words = said(site.fleet("send", "cam-1", "locate", "seconds=99"))
    assert (code, "locate takes seconds=" in words) == (2, True)
    code, words = said(site.fleet("send", "cam-1", "mark", role="auditor"))
    assert (code, "Not authorized" in words) == (17, True)
    code, words = said(site.fleet("send", "cam-9", "mark", "--wait", "1"))
    assert (code, "did not answer" in words) == (17, True)
    code, words = said(site.fleet("watch", "--only", "nonsense"))
    assert (code, "choose of" in words) == (2, True)
    nobody = ["--broker", f"{HOST}:1", "--root", str(site.root),
              "--as", str(site.people["command"])]  # fmt: skip
    done = subprocess.run([BWV, "fleet", "watch", *nobody, "--seconds", "1"],
                          capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    assert done.returncode == 17
    assert "refused" in done.stderr
    loose = tmp_path / "loose.pem"
    loose.write_bytes(site.people["command"].read_bytes())
    loose.chmod(0o644)
    done = subprocess.run([BWV, "fleet", "send", "cam-1", "mark", *nobody[:-1], str(loose)],
                          capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    assert (done.returncode, "chmod 600" in done.stderr) == (5, True)


def test_watch_prints_changes_and_keeps_heads(site: Site, tmp_path: Path) -> None:
    done = site.fleet(
        "watch", "--json", "--seconds", "6", "--record", str(tmp_path), role="auditor"
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["device"] for row in rows} == {"cam-1"}
    assert rows[-1]["ledger"] == "consistent"
    assert rows[-1]["online"] is True
    assert rows[-1]["last_seen_s"] < 5
    kept = json.loads((tmp_path / "cam-1.json").read_text())
    assert kept["head"]["device"] == "cam-1"


def test_the_wall_board_shows_the_fleet_to_who_has_the_token(site: Site, tmp_path: Path) -> None:
    command = [BWV, "fleet", "watch", *site.where("auditor"), "--web", "127.0.0.1:0",
               "--token", str(tmp_path / "token"), "--record", str(tmp_path / "heads")]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as board:
        assert board.stderr
        address = re.search(r"http://\S+", board.stderr.readline())
        assert address
        page = httpx2.Client(follow_redirects=True)
        for _ in range(100):
            shown = page.get(address[0]).text
            if "cam-1" in shown:
                break
            threading.Event().wait(0.1)
        assert "consistent" in shown
        stranger = httpx2.get(address[0].partition("?")[0])
        assert stranger.status_code == 401
        board.send_signal(signal.SIGINT)
        assert board.wait(30) == 0


def test_a_port_that_is_taken_is_one_sentence(site: Site, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        done = site.fleet("watch", "--web", at, "--token", str(tmp_path / "token"))
    assert done.returncode == 23
    assert done.stderr.strip().endswith("Choose another port; 0 takes a free one.")


def test_the_table_is_drawn_on_a_terminal(site: Site) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "150", "LINES": "30"}
    with subprocess.Popen(
        [BWV, "fleet", "watch", *site.where("auditor"), "--seconds", "5"],
        stdout=theirs, stderr=theirs, env=environment,
    ) as watch:  # fmt: skip
        os.close(theirs)
        drawn = b""
        while True:
            try:
                block = os.read(ours, 65_536)
            except OSError:
                break
            if not block:
                break
            drawn += block
        assert watch.wait(30) == 0
    os.close(ours)
    text = drawn.decode(errors="replace")
    assert "cam-1" in text
    assert "consistent" in text
    assert "1 cameras" in text


def test_broker_writes_a_configuration_that_mosquitto_takes(tmp_path: Path) -> None:
    def bwv(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BWV, *words], capture_output=True, text=True, check=False, cwd=tmp_path
        )

    assert bwv("keygen", "agency", "--recipient-type", "X25519").returncode == 0
    assert bwv("custody", "enrol", "Ada", "--role", "command", "--agency", "agency").returncode == 0
    words = ["fleet", "broker", "mq", "--keys", "agency", "--host", "broker.example", "--host",
             "127.0.0.1", "--operator", "roles/Ada.command-key.pem",
             "--home-assistant"]  # fmt: skip
    first = bwv(*words)
    assert first.returncode == 0, first.stderr
    key = (tmp_path / "mq" / "broker-key.pem").read_bytes()
    assert bwv(*words).returncode == 0
    assert (tmp_path / "mq" / "broker-key.pem").read_bytes() == key
    assert "user UID=ada,OU=command,CN=Ada\n" in (tmp_path / "mq" / "operators.acl").read_text()
    assert "homeassistant" in (tmp_path / "mq" / "cameras.acl").read_text()
    text = subprocess.run(
        ["openssl", "verify", "-CAfile", "agency/agency-root.pem", "-untrusted",
         "agency/roles-ca.pem", "-verify_hostname", "broker.example", "-purpose", "sslserver",
         "mq/broker.pem"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert "OK" in text.stdout, text.stderr
    assert bwv("fleet", "broker", "x", "--keys", "agency", "--host", "no host").returncode == 5


def test_the_camera_itself_at_a_real_broker(site: Site, tmp_path: Path) -> None:
    """`bwv run` with the simulated board in real time, its outbox and its farewell."""
    files = {**site.agency.files}
    files |= keys.device_files(site.agency.files, "cam-2", HostEntropy(), FOUNDED)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "config.toml").write_text(
        f"""
[device]
agency = "{AGENCY}"
key = "{keys.DEVICE_KEY}"
certificate = "{keys.DEVICE}"
[sealing]
recipient_type = "X25519"
recipients = "{keys.RECIPIENTS}"
[video]
width = 320
height = 240
fps = 10
bitrate_kbps = 300
[dock]
root = "{keys.ROOT}"
[mqtt]
broker = "{HOST}"
port = {site.broker.ports.cameras}
state_s = 1
"""
    )
    watching = subprocess.Popen(
        [BWV, "fleet", "watch", "--json", "--seconds", "10", "--camera", "cam-2",
         *site.where("auditor")],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    run = subprocess.run(
        [BWV, "run", "--config", "config.toml", "--seconds", "4"],
        input="record\n", capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    seen, _ = watching.communicate(timeout=60)
    rows = [json.loads(line) for line in seen.splitlines()]
    assert True in {row["online"] for row in rows}
    assert rows[-1]["online"] is False
    assert rows[-1]["ledger"] == "consistent"
    assert (tmp_path / "outbox.sqlite").exists()


def test_a_camera_whose_keys_can_not_be_used_says_so(site: Site, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[mqtt]\nbroker = "x"\nca = "missing.pem"\n')
    for name, content in keys.device_files(
        site.agency.files, "cam-3", HostEntropy(), FOUNDED
    ).items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    config = (tmp_path / "config.toml").read_text()
    config += f'[device]\nkey = "{keys.DEVICE_KEY}"\ncertificate = "{keys.DEVICE}"\n'
    config += f'[sealing]\nrecipient_type = "X25519"\nrecipients = "{keys.RECIPIENTS}"\n'
    config += f'[dock]\nroot = "{keys.ROOT}"\n'
    (tmp_path / "config.toml").write_text(config)
    for name in (keys.RECIPIENTS, keys.ROOT):
        (tmp_path / name).write_bytes(site.agency.files[name])
    done = subprocess.run(
        [BWV, "run", "--config", "config.toml", "--seconds", "1"],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert done.returncode == 8
    assert "mqtt.ca" in done.stderr
    (tmp_path / keys.DEVICE_KEY).chmod(0o644)
    done = subprocess.run(
        [BWV, "run", "--config", "config.toml", "--seconds", "1"],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert done.returncode == 5
    assert "chmod 640 device-key.pem" in done.stderr


def test_check_says_whether_the_broker_takes_the_camera(site: Site, tmp_path: Path) -> None:
    from dataclasses import replace

    from bwv_device.field_test import broker
    from bwv_device.settings import Settings

    files = keys.device_files(site.agency.files, "cam-4", HostEntropy(), FOUNDED)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    base = Settings()
    settings = replace(
        base,
        device=replace(base.device, key=str(tmp_path / keys.DEVICE_KEY),
                       certificate=str(tmp_path / keys.DEVICE)),
        mqtt=replace(base.mqtt, broker=HOST, port=site.broker.ports.cameras, ca=str(site.root)),
    )  # fmt: skip
    good = broker.look(settings, "cam-4")
    assert (good.status.value, good.measured[:9]) == ("good", "connected")
    away = replace(settings, mqtt=replace(settings.mqtt, port=1))
    poor = broker.look(away, "cam-4")
    assert (poor.status.value, "refused" in poor.measured) == ("poor", True)
    assert broker.look(base, "cam-4").status.value == "not tested"


def test_a_small_fleet_with_a_restart_loses_nothing() -> None:
    done = subprocess.run(
        [BWV_SIM, "fleet", "--devices", "5", "--seconds", "9", "--state-s", "2",
         "--restart-at", "2", "--json"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    figures = json.loads(done.stdout)
    assert (figures["lost"], figures["waiting"], figures["restarts"]) == (0, 0, 1)
    assert figures["connections"] == 10
