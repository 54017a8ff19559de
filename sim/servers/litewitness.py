"""litewitness, a witness that nobody here wrote (Debian's package torchwood): a process, its key in
an ssh-agent."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from bwv_device.verification.tlog.signed_note import VerifierKey

STARTS_WITHIN_S = 20.0
NAME = "witness.example/lite"


class LiteWitness:
    """Runs in `folder` for the logs that it is told of."""

    def __init__(self, tools: Path, folder: Path, log: VerifierKey) -> None:
        self._folder, self._tools = folder, tools
        agent, key = folder / "agent.sock", folder / "key"
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        self._agent = _start("ssh-agent", "-D", "-a", str(agent))
        _until(agent.exists)
        _run("ssh-add", "-q", str(key), SSH_AUTH_SOCK=str(agent))
        fingerprint = _run("ssh-keygen", "-lf", str(key)).split()[1]
        for words in (("add-log",), ("add-key", "-key", str(log))):
            _run(str(tools / "witnessctl"), words[0], "-db", str(folder / "db"), "-origin",
                 log.name, *words[1:])  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self._process = _start(
            str(tools / "litewitness"), "-name", NAME, "-key", fingerprint, "-ssh-agent",
            str(agent), "-db", str(folder / "db"), "-listen", self.url.removeprefix("http://"),
        )  # fmt: skip
        page = ""

        def answers() -> bool:
            nonlocal page
            try:
                with urllib.request.urlopen(self.url, timeout=5) as answer:  # noqa: S310
                    page = answer.read().decode()
            except OSError:
                return False
            return True

        _until(answers)
        found = re.search(rf"{re.escape(NAME)}\+[0-9a-f]{{8}}\+[A-Za-z0-9+/=]+", page)
        if found is None:
            raise RuntimeError(f"litewitness does not say its key: {page[:300]}")
        self.key = VerifierKey.parse(found[0])

    def stop(self) -> None:
        for process in (self._process, self._agent):
            process.terminate()
            process.wait(20)


def _start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603


def _run(*words: str, **environment: str) -> str:
    environment = {**os.environ, **environment}
    done = subprocess.run(  # noqa: S603
        words, capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stderr}")
    return done.stdout


def _until(done: Callable[[], bool]) -> None:
    for _ in range(int(STARTS_WITHIN_S / 0.05)):
        if done():
            return
        time.sleep(0.05)
    raise RuntimeError("litewitness does not start")
