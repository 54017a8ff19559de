"""Where a page listens: an address that is bound before anything else begins, so that a port in use
is an error of the command and not of a process behind it.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
from pathlib import Path

from bwv_device.errors import BwvError
from bwv_device.files import reason

ANY_PORT = 0
BACKLOG = 128
TOKEN_BYTES = 18
SHORTEST_TOKEN = 16


class ListenError(BwvError):
    """An address that can't be listened on, or must not be."""

    exit_code = 23


def parse_address(text: str) -> tuple[str, int]:
    """`127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`. Raises `ListenError`."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ListenError(
            f"{text!r} is not an address to listen on.", "Write HOST:PORT, as in 127.0.0.1:8080."
        )
    host = host.strip("[]")
    if host == "localhost":
        return "127.0.0.1", int(port)
    try:
        if ipaddress.ip_address(host).is_unspecified:
            raise ListenError(
                f"{host} means every address of this machine, and a page answers to one name only.",
                "Name the address by which others reach it.",
            )
    except ValueError:
        raise ListenError(
            f"{host!r} is not an IP address.", "Listen on an address of this machine: 127.0.0.1."
        ) from None
    return host, int(port)


def is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback


def bind(host: str, port: int, token: str) -> socket.socket:
    """A socket that listens. An address that other machines reach needs a token. Raises
    `ListenError`."""
    if not token and not is_loopback(host):
        raise ListenError(
            f"{host} can be reached by other machines, and there is no token.",
            "Give a token file, or listen on 127.0.0.1.",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ListenError(
            f"Nothing can listen on {host}:{port}: {os.strerror(error.errno or 0)}.",
            "Choose another port; 0 takes a free one.",
        ) from None


def url(listening: socket.socket, token: str = "") -> str:
    """What a person opens in a browser."""
    host, port = listening.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + (f"?token={token}" if token else "")


def read_token(path: Path) -> str:
    """The token in a file; a new one where there is no file yet. Raises `ListenError`."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(opened, "w") as file:
                file.write(secrets.token_urlsafe(TOKEN_BYTES) + "\n")
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = reason(error) if isinstance(error, OSError) else "it is not plain text"
        raise ListenError(f"The token {path} can't be used: {why}.", "Name another file.") from None
    if len(token) < SHORTEST_TOKEN:
        raise ListenError(
            f"The token in {path} is shorter than {SHORTEST_TOKEN} characters.",
            "Delete the file: a new one is made.",
        )
    return token
