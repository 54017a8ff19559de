"""The owner of the broker floods a recording camera, on a machine that has other work on each core.

A real mosquitto with TLS, `bwv run` in real time, and somebody with a certificate that may write to
the camera's command topic. Beside it a camera that nobody floods, for comparison.

python -m benchmarks.floods [SECONDS]
"""

from __future__ import annotations

import datetime
import json
import multiprocessing
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bwv_device import keys
from bwv_device.verification.export import export
from bwv_device.verification.vault_report import survey
from hal.host import HostEntropy
from hal.mqtt.paho_link import Broker, MqttThread, PahoLink, tls_context
from hal.ports import MqttMessage
from sim.servers.mosquitto import HOST, Mosquitto
from sim.world.test_keys import BenchAgency

NAME, AGENCY = "cam-flood", "example-agency"
TOPIC = f"bwv/v1/{AGENCY}/{NAME}/command"
RATES = (0, 5, 50, 500)
LONGEST = 16_384
COMMAND_EVERY_S, ANSWER_S, START_S, SETTLE_S = 10.0, 10.0, 40.0, 8.0
UNDER_WAY, FPS = 200, 30
CONFIG = """
[device]
vault = "vault"
[recording]
pre_event_s = 5
[video]
width = 640
height = 360
bitrate_kbps = 1000
[mqtt]
broker = "{host}"
port = {port}
"""
# Beginnings that were or could be dear to parse; each is filled up to the longest message.
BEGINNINGS = (b'{"a":"' + b'\\"' * 9, b"[" * 9, b'{"a":' * 9, b'{"a":[1,1,1,1', b"\xff\x00" * 5,
              b'{"certificate":"-----BEGIN CERTIFICATE-----\\n', b"")  # fmt: skip
BWV = Path(sys.executable).with_name("bwv")


class Flooded(NamedTuple):
    """One flood and what it did."""

    rate: int
    sent: int
    gaps: int
    pictures: int
    answered: int
    asked: int
    slowest_s: float
    problems: list[str]

    @property
    def counts(self) -> dict[str, int]:
        return {"messages": self.sent, "pictures": self.pictures, "gaps": self.gaps,
                "commands": self.asked, "answered": self.answered}  # fmt: skip

    def __str__(self) -> str:
        return (
            f"{self.rate} a second: {self.sent} messages, {self.pictures} pictures, {self.gaps} "
            f"gaps meanwhile, {self.answered} of {self.asked} commands answered, the slowest after "
            f"{self.slowest_s:.1f} s; {len(self.problems)} problems"
        )


