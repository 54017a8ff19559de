"""A camera on the virtual rig: `bwv run --board rpi` in a root file system with real libcamera,
picamera2, PortAudio and PyAudio; buttons are words, faults are files.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from material import View, write_scene, write_sound

from bwv_device import keys
from bwv_device.formats.ledger_lines import parse_line
from bwv_device.verification.export import Exported, export
from bwv_device.verification.vault_report import Report, survey, verify

HERE = Path(__file__).parent / "virtual"
ROOT = Path(__file__).parents[2] / ".cache" / "rig-root"
WAIT_S = 60.0

CONFIG = """
[device]
board = "rpi"
vault = "/data/vault"
key = "/data/keys/device-key.pem"
certificate = "/data/keys/device.pem"
[recording]
pre_event_s = {pre_event_s}
pre_event_audio = true
[video]
width = {width}
height = {height}
fps = {fps}
bitrate_kbps = {bitrate_kbps}
overlay = true
[sealing]
recipients = "/data/keys/agency-recipients.txt"
[camera]
interpreter = "/rig/camera-python"
pixel_format = "NV12"
[panel]
factory = "mock"
[power]
gauge = "none"
"""


def units_environment() -> list[str]:
    """With which the unit starts the agent."""
    text = (Path(__file__).parents[2] / "systemd" / "bwv-device.service").read_text()
    lines = [line for line in text.splitlines() if line.startswith("Environment=")]
    return [word for line in lines for word in line.removeprefix("Environment=").split()]


class RigError(Exception):
    """The rig, not the camera, does not do what it should."""


def make_root() -> Path:
    """Built once; says what is missing where it can't be."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise RigError("the virtual rig needs Linux and root: a mount namespace and a chroot")
    done = subprocess.run([HERE / "make-root", ROOT], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RigError(f"make-root: {done.stderr[-2000:]}")
    return ROOT


def read_from_disk_again() -> None:
    """As after a boot. Of a library that was written a moment ago the kernel maps far more than is
    used: 16 MiB over all processes, measured in turns with this."""
    os.sync()
    for folder, _, names in os.walk(ROOT):
        for name in names:
            with contextlib.suppress(OSError):  # a link to nowhere, a file of another's
                file = os.open(Path(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(file)


@dataclass
class Rig:
    """A folder that the camera sees as /data. One at a time runs in it."""

    folder: Path
    view: View = field(default_factory=View)
    pre_event_s: int = 3
    bitrate_kbps: int = 1500
    picamera2: str = ""  # or "oldest"

    def prepare(self) -> None:
        write_scene(self.folder / "scene.nv12", self.view)
        write_sound(self.folder / "microphone.raw")
        (self.folder / "config.toml").write_text(self.config())
        self._bwv("keygen", str(self.folder / "agency"))
        self._bwv("provision", "rig-1", "--agency", str(self.folder / "agency"),
                  "--out", str(self.folder / "keys"))  # fmt: skip

    def config(self) -> str:
        asked = {"pre_event_s": self.pre_event_s, "bitrate_kbps": self.bitrate_kbps}
        return CONFIG.format(**self.view._asdict(), **asked)

    @staticmethod
    def _bwv(*words: str) -> None:
        command = [sys.executable, "-m", "bwv_device", *words]
        subprocess.run(command, check=True, capture_output=True)

    def check(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`bwv check --json`."""
        return subprocess.run(
            [*self._in_root(), "/opt/v/bin/bwv", "check", "--config", "/data/config.toml",
             "--json", *words],
            capture_output=True, text=True, check=False, env=self._environment(),
        )  # fmt: skip

    def _in_root(self) -> list[str]:
        """A command that runs the rest of itself in the rig."""
        rate = f"RIG_FPS={self.view.fps}"
        return [
            str(HERE / "in-root"),
            str(ROOT),
            "env",
            "ALSA_CONFIG_PATH=/rig/asound.conf",
            rate,
            f"RIG_PICAMERA2={self.picamera2}",
            *units_environment(),
        ]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "RIG_BIND": str(self.folder)}

    @contextlib.contextmanager
    def running(self) -> Iterator[Running]:
        """A camera with an empty vault, killed at the end if it has not stopped."""
        shutil.rmtree(self.folder / "vault", ignore_errors=True)
        for name in ("camera-fault", "sound-fault"):
            (self.folder / name).unlink(missing_ok=True)
        process = subprocess.Popen(
            [*self._in_root(), "/opt/v/bin/bwv", "run", "--config", "/data/config.toml"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=self._environment(),
        )  # fmt: skip
        try:
            yield Running(self, process)
        finally:
            process.kill()
            process.wait()

    @property
    def root(self) -> Any:
        return keys.load_certificates(self.folder / "agency" / "agency-root.pem")

    def verify(self) -> Report:
        return verify(self.folder / "vault", self.root)

    def export(self) -> list[Exported]:
        identities = keys.load_identities(self.folder / "agency" / "agency-identity.txt")
        surveyed = survey(self.folder / "vault", self.root)
        return export(surveyed, identities, self.folder / "out").films

    def ledger(self, kind: str | None = None) -> list[dict[str, Any]]:
        files = sorted((self.folder / "vault" / "ledger").glob("*.ledger"))
        raw = [line for file in files for line in file.read_bytes().split(b"\n")[:-1]]
        lines = [parse_line(line).fields for line in raw]
        return [line for line in lines if kind in (None, line["kind"])]


class Running:
    """A camera that runs."""

    def __init__(self, rig: Rig, process: subprocess.Popen[str]) -> None:
        self.rig, self.process = rig, process
        self.said: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.said.extend(self.process.stdout)

    def type(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def fault(self, part: str, word: str) -> None:
        """`part` is "camera" or "sound"; no word ends it."""
        path = self.rig.folder / f"{part}-fault"
        path.write_text(word) if word else path.unlink()

    def signal(self, module: str, number: int) -> None:
        """To the camera's process that runs a module."""
        os.kill(self.pid_of(module), number)

    def pid_of(self, module: str) -> int:
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes()
                if module.encode() in words and self._ours(int(entry.name)):
                    return int(entry.name)
        raise RigError(f"no process runs {module}")

    def family(self) -> dict[str, int]:
        """The camera's own processes by what they run: "agent", or a module of ours."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                if not self._ours(int(entry.name)) or "python" not in words.split("\0")[0]:
                    continue
                _, child, module = words.partition("run('")
                found[module.partition("'")[0] if child else "agent"] = int(entry.name)
        return found

    def _ours(self, pid: int) -> bool:
        while pid > 1:
            if pid == self.process.pid:
                return True
            text = Path(f"/proc/{pid}/stat").read_text()
            pid = int(text.rpartition(")")[2].split()[1])
        return False

    def wait_for_word(self, word: str) -> None:
        self.wait_until(lambda: any(word in line for line in self.said), word)

    def wait_for_line(self, behind: int = 0, **fields: Any) -> dict[str, Any]:
        """A ledger line with these fields, behind so many."""

        def found() -> list[dict[str, Any]]:
            lines = self.rig.ledger()[behind:]
            return [line for line in lines if fields.items() <= line.items()]

        self.wait_until(lambda: bool(found()), str(fields))
        return found()[-1]

    def wait_for_footage(self, more_s: float) -> None:
        """So much more is durable, judged by bytes and the bitrate asked for."""
        wanted = self._footage() + more_s * self.rig.bitrate_kbps * 1000 / 8 * 0.5
        self.wait_until(lambda: self._footage() >= wanted, f"{more_s} s of footage")

    def _footage(self) -> int:
        folder = self.rig.folder / "vault" / "footage"
        return sum(path.stat().st_size for path in folder.glob("*")) if folder.exists() else 0

    def wait_until(self, true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not true():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RigError(f"in vain: {what}\n" + "".join(self.said[-20:]))
            threading.Event().wait(0.05)

    def finish(self) -> int:
        """Ctrl-C, and the exit code."""
        os.kill(self.pid_of("/opt/v/bin/bwv"), signal.SIGINT)
        return self.process.wait(WAIT_S)
