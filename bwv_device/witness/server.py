"""The witness over HTTP. TLS is a reverse proxy's; a request is small, and so is the answer."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bwv_device.errors import BwvError
from bwv_device.verification.tlog.signed_note import VerifierKey
from bwv_device.witness.witness import REQUEST_LIMIT, TEXT, Reply, Witness

# A client that says nothing holds a thread for no longer.
IDLE_S = 10
# Whoever comes beyond that is turned away: an agency asks once in some seconds.
CONNECTIONS_LIMIT = 64
# Of a body that is refused, so much is read.
DRAINED_BLOCKS, BLOCK = 64, 1 << 16
ADD_CHECKPOINT = "/add-checkpoint"


class WitnessServer(ThreadingHTTPServer):
    """Serves on a socket that already listens."""

    daemon_threads = True

    def __init__(
        self, listening: socket.socket, witness: Witness, keys: Sequence[VerifierKey]
    ) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.witness = witness
        self.about = "".join(f"{key}\n" for key in keys).encode()
        self._free = threading.BoundedSemaphore(CONNECTIONS_LIMIT)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is nobody's trouble; anything else is ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """`GET /` gives the verifier keys."""

    server: WitnessServer
    timeout = IDLE_S
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "bwv-witness", ""

    def do_GET(self) -> None:
        if self.path == "/":
            self._reply(Reply(200, self.server.about))
        else:
            self._reply(Reply(404, b"not found\n"))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not self.path.endswith(ADD_CHECKPOINT):
            self._refuse(Reply(404, b"not found\n"))
        elif not (length.isascii() and length.isdigit()) or int(length[:9]) > REQUEST_LIMIT:
            self._refuse(Reply(413, b"a request is shorter\n"))
        else:
            self._reply(self._cosigned(self.rfile.read(int(length))))

    def _cosigned(self, request: bytes) -> Reply:
        """What was seen can't be read or kept: then nothing is signed, and it is said here."""
        try:
            return self.server.witness.add_checkpoint(request)
        except (BwvError, OSError) as error:
            print(f"nothing is cosigned: {error}", file=sys.stderr, flush=True)
            return Reply(500, b"the witness can't remember what it has seen\n")

    def _refuse(self, reply: Reply) -> None:
        """Its body was not read: the connection is of no further use, and the client is told. What
        still comes is read for a while: a close on top of it would take the answer back."""
        self.close_connection = True
        self._reply(reply)
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(1)
            for _ in range(DRAINED_BLOCKS):
                if not self.connection.recv(BLOCK):
                    return

    def _reply(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind or TEXT)
        self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: whoever asks is the agency, and its proxy keeps a log."""
