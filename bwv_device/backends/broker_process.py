"""The line to the broker, in a process of its own: `hal.ports.MqttLink` of the recording one.

Nothing that a broker sends is parsed here, and nothing here waits for the other process: queues
have limits, and when it ends the connection is closed, and the next one starts another.
"""

from __future__ import annotations

import base64
import contextlib
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from bwv_device.backends import broker_frames as frames
from hal.ports import MqttListener, MqttMessage

MODULE = "bwv_device.backends.broker_server"
ORDER_LIMIT = 1024
READ_BYTES = 64 << 10
# How long a goodbye may take.
FAREWELL_S = 4.0
REASONS_LIMIT = 16


class BrokerProcess:
    """`about` goes to `broker_server.Server` as it is."""

    def __init__(self, about: Mapping[str, Any]) -> None:
        self._about = about
        self._number = 0
        self._listener: MqttListener | None = None
        self._lock = threading.Lock()
        self._child: _Child | None = None

    @property
    def pid(self) -> int:
        """Of the other process, for those who measure it; 0 for none."""
        return self._child.pid if self._child else 0

    def open(
        self, will: MqttMessage | None, subscriptions: Sequence[str], listener: MqttListener
    ) -> None:
        self._number += 1
        number = self._number
        with self._lock:
            self._listener = listener
        try:
            if self._child is None or not self._child.alive:
                self._child = _Child(self._about, self._hear, self._ended)
        except OSError as error:
            self._lost(number, f"the broker's process can't be started: {error}")
            return
        order = frames.encode(
            "open", number, will=frames.packed(will), subscriptions=list(subscriptions)
        )
        if not self._child.order(order):
            self._lost(number, "too much waits for the broker's process")

    def publish(self, token: int, message: MqttMessage) -> None:
        if self._child is not None:
            packed = frames.packed(message)
            self._child.order(frames.encode("publish", self._number, token=token, message=packed))

    def close(self, farewell: MqttMessage | None = None) -> None:
        with self._lock:
            self._listener = None
        if self._child is not None:
            said = frames.packed(farewell)
            self._child.order(frames.encode("close", self._number, farewell=said))

    def end(self) -> None:
        """What was ordered before is carried out first."""
        if self._child is not None:
            self._child.end()
            self._child = None

    # --- from the other process, in a thread of its own -----------------------------------------

    def _hear(self, child: _Child, told: Mapping[str, Any]) -> None:
        with self._lock:
            if child is not self._child:
                return
            listener = self._listener if told["c"] == self._number else None
            if listener is not None and told["what"] == "closed":
                self._listener = None
        if listener is not None:
            _tell(listener, told)

    def _ended(self, child: _Child) -> None:
        with self._lock:
            own, number = child is self._child, self._number
        if own:
            self._lost(number, "the broker's process has ended")

    def _lost(self, number: int, reason: str) -> None:
        with self._lock:
            listener = self._listener if number == self._number else None
            self._listener = None
        if listener is not None:
            listener.closed(reason)


def _tell(listener: MqttListener, told: Mapping[str, Any]) -> None:
    """Typed and bounded: the other process reads what a hostile broker sends."""
    what = told["what"]
    if what == "connected":
        listener.connected()
    elif what == "acknowledged":
        listener.acknowledged(_whole(told["token"]))
    elif what == "refused":
        token, reason = _whole(told["token"]), str(told["reason"])[:1000]
        listener.refused(token, reason, final=bool(told["final"]))
    elif what == "received":
        payload = base64.b64decode(str(told["payload"]), validate=True)
        listener.received(str(told["topic"])[:1000], payload)
    elif what == "sifted_out":
        for reason, count in list(dict(told["counts"]).items())[:REASONS_LIMIT]:
            listener.sifted_out(str(reason)[:32], _whole(count))
    elif what == "closed":
        listener.closed(str(told["reason"])[:1000])


def _whole(value: Any) -> int:
    if type(value) is not int or abs(value) >= 1 << 53:
        raise frames.FrameError("not a number")
    return value


class _Child:
    """One process, with a thread for each way."""

    def __init__(self, about: Mapping[str, Any], hear: Any, ended: Any) -> None:
        self._ours, theirs = socket.socketpair()
        self._hear, self._ended = hear, ended
        self._orders: queue.Queue[bytes | None] = queue.Queue(ORDER_LIMIT)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", MODULE, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the camera's to answer
            )
        self._orders.put(frames.encode("begin", 0, **about))
        self._writer = threading.Thread(target=self._write, name="to broker", daemon=True)
        self._reader = threading.Thread(target=self._read, name="from broker", daemon=True)
        self._writer.start()
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def order(self, frame: bytes) -> bool:
        """False at the limit."""
        try:
            self._orders.put_nowait(frame)
        except queue.Full:
            return False
        return True

    def end(self) -> None:
        with contextlib.suppress(queue.Full):
            self._orders.put_nowait(None)
        try:
            self._process.wait(FAREWELL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(FAREWELL_S)

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while (frame := self._orders.get()) is not None:
                self._ours.sendall(frame)
            self._ours.shutdown(socket.SHUT_WR)

    def _read(self) -> None:
        reader = frames.Reader()
        try:
            while received := self._ours.recv(READ_BYTES):
                for told in reader.feed(received):
                    self._hear(self, told)
        except Exception:  # noqa: BLE001 - it says what it never should: another one is started
            self._process.kill()
        finally:
            self._stop()
        self._ended(self)

    def _stop(self) -> None:
        """Nothing of it stays: neither process nor thread nor descriptor."""
        self._process.kill()
        self._process.wait()
        while True:
            try:
                self._orders.put_nowait(None)
                break
            except queue.Full:  # nobody carries them out any more
                with contextlib.suppress(queue.Empty):
                    self._orders.get_nowait()
        self._writer.join(FAREWELL_S)
        self._ours.close()
