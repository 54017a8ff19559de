"""Runs an application of ours on a socket that already listens."""

from __future__ import annotations

import socket

import uvicorn
from starlette.types import ASGIApp

# A browser sends a press, a filter, a name: small things.
LARGEST_MESSAGE = 64 << 10
FAREWELL_S = 1


def server(app: ASGIApp, proxy: str = "", *, sockets: bool = False) -> uvicorn.Server:
    """Its `serve` or `run` takes the socket. Nothing is logged: addresses carry tokens. `proxy` is
    the address of a reverse proxy that says who asks ("" for none). `sockets`: with WebSockets,
    whose library is the live panel's."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            proxy_headers=bool(proxy),
            forwarded_allow_ips=proxy or "127.0.0.1",
            server_header=False,
            date_header=False,
            lifespan="off",
            ws="websockets-sansio" if sockets else "none",
            ws_max_size=LARGEST_MESSAGE,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=FAREWELL_S,
        )
    )


def run(app: ASGIApp, listening: socket.socket, proxy: str = "") -> None:
    """Until the process is told to end."""
    server(app, proxy).run(sockets=[listening])