class Scene:
    """A broker, an agency's keys, and a camera's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.agency = BenchAgency("flooded", recipient_type="mlkem768x25519")
        now = datetime.datetime.now(datetime.UTC)
        made = keys.role_files(self.agency.files, "a desk", "command", HostEntropy(), now)
        self.person = folder / "command.pem"
        self.person.write_bytes(next(iter(made.values())))
        self.person.chmod(0o600)
        self.broker = Mosquitto(
            folder / "broker", self.agency.files, AGENCY, [self.person.read_bytes()]
        )
        (folder / "keys").mkdir(mode=0o700)
        files = keys.device_files(self.agency.files, NAME, HostEntropy(), now)
        for name in (keys.ROOT, keys.RECIPIENTS):
            files[name] = self.agency.files[name]
        for name, content in files.items():
            (folder / "keys" / name).write_bytes(content)
            (folder / "keys" / name).chmod(0o600)
        self.broker.start()
        text = CONFIG.format(host=HOST, port=self.broker.ports.cameras)
        (folder / "config.toml").write_text(text)

    def tls(self) -> ssl.SSLContext:
        return tls_context(self.broker.root, self.person, self.person)

    def send(self, *words: str) -> tuple[bool, float]:
        """Whether a command was judged and answered, and after how long. On a machine whose clock
        is not synchronized a camera refuses every command, and says so."""
        where = ["--broker", f"{HOST}:{self.broker.ports.operator}", "--agency", AGENCY,
                 "--root", str(self.broker.root), "--as", str(self.person)]  # fmt: skip
        began = time.monotonic()
        done = subprocess.run(
            [BWV, "fleet", "send", NAME, *words, "--wait", str(int(ANSWER_S)), *where],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        took_s = time.monotonic() - began
        if done.returncode not in (0, 18):
            return False, took_s
        answer = json.loads(done.stdout)
        return answer["outcome"] == "done" or answer["reasons"] == ["no clock"], took_s


def run(rate: int, seconds: float) -> Flooded:
    """One recording of so many seconds, flooded all the while."""
    with tempfile.TemporaryDirectory() as name, _loaded():
        scene = Scene(Path(name))
        try:
            return _flooded(scene, rate, seconds)
        finally:
            scene.broker.kill()


def _flooded(scene: Scene, rate: int, seconds: float) -> Flooded:
    camera = _CameraProcess(scene.folder)
    with camera:
        camera.until("ready → recording", lambda: camera.say("record"))
        time.sleep(SETTLE_S)
        before = len(camera.lines)
        ends = threading.Event()
        flooder = _Flooder()
        flood = threading.Thread(target=_flood, args=(scene, rate, ends, flooder), daemon=True)
        flood.start()
        answers = list(_commands(scene, seconds))
        ends.set()
        flood.join()
        problems, gaps = camera.problems(before)
        camera.say("stop")
        camera.until("post-event → ready")
    opened = scene.folder / "out"
    report, films, _ = export(
        survey(scene.folder / "vault", [scene.agency.root]), scene.agency.identities, opened
    )
    wanted = seconds * rate
    if flooder.taken < 0.9 * wanted:
        problems.append(f"a flood of {flooder.taken} messages, not of {wanted:.0f}")
    for film in films:
        due = film.duration_ms * FPS / 1000
        if film.video_units < due - 2:
            problems.append(f"{film.video_units} pictures where there should be {due:.0f}")
    problems += [] if report.complete else [f"the vault: {report.problems} {report.remarks}"]
    slow = [took_s for ok, took_s in answers if not ok or took_s > ANSWER_S]
    problems += [f"a command was not answered within {ANSWER_S} s: {s:.1f}" for s in slow]
    return Flooded(
        rate,
        flooder.taken,
        gaps,
        sum(film.video_units for film in films),
        sum(ok for ok, _ in answers),
        len(answers),
        max(took_s for _, took_s in answers),
        problems,
    )


def _flood(scene: Scene, rate: int, ends: threading.Event, flooder: _Flooder) -> None:
    """Messages at a steady rate, as many as the broker takes."""
    if not rate:
        return
    thread = MqttThread()
    link = PahoLink(thread, Broker(HOST, scene.broker.ports.operator, "flooder"), scene.tls())
    link.open(None, (), flooder)
    began, sent = time.monotonic(), 0
    while not ends.wait(0.005):
        due = int((time.monotonic() - began) * rate)
        for number in range(sent, min(due, sent + 50, flooder.taken + UNDER_WAY)):
            link.publish(number + 1, MqttMessage(TOPIC, _message(number)))
            sent = number + 1
    link.close()
    thread.close()


def _message(number: int) -> bytes:
    start = BEGINNINGS[number % len(BEGINNINGS)]
    return (start * (LONGEST // max(1, len(start)) + 1) or os.urandom(LONGEST))[:LONGEST]


class _Flooder:
    """Counts what the broker took."""

    taken = 0

    def connected(self) -> None: ...
    def acknowledged(self, token: int) -> None:
        self.taken += 1

    def refused(self, token: int, reason: str, *, final: bool) -> None: ...
    def received(self, topic: str, payload: bytes) -> None: ...
    def sifted_out(self, reason: str, count: int) -> None: ...
    def closed(self, reason: str) -> None: ...


def _commands(scene: Scene, seconds: float) -> Iterator[tuple[bool, float]]:
    """One of the right signer every few seconds."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        yield scene.send("mark")
        rest_s = min(COMMAND_EVERY_S, seconds) - (time.monotonic() - began - passed)
        time.sleep(max(0.0, rest_s))


class _CameraProcess:
    """`bwv run`, and what it prints."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.lines: list[str] = []
        self._came = threading.Condition()

    def __enter__(self) -> _CameraProcess:
        self._process = subprocess.Popen(
            [BWV, "run", "--config", "config.toml", "--seconds", "600"],
            cwd=self._folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def until(self, words: str, again: Callable[[], None] = lambda: None) -> None:
        """Until a line has these words; what starts it may have to be said again. Raises
        `TimeoutError`."""
        end_s = time.monotonic() + START_S
        while not any(words in line for line in self.lines):
            if time.monotonic() > end_s:
                raise TimeoutError(f"no {words!r} in {self.lines[-5:]}")
            again()
            with self._came:
                self._came.wait(1.5)

    def problems(self, since: int) -> tuple[list[str], int]:
        """What the red light showed but that it records, faults, and how many gaps."""
        lights = [line for line in self.lines if "red light: " in line]
        wrong = [line for line in self.lines[since:] if "red light: " in line or "FAULT" in line]
        if not lights or not lights[-1].endswith("red light: recording\n"):
            wrong.append("the red light does not say that it records")
        return wrong, sum("GAP" in line for line in self.lines[since:])

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._came:
                self.lines.append(line)
                self._came.notify_all()


@contextmanager
def _loaded() -> Iterator[None]:
    """A busy process for each core."""
    busy = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(os.cpu_count() or 1)]
    for process in busy:
        process.start()
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.join()


def _spin() -> None:
    number: Any = 0
    while True:
        number = (number * 31 + 7) % 1_000_003


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    bad = 0
    for rate in RATES:
        done = run(rate, seconds)
        print(done, *done.problems, sep="\n  ", flush=True)
        bad += bool(done.problems or done.gaps)
    sys.exit(bad)


if __name__ == "__main__":
    main()
