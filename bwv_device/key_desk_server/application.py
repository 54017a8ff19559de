"""Answers requests one after another: each is a line of the ledger. TLS is a reverse proxy's.

Nothing here needs a session or a password: a request is signed, and the answer opens with one
person's key alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bwv_device.custody.key_desk.looking import Desk
from bwv_device.errors import BwvError, CustodyError
from hal.ports import StoreError

PATH = "/view"
METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# A request with its approval: names of files, and certificates.
REQUEST_LIMIT = 128 << 10
# So long may a body take to arrive.
PATIENCE_S = 10
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(slots=True)
class DeskCounts:
    """What the desk did since it began: telemetry, without a name in it."""

    granted: int = 0
    waiting: int = 0
    refused: int = 0
    failed: int = 0
    alarms: int = 0

    def as_metrics(self) -> str:
        """OpenMetrics 1.0, which Prometheus and others read."""
        rows = [
            f"# TYPE bwv_key_desk_{name} counter\nbwv_key_desk_{name}_total {count}\n"
            for name, count in asdict(self).items()
        ]
        return "".join(rows) + "# EOF\n"


def application(
    desk: Desk, said: Callable[[str], None], counts: DeskCounts | None = None
) -> Starlette:
    """`said` hears one sentence of each request that was not granted."""
    done = counts if counts is not None else DeskCounts()

    async def view(request: Request) -> Response:
        try:
            asked = await asyncio.wait_for(_asked(request), PATIENCE_S)
        except (ValueError, RecursionError, TimeoutError, ClientDisconnect):
            return _text(400, "This is no request to look: see docs/format.md, 10.4.")
        try:
            answer = desk.answer(*asked)
        except CustodyError as error:
            done.refused += 1
            said(f"refused: {error}")
            return _text(403, str(error))
        except StoreError as error:
            done.failed += 1
            said(f"the store does not answer: {error}")
            return _text(503, "The store does not answer. Ask again.")
        except BwvError as error:
            done.failed += 1
            said(f"nothing is opened: {error}")
            return _text(500, str(error))
        if not answer.grant:
            done.waiting += 1
            return _text(202, str(answer.line))
        done.granted += 1
        return Response(answer.grant, 200, HEADERS, "application/octet-stream")

    async def about(request: Request) -> Response:
        return _text(200, "bwv key desk")

    async def metrics(request: Request) -> Response:
        return Response(done.as_metrics(), 200, HEADERS, METRICS)

    routes = [
        Route(PATH, view, methods=["POST"]), Route("/", about), Route("/metrics", metrics)
    ]  # fmt: skip
    return Starlette(routes=routes)


async def _asked(request: Request) -> tuple[bytes, bytes]:
    """Request and approval. Raises `ValueError`."""
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > REQUEST_LIMIT:
            raise ValueError("a request is shorter")
    said = json.loads(body)
    if not isinstance(said, dict) or set(said) != {"request", "approval"}:
        raise ValueError("not a request")
    if not all(isinstance(text, str) for text in said.values()):
        raise ValueError("not a request")
    return said["request"].encode("ascii"), said["approval"].encode("ascii")


def _text(status: int, text: str) -> Response:
    return PlainTextResponse(text + "\n", status, HEADERS)
