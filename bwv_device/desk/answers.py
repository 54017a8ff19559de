"""What every request of the desk is read and answered with: bounds, and errors as sentences."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from bwv_device.errors import BwvError, CustodyError
from hal.ports import StoreError

# A letter in base64 is the longest that a browser sends.
BODY_LIMIT = 12 << 20
PATIENCE_S = 30


class RefusedError(Exception):
    """An answer that is not the one that was wanted."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


async def guarded(answer: Callable[[], Awaitable[Response]]) -> Response:
    """Errors as sentences."""
    try:
        return await answer()
    except RefusedError as error:
        return said(error.status, error.text)
    except CustodyError as error:
        return said(422, str(error))
    except StoreError:
        return said(503, "The evidence store does not answer. Try again.")
    except BwvError as error:
        return said(500, str(error))


def said(status: int, text: str) -> Response:
    return PlainTextResponse(text + "\n", status)


async def read_json(request: Request) -> dict[str, Any]:
    try:
        body = await asyncio.wait_for(read_bytes(request), PATIENCE_S)
        given = json.loads(body)
    except (ValueError, RecursionError, TimeoutError, ClientDisconnect):
        raise RefusedError(400, "The desk does not understand that. Load the page again.") from None
    if not isinstance(given, dict):
        raise RefusedError(400, "The desk does not understand that. Load the page again.")
    return given


async def read_bytes(request: Request) -> bytes:
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > BODY_LIMIT:
            raise ValueError("too long")
    return bytes(body)


async def read_texts(request: Request, *names: str) -> dict[str, str]:
    given = await read_json(request)
    if not all(isinstance(given.get(name), str) for name in names):
        raise RefusedError(400, "The desk does not understand that. Load the page again.")
    return {name: given[name] for name in names}


def who(request: Request) -> str:
    return request.client.host if request.client else ""
