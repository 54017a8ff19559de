"""The example's services, each the real command in a process of its own, on loopback."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from bwv_device.errors import BwvError

ENDS_WITHIN_S = 20


class ServiceError(BwvError):
    """One did not come up."""

    exit_code = 1


class Services:
    """Started one after another, ended in the other order. What they say goes into `<name>.log`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.processes: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str, words: Sequence[str], until: str) -> str:
        """What stands in the first group of `until`, once it says so. Raises `ServiceError`."""
        log = self._folder / f"{name}.log"
        environment = {
            **os.environ, "BWV_PASSPHRASE_FILE": "passphrase", "PYTHONUNBUFFERED": "1",
        }  # fmt: skip
        process = subprocess.Popen(  # noqa: S603  our own words
            [sys.executable, "-P", "-m", "bwv_device", *words], cwd=self._folder, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.processes[name] = process
        assert process.stdout is not None
        with log.open("a") as kept:
            for line in process.stdout:
                kept.write(line)
                if found := re.search(until, line):
                    threading.Thread(target=_keep, args=(process.stdout, log), daemon=True).start()
                    return found.group(1)
        raise ServiceError(f"The {name} did not start: {log.read_text().strip()}", f"See {log}.")

    def end(self, name: str, how: int = signal.SIGTERM) -> None:
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
        try:
            process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def end_all(self) -> None:
        for name in reversed(list(self.processes)):
            self.end(name)


def _keep(said: IO[str], log: Path) -> None:
    with log.open("a") as kept:
        for line in said:
            kept.write(line)
            kept.flush()
