"""Who may talk to a page, and what a browser may do with it.

A page on loopback is reachable by every web site that the same browser has open: by a link, by a
form, by a WebSocket, or by a name that suddenly resolves to 127.0.0.1. So the `Host` must be one of
ours (DNS rebinding), the `Origin` of whatever changes something must be the page's own (cross-site
request forgery and WebSocket hijacking), and nothing may be framed. Where a token is set, it is
asked for first, and kept in a cookie that no script can read.

Sources: OWASP Cheat Sheets "Cross-Site Request Forgery Prevention" and "WebSocket Security"; W3C
Content Security Policy Level 3.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "bwv_token"
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
READING = ("GET", "HEAD")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
# A page that was made to be opened from a folder carries its style in itself, and no script.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HSTS = "max-age=63072000; includeSubDomains"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI middleware. `policies` gives other policies to paths that begin so. `origins`: of pages
    elsewhere that may change something here, beside this page itself. `secure`: over HTTPS alone.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Collection[str],
        token: str = "",
        policies: Mapping[str, str] | None = None,
        origins: Collection[str] = (),
        *,
        secure: bool = False,
    ) -> None:
        self._app, self._token, self._origins = app, token, frozenset(origins)
        self._headers = {**HEADERS, "Strict-Transport-Security": HSTS} if secure else HEADERS
        self._hosts = {*(f"[{host}]" if ":" in host else host for host in hosts), *LOOPBACK_NAMES}
        # What a browser keeps is not the token: whoever gets hold of it has it for this run only.
        self._session = secrets.token_urlsafe(32)
        self._policies = dict(policies or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        if refusal := self._refusal(connection):
            await _refuse(scope, receive, send, *refusal)
            return
        if scope["type"] == "http" and self._token and "token" in connection.query_params:
            await self._keep_token(connection)(scope, receive, send)
            return
        policy = next(
            (p for start, p in self._policies.items() if connection.url.path.startswith(start)),
            POLICY,
        )

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = policy
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)

    def _refusal(self, connection: HTTPConnection) -> tuple[int, str] | None:
        host = connection.headers.get("host", "")
        if _name(host) not in self._hosts:
            return 421, "This page does not go by that name. Open it by its address.\n"
        reads = connection.scope["type"] == "http" and connection.scope["method"] in READING
        origin = connection.headers.get("origin")
        if not reads and not self._may_change(origin, host):
            return 403, "Only this page itself may do that.\n"
        if self._token and not self._knows_token(connection):
            return 401, "A token is needed: open the address that was printed at the start.\n"
        return None

    def _may_change(self, origin: str | None, host: str) -> bool:
        if origin is None:
            return False
        return origin in self._origins or urlsplit(origin).netloc == host

    def _knows_token(self, connection: HTTPConnection) -> bool:
        given = connection.query_params.get("token")
        if given is not None:
            return hmac.compare_digest(given.encode(), self._token.encode())
        kept = connection.cookies.get(_cookie(connection), "")
        return hmac.compare_digest(kept.encode(), self._session.encode())

    def _keep_token(self, connection: HTTPConnection) -> RedirectResponse:
        """The token leaves the address bar, and with it history and screenshots."""
        response = RedirectResponse(connection.url.path, 303)
        response.set_cookie(_cookie(connection), self._session, httponly=True, samesite="strict")
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response


def _cookie(connection: HTTPConnection) -> str:
    """Cookies know no port: two pages of one machine must not take each other's."""
    return f"{COOKIE}_{connection.headers.get('host', '').rpartition(':')[2]}"


def _name(host: str) -> str:
    """Without the port; an IPv6 address keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, text: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4000 + status, "reason": text.strip()})
        return
    await PlainTextResponse(text, status, HEADERS)(scope, receive, send)
