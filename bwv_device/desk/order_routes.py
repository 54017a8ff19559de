"""Orders over HTTP: a person's side, and the worker's (docs/format.md, 12.4)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from bwv_device.custody.disclosure import render_order
from bwv_device.desk.answers import RefusedError, guarded, read_texts
from bwv_device.desk.desk import EvidenceDesk
from bwv_device.desk.orders import (
    APPROVAL,
    DONE,
    FAILED,
    RESULT_LIMIT,
    TAKEN,
    WAITS,
    Orders,
    WaitingOrder,
)
from bwv_device.desk.state import SignedIn
from bwv_device.errors import CustodyError

SEALED = "application/octet-stream"
SHOWN = ("digest", "recording", "what", "name", "state", "told", "question", "made_s")
Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class WhoWorks(Protocol):
    """Who is signed in, as a person or as a worker. Raises `RefusedError`."""

    async def __call__(self, request: Request, *, worker: bool) -> SignedIn: ...


class OrderRoutes:
    def __init__(self, orders: Orders, desk: EvidenceDesk, who: WhoWorks) -> None:
        self._orders, self._desk, self._who = orders, desk, who

    def routes(self) -> list[Route]:
        get, post = ["GET"], ["POST"]

        def route(path: str, answer: Answer, methods: list[str]) -> Route:
            async def answered(request: Request) -> Response:
                return await guarded(lambda: answer(request))

            return Route(path, answered, methods=methods)

        return [
            route("/api/orders", self._mine, get),
            route("/api/orders", self._order, post),
            route("/api/orders/approve", self._approve, post),
            route("/api/orders/sign", self._sign, post),
            route("/api/orders/result", self._fetch, get),
            route("/api/work/next", self._next, post),
            route("/api/work/told", self._told, post),
            route("/api/work/ask", self._ask, post),
            route("/api/work/answer", self._answer, get),
            route("/api/work/result", self._result, post),
        ]

    # --- a person's side ----------------------------------------------------------------------

    async def _mine(self, request: Request) -> Response:
        person = (await self._who(request, worker=False)).person
        shown = [_shown(one) for one in self._orders.of(person)]
        others = [{**_shown(one), "text": one.text} for one in self._orders.for_approval(person)]
        return JSONResponse({"orders": shown, "approvals": others})

    async def _order(self, request: Request) -> Response:
        person = (await self._who(request, worker=False)).person
        text = (await read_texts(request, "order"))["order"]
        order = render_order.read_order(text.encode("ascii", "replace"), self._desk.agency.roots)
        if order.person != person:
            raise CustodyError("The order is another person's.", "Sign in as who ordered it.")
        state = APPROVAL if render_order.needs_approval(order) else WAITS
        now_s = self._desk.clock.utc().utc_ns // 10**9
        self._orders.put(
            WaitingOrder(
                order.digest, text, person, order.name, order.recording, order.value.what, "",
                state, "", "", "", now_s, now_s,
            )
        )  # fmt: skip
        return JSONResponse({"order": order.digest})

    async def _approve(self, request: Request) -> Response:
        await self._who(request, worker=False)
        given = await read_texts(request, "order", "approval")
        waiting = self._orders.find(given["order"])
        if waiting is None:
            raise CustodyError("There is no such order.", "Load the page again.")
        roots = self._desk.agency.roots
        order = render_order.read_order(waiting.text.encode("ascii"), roots)
        render_order.read_approval(given["approval"].encode("ascii", "replace"), order, roots)
        if not self._orders.approve(order.digest, given["approval"]):
            raise CustodyError("It does not wait for anybody any more.", "Load the page again.")
        return JSONResponse({})

    async def _sign(self, request: Request) -> Response:
        person = (await self._who(request, worker=False)).person
        given = await read_texts(request, "order", "question", "signature")
        self._own(given["order"], person)
        if not self._orders.answer(given["order"], given["question"], given["signature"]):
            raise CustodyError("Nothing of that waits to be signed.", "Load the page again.")
        return JSONResponse({})

    async def _fetch(self, request: Request) -> Response:
        person = (await self._who(request, worker=False)).person
        order = self._own(request.query_params.get("order", ""), person)
        path = self._orders.result(order.digest)
        if not path.exists():
            raise CustodyError("It is not made yet.", "Wait until it is done.")
        return FileResponse(path, media_type=SEALED)

    def _own(self, digest: str, person: str) -> WaitingOrder:
        order = self._orders.find(digest)
        if order is None or order.person != person:
            raise CustodyError("There is no such order of yours.", "Load the page again.")
        return order

    # --- the worker's side --------------------------------------------------------------------

    async def _next(self, request: Request) -> Response:
        await self._who(request, worker=True)
        order = self._orders.take()
        if order is None:
            return JSONResponse({})
        return JSONResponse({"order": order.text, "approval": order.approval})

    async def _told(self, request: Request) -> Response:
        await self._who(request, worker=True)
        given = await read_texts(request, "order", "told", "state")
        state = {"done": DONE, "failed": FAILED}.get(given["state"], TAKEN)
        self._orders.tell(given["order"], given["told"], state)
        return JSONResponse({})

    async def _ask(self, request: Request) -> Response:
        await self._who(request, worker=True)
        given = await read_texts(request, "order", "question")
        self._orders.ask(given["order"], given["question"])
        return JSONResponse({})

    async def _answer(self, request: Request) -> Response:
        await self._who(request, worker=True)
        order = self._orders.find(request.query_params.get("order", ""))
        if order is None:
            raise RefusedError(404, "There is no such order.")
        return JSONResponse({"signature": order.signature})

    async def _result(self, request: Request) -> Response:
        """Sealed bytes, written beside and renamed when they are whole."""
        await self._who(request, worker=True)
        order = self._orders.find(request.query_params.get("order", ""))
        if order is None or order.state != TAKEN:
            raise RefusedError(404, "There is no such order.")
        path = self._orders.result(order.digest)
        await self._written(request, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
        return JSONResponse({})

    async def _written(self, request: Request, part: Path) -> None:
        self._orders.make_folder()
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        length = 0
        with open(descriptor, "wb") as file:
            async for block in request.stream():
                length += len(block)
                if length > RESULT_LIMIT:
                    raise RefusedError(413, "That is too long.")
                await asyncio.to_thread(file.write, block)


def _shown(order: WaitingOrder) -> dict[str, Any]:
    return {name: getattr(order, name) for name in SHOWN}
