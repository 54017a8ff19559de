"""The routes of the page: itself, its WebSocket, films, a still, the report, the scenario."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from bwv_device.live_panel.acts import ActError, Button, parse
from bwv_device.live_panel.hub import Browser, Hub
from hal.ports import AccessUnit, Track
from hal.stills import PyavStills

TOO_MANY, TOO_SLOW = 4429, 4408
FAREWELL_S = 1
Ask = Callable[[dict[str, Any]], None]


class Page:
    """`about` is what the page may show of the camera; `ask` carries acts to it; `folder` holds
    `report/` and `scenario.toml` of a session, None where there is none; `films` what was
    exported."""

    SHOWN: ClassVar = (
        "title", "mode", "controls", "touchable", "note", "switches", "rates", "buttons", "video",
        "pre_event_s", "gestures", "verifies",
    )  # fmt: skip

    def __init__(
        self, hub: Hub, about: dict[str, Any], ask: Ask, folder: Path | None, films: Path
    ) -> None:
        self._hub, self._about, self._ask = hub, about, ask
        self._folder, self._films = folder, films
        self._held: dict[str, set[int]] = {"record": set(), "marker": set()}
        environment = Environment(
            loader=PackageLoader("bwv_device.live_panel"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._page = environment.get_template("panel.html.jinja").render(about=about)

    def app(self) -> Starlette:
        static = Path(str(resources.files("bwv_device.live_panel"))) / "static"
        return Starlette(
            routes=[
                Route("/", self._index),
                WebSocketRoute("/live", self._live),
                Route("/picture.jpg", self._picture),
                Route("/films/{name}", self._film),
                Route("/scenario.toml", self._scenario),
                Route("/report/{path:path}", self._report),
                Route("/favicon.ico", lambda request: FileResponse(static / "icon.svg")),
                Mount("/static", StaticFiles(directory=static)),
            ]
        )

    async def _index(self, request: Request) -> Response:
        return HTMLResponse(self._page)

    async def _picture(self, request: Request) -> Response:
        """The newest keyframe, for browsers that can't decode a stream."""
        unit = AccessUnit(Track.VIDEO, 0, 0, True, self._hub.keyframe)
        try:
            jpeg = await asyncio.to_thread(PyavStills().jpeg, unit)
        except ValueError:
            return PlainTextResponse("There is no picture.\n", 404)
        return Response(jpeg, media_type="image/jpeg")

    async def _film(self, request: Request) -> Response:
        """A film or a still; a browser asks for parts of it."""
        return _file(self._films, request.path_params["name"])

    async def _scenario(self, request: Request) -> Response:
        path = self._folder / "scenario.toml" if self._folder else None
        if path is None or not path.exists():
            return PlainTextResponse("Nothing was done yet.\n", 404)
        return FileResponse(path, filename="scenario.toml", media_type="application/toml")

    async def _report(self, request: Request) -> Response:
        if self._folder is None:
            return PlainTextResponse("There is no report.\n", 404)
        return _file(self._folder / "report", request.path_params["path"] or "index.html")

    # --- browsers -----------------------------------------------------------------------------

    async def _live(self, socket: WebSocket) -> None:
        await socket.accept()
        browser = self._hub.join()
        if browser is None:
            await socket.close(TOO_MANY, "Too many browsers look at this camera.")
            return
        tasks = [
            asyncio.create_task(self._send(socket, browser)),
            asyncio.create_task(self._listen(socket, browser)),
            asyncio.create_task(browser.gone.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(browser)
            self._let_go(browser)
            for task in tasks:
                task.cancel()
        if browser.gone.is_set():
            with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
                farewell = socket.close(TOO_SLOW, "This browser does not keep up.")
                await asyncio.wait_for(farewell, FAREWELL_S)

    async def _listen(self, socket: WebSocket, browser: Browser) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, KeyError):
            while True:
                self._hear(browser, await socket.receive_text())

    async def _send(self, socket: WebSocket, browser: Browser) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it has gone meanwhile
            while True:
                item = await browser.next()
                if isinstance(item, bytes):
                    await socket.send_bytes(item)
                else:
                    await socket.send_text(item)

    def _hear(self, browser: Browser, text: str) -> None:
        if not self._about["controls"]:
            return
        try:
            act = parse(text)
        except ActError as error:
            self._hub.tell({"kind": "event", "text": f"A browser's message is refused: {error}."})
            return
        if isinstance(act, Button):
            self._finger(browser, act)
        else:
            self._ask(vars(act))

    def _finger(self, browser: Browser, act: Button) -> None:
        """A button is down while any finger is on it."""
        fingers = self._held[act.button]
        before = bool(fingers)
        (fingers.add if act.pressed else fingers.discard)(browser.number)
        if bool(fingers) != before:
            self._ask({"act": "button", "button": act.button, "pressed": act.pressed})

    def _let_go(self, browser: Browser) -> None:
        """Who is gone holds nothing."""
        for button, fingers in self._held.items():
            if browser.number in fingers:
                self._finger(browser, Button("button", button, False))  # type: ignore[arg-type]


def _file(folder: Path, name: str) -> Response:
    """A plain file within `folder`, nothing else."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return PlainTextResponse("There is no such file.\n", 404)
    return FileResponse(path)
