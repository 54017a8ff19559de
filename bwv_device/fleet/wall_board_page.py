"""The wall board as a page: filters and sorting in its address, rows that are fetched anew each
second, and one thing that a person may do: take note of an alarm. Nothing here reaches a camera.
"""

from __future__ import annotations

import datetime
import socket
import threading
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from bwv_device.fleet.wall_board import MINUTES, STEP_MIN, Row, WallBoard
from bwv_device.fleet.watch_table import FILTERS, SORTS
from bwv_device.web import serve
from bwv_device.web.guard import Guard

ROWS = 200
LARGEST_FORM = 4096


class WallBoardPage:
    """`title` names the fleet."""

    def __init__(self, board: WallBoard, title: str) -> None:
        self._board, self._title = board, title
        self._templates = Environment(
            loader=PackageLoader("bwv_device.fleet"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["clock"] = _clock
        self._templates.filters["length"] = len

    def app(self, host: str, token: str) -> ASGIApp:
        own = Path(str(resources.files("bwv_device.fleet"))) / "static"
        vendored = Path(str(resources.files("bwv_device.web"))) / "static"
        routes = [
            Route("/", self._index),
            Route("/rows", self._rows),
            Route("/acknowledge", self._acknowledge, methods=["POST"]),
            Mount("/static", StaticFiles(directory=own)),
            Mount("/vendored", StaticFiles(directory=vendored)),
        ]
        return Guard(Starlette(routes=routes), [host], token)

    async def _index(self, request: Request) -> Response:
        return self._render("board.html.jinja", request.query_params)

    async def _rows(self, request: Request) -> Response:
        return self._render("rows.html.jinja", request.query_params)

    async def _acknowledge(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_FORM:
                return PlainTextResponse("That is too long.\n", 413)
        form = {
            name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()
        }
        asked = [form.get(name, "") for name in ("device", "kind", "name")]
        try:
            done = self._board.acknowledge(*asked)
        except OSError as error:
            return self._render("rows.html.jinja", form, f"It is not kept: {error.strerror}.")
        if done:
            self._board.update([row.row for row in self._board.view.rows], self._board.view.broker)
        missing = "" if asked[2].strip() else "Write your name first."
        return self._render("rows.html.jinja", form, missing)

    def _render(self, template: str, asked: Mapping[str, str], complaint: str = "") -> Response:
        view = self._board.view
        only = asked.get("only", "")
        chosen = _chosen(view.rows, asked, only if only in FILTERS else "")
        return HTMLResponse(
            self._templates.get_template(template).render(
                title=self._title,
                view=view,
                rows=chosen[:ROWS],
                found=len(chosen),
                recording=sum(bool(row.row["recording"]) for row in view.rows),
                alarms=sum(len(row.alarms) for row in view.rows),
                unacknowledged=sum(a.acknowledged is None for row in view.rows for a in row.alarms),
                asked={
                    "camera": asked.get("camera", "")[:64],
                    "officer": asked.get("officer", "")[:64],
                    "only": only,
                    "sort": asked.get("sort", "trouble"),
                },
                filters=sorted(FILTERS),
                sorts=sorted({*SORTS, "officer"}),
                legend=MINUTES,
                step_min=STEP_MIN,
                complaint=complaint,
            )
        )


def _chosen(rows: Any, asked: Mapping[str, str], only: str) -> list[Row]:
    kept = [
        row
        for row in rows
        if asked.get("camera", "") in row.row["device"]
        and asked.get("officer", "").lower() in row.row["officer"].lower()
        and (not only or FILTERS[only](row.row))
    ]
    if asked.get("sort") == "officer":
        return sorted(kept, key=lambda row: (row.row["officer"].lower(), row.row["device"]))
    sort = SORTS.get(asked.get("sort", ""), SORTS["trouble"])
    return sorted(kept, key=lambda row: sort(row.row))


def _clock(utc_ns: int) -> str:
    return f"{datetime.datetime.fromtimestamp(utc_ns / 1e9, datetime.UTC):%H:%M:%S}"


class ServedBoard:
    """The page in a thread of its own, while the `with` lasts."""

    def __init__(self, board: WallBoard, title: str, listening: socket.socket, token: str) -> None:
        host = listening.getsockname()[0]
        self._server = serve.server(WallBoardPage(board, title).app(host, token))
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name="wall board", daemon=True
        )

    def __enter__(self) -> ServedBoard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(5)
