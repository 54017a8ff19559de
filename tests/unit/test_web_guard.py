"""Who may talk to a page, and where one may listen."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from bwv_device.web.guard import COOKIE, Guard
from bwv_device.web.listen import ListenError, bind, parse_address, read_token, url

TOKEN = "sixteen letters!"
HERE = "http://127.0.0.1:8080"


async def _say(request: Request) -> PlainTextResponse:
    return PlainTextResponse("secret")


async def _talk(connection: WebSocket) -> None:
    await connection.accept()
    await connection.send_text("secret")
    await connection.close()


def client(token: str = "", base: str = HERE) -> TestClient:
    app = Starlette(
        routes=[Route("/", _say, methods=["GET", "POST"]), WebSocketRoute("/live", _talk)]
    )
    return TestClient(Guard(app, ["192.0.2.7"], token), base_url=base, follow_redirects=False)


def test_another_name_for_this_machine_is_refused() -> None:
    """DNS rebinding: a web site's own name that resolves to 127.0.0.1."""
    assert client().get("/").text == "secret"
    assert client(base="http://evil.example:8080").get("/").status_code == 421
    assert client(base="http://192.0.2.7:8080").get("/").status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", None])
def test_another_site_can_not_act(origin: str | None) -> None:
    headers = {"Origin": origin} if origin else {}
    assert client().post("/", headers=headers).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect),
        client().websocket_connect("ws://127.0.0.1:8080/live", headers=headers),
    ):
        pass


def test_the_page_itself_can() -> None:
    assert client().post("/", headers={"Origin": HERE}).text == "secret"
    with client().websocket_connect(
        "ws://127.0.0.1:8080/live", headers={"Origin": HERE}
    ) as connection:
        assert connection.receive_text() == "secret"


def test_the_token_is_asked_for_and_leaves_the_address() -> None:
    browser = client(TOKEN)
    assert browser.get("/").status_code == 401
    assert browser.get("/?token=wrong wrong wrong").status_code == 401
    answer = browser.get(f"/?token={TOKEN}")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"].lower()
    assert f"{COOKIE}_8080=" in cookie
    assert TOKEN not in cookie
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert browser.get("/").text == "secret"
    assert client(TOKEN).post("/", headers={"Origin": HERE}).status_code == 401


def test_a_browser_is_told_what_it_may_do() -> None:
    headers = client().get("/").headers
    policy = headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "text",
    ["0.0.0.0:80", "[::]:80", "8080", "host.example:80", "127.0.0.1", "127.0.0.1:99999", ":1"],
)
def test_an_address_that_is_none_is_one_sentence(text: str) -> None:
    with pytest.raises(ListenError):
        parse_address(text)


def test_addresses() -> None:
    assert parse_address("localhost:80") == ("127.0.0.1", 80)
    assert parse_address("[::1]:0") == ("::1", 0)


def test_a_port_in_use_and_an_open_door() -> None:
    taken = bind("127.0.0.1", 0, "")
    port = taken.getsockname()[1]
    assert url(taken) == f"http://127.0.0.1:{port}/"
    with pytest.raises(ListenError, match="in use"):
        bind("127.0.0.1", port, "")
    with pytest.raises(ListenError, match="no token"):
        bind("0.0.0.0", 0, "")
    taken.close()
    with bind("0.0.0.0", 0, TOKEN) as listening:
        assert isinstance(listening, socket.socket)


def test_a_token_file_is_made_private_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "token"
    token = read_token(path)
    assert len(token) >= 16
    assert path.stat().st_mode & 0o077 == 0
    assert read_token(path) == token
    path.write_text("short\n")
    with pytest.raises(ListenError, match="shorter"):
        read_token(path)
