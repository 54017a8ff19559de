"""Judging the vault and making films, in a process of its own: levels and pictures pass meanwhile.

Verifying reads everything and holds the interpreter for hundreds of milliseconds: in the page's own
process a light would be seen that much later.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from bwv_device import keys
from bwv_device.errors import BwvError
from bwv_device.live_panel.recordings import Recordings
from hal.child_process import end_with_parent

NICE = 5  # on top of the page's

_recordings: Recordings  # of the judging process


class VaultJudge:
    """`about` is the camera's first frame; films go to `films`."""

    def __init__(self, about: dict[str, Any], films: Path) -> None:
        self._about, self._films = about, films
        self._process = self._start()

    async def look(self) -> dict[str, Any]:
        """A message for the page. Raises whatever judging raises; the next look goes on."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._process, _look)
        except BrokenProcessPool:
            self._process = self._start()
            raise

    def end(self) -> None:
        """Without waiting for a look that is under way."""
        self._process.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        # Spawned: a fork would inherit the page's sockets.
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, spawn, _prepare, (self._about, self._films))


def _prepare(about: dict[str, Any], films: Path) -> None:
    global _recordings  # noqa: PLW0603 - a pool's process has no other place
    os.nice(NICE)
    end_with_parent()
    try:
        roots = keys.load_certificates(Path(about["root"])) if about.get("root") else []
    except BwvError:
        roots = []  # then the verdict says that nobody vouches for the camera
    identity = about.get("identity")
    identities = keys.load_identities(Path(identity)) if identity else []
    _recordings = Recordings(Path(about["vault"]), films, roots, identities)


def _look() -> dict[str, Any]:
    return _recordings.look()
