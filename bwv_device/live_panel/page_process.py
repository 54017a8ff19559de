"""The camera's end of the page: starts its process, and hands it copies of what happens.

Nothing here waits for a browser. What the page's process does not take in time is left out, whole
groups of pictures first, and counted.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bwv_device.live_panel import frames
from hal.ports import AccessUnit

MODULE = "bwv_device.live_panel.page_server"
# Some seconds of pictures at the highest bit rate; then the page, not the camera, loses some.
WAITING_BYTES = 8 << 20
# What is kept free of pictures: a level or a line of the ledger must not be left out for them.
FOR_MESSAGES = 1 << 20
READ_BYTES = 65_536
FAREWELL_S = 3.0


class PageProcess:
    """`tell` and `show` may be called from any thread. `hear` gets what browsers ask for, in a
    thread of its own."""

    def __init__(
        self,
        listening: socket.socket,
        about: Mapping[str, Any],
        hear: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        """Takes the socket over: this process does not listen any more. Where `hear` is None,
        nothing that comes back is even read. Raises `OSError` where no process can be started."""
        self._ours, theirs = socket.socketpair()
        self._hear = hear
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._change = threading.Condition()
        self._without_pictures = True  # until the next keyframe
        self._closing = False
        self.left_out = 0
        with theirs, listening:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", MODULE, str(theirs.fileno()), str(listening.fileno())],
                pass_fds=(theirs.fileno(), listening.fileno()),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the camera's to answer
            )
        self.tell({"kind": "about", **about})
        if hear is None:
            self._ours.shutdown(socket.SHUT_RD)
        for work in (self._write, self._read) if hear else (self._write,):
            threading.Thread(target=work, name="page", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def tell(self, content: Mapping[str, Any]) -> None:
        if not self._put(frames.message(content), WAITING_BYTES):
            self.left_out += 1

    def show(self, units: Sequence[AccessUnit]) -> None:
        """Pictures, as the sensor gives them."""
        for unit in units:
            if self._without_pictures and not unit.keyframe:
                self.left_out += 1
                continue
            self._without_pictures = False
            if not self._put(frames.picture(unit), WAITING_BYTES - FOR_MESSAGES):
                self._without_pictures = True
                self.left_out += 1

    def close(self) -> None:
        """Says goodbye to the browsers and ends the process."""
        with self._change:
            self._closing = True
            self._change.notify()
        with contextlib.suppress(OSError):
            self._ours.shutdown(socket.SHUT_WR)
        try:
            self._process.wait(FAREWELL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._ours.close()

    def _put(self, frame: bytes, limit: int) -> bool:
        with self._change:
            if self._closing or self._bytes + len(frame) > limit:
                return False
            self._waiting.append(frame)
            self._bytes += len(frame)
            self._change.notify()
            return True

    def _write(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._closing)
                if self._closing:
                    return
                data = b"".join(self._waiting)
                self._waiting.clear()
            try:
                self._ours.sendall(data)
            except OSError:  # the page has ended; the camera has not
                self._end()
                return
            with self._change:
                self._bytes -= len(data)

    def _read(self) -> None:
        assert self._hear
        reader = frames.FrameReader()
        with contextlib.suppress(OSError, frames.FrameError):
            while data := self._ours.recv(READ_BYTES):
                for frame in reader.feed(data):
                    self._hear(frame.table())
        self._end()

    def _end(self) -> None:
        with self._change:
            self._closing = True
            self._waiting.clear()
            self._change.notify()
