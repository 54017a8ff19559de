"""The example's holder of the roles CA, as a page: whoever asks is certified. A real one compares
fingerprints, and runs `bwv custody enrol --request` (docs/desk.md).
"""

from __future__ import annotations

import datetime
import html
import json
import socket
import tempfile
import threading
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from bwv_device import keys
from bwv_device.errors import BwvError
from bwv_device.formats.enrolment_request import REQUEST_LIMIT, read_request
from bwv_device.formats.statement import StatementError
from bwv_device.web import serve
from bwv_device.web.guard import Guard
from hal.host import HostEntropy

PEOPLE = (
    ("Ada Okafor", "custodian"),
    ("Ben Musa", "reviewer"),
    ("Dora Lee", "disclosure"),
    ("Ali Grey", "auditor"),
)
SCRIPT = """
document.getElementById("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { person, request } = event.target.elements;
  const answer = await fetch("certify", { method: "POST", body: JSON.stringify(
    { person: Number(person.value), request: await request.files[0].text() }) });
  const said = document.getElementById("said");
  if (!answer.ok) { said.textContent = await answer.text(); return; }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = link.textContent = "certificates.pem";
  said.replaceChildren("Take these into the desk: ", link);
});
"""
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Enrolment (example)</title>
<link rel="icon" href="data:,"><h1>Who are you?</h1>
<p>In this example everybody is believed. A real agency compares the request's fingerprint.</p>
<form id="ask"><p>{people}</p>
<p><label>The request that the desk's page saved:
<input type="file" name="request" required></label></p>
<p><button>Certify</button></p></form><p id="said" role="status"></p>
<script src="clerk.js"></script></html>"""


def certify(agency: Path, request: bytes, name: str, role: str) -> bytes:
    """The answer to a browser's request. Raises `StatementError`, `BwvError`."""
    asked = read_request(request)
    now = datetime.datetime.now(datetime.UTC)
    with tempfile.TemporaryDirectory() as folder:
        path = keys.certify_person(agency, Path(folder), name, role, asked, HostEntropy(), now)
        return path.read_bytes()


class Clerk:
    """In a thread, while the `with` lasts."""

    def __init__(self, agency: Path, listening: socket.socket) -> None:
        self._agency = agency
        routes = [
            Route("/", self._page), Route("/clerk.js", self._script),
            Route("/certify", self._certify, methods=["POST"]),
        ]  # fmt: skip
        self._server = serve.server(Guard(Starlette(routes=routes), []))
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name="clerk", daemon=True
        )

    async def _page(self, request: Request) -> Response:
        people = "".join(
            f'<label><input type="radio" name="person" value="{n}"{" checked" if not n else ""}> '
            f"{html.escape(name)}, {role}</label><br>"
            for n, (name, role) in enumerate(PEOPLE)
        )
        return HTMLResponse(PAGE.format(people=people))

    async def _script(self, request: Request) -> Response:
        return Response(SCRIPT, media_type="text/javascript")

    async def _certify(self, request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > 2 * REQUEST_LIMIT:
                return PlainTextResponse("That is no request.\n", 400)
        try:
            asked = json.loads(body)
            name, role = PEOPLE[asked["person"]]
            answer = certify(self._agency, asked["request"].encode("ascii", "replace"), name, role)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            return PlainTextResponse("That is no request.\n", 400)
        except (StatementError, BwvError) as error:
            return PlainTextResponse(f"The file {error}\n", 422)
        return Response(answer, media_type="application/x-pem-file")

    def __enter__(self) -> Clerk:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(5)
