"""The desk over HTTP: JSON for whoever is signed in, and the page's own files.

A browser's cookie shows who reads. What writes is signed by the person, and is judged by the code
that the command line runs; what opens films is a grant of the key desk for that person's own key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from bwv_device.custody.drafts import SignatureNeededError
from bwv_device.custody.ledger.ledger import read_body
from bwv_device.desk import page, views
from bwv_device.desk.answers import (
    RefusedError,
    guarded,
    read_json,
    read_texts,
    said,
    who,
)
from bwv_device.desk.desk import EvidenceDesk
from bwv_device.desk.open_id import OpenId
from bwv_device.desk.order_routes import OrderRoutes
from bwv_device.desk.orders import Orders
from bwv_device.desk.sign_in import Origin, SignIn
from bwv_device.desk.state import Certified, DeskState, SignedIn
from bwv_device.errors import CustodyError
from bwv_device.formats import store_keys
from bwv_device.formats.certificates import RENDERER
from bwv_device.keys import same_person
from bwv_device.verification.tlog.signed_note import NOTE_LIMIT
from bwv_device.web.guard import Guard
from hal.ports import StoreError, StoreTrouble

T = TypeVar("T")

COOKIE, STATE_COOKIE = "bwv_desk", "bwv_desk_state"
SEALED = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Served:
    """Where the page comes from, and where its data. `secure`: over HTTPS, by a reverse proxy."""

    origin: Origin
    hosts: tuple[str, ...]
    api: str
    secure: bool
    key_alone: bool = False


class DeskApplication:
    def __init__(
        self,
        desk: EvidenceDesk,
        state: DeskState,
        orders: Orders,
        served: Served,
        provider: OpenId | None = None,
    ) -> None:
        """`provider` of the agency's accounts, where there is one."""
        self._provider = provider
        self._desk, self._state, self._served, self._orders = desk, state, served, orders
        self._sign_in = SignIn(state, desk.agency.roots, served.origin, key_alone=served.key_alone)
        self._one = ThreadPoolExecutor(1, "desk")

    def app(self) -> ASGIApp:
        get, post = ["GET"], ["POST"]
        routes = [
            Route("/api/about", self._about),
            Route("/api/session", self._session),
            Route("/api/sign-in/key", self._key_challenge, methods=get),
            Route("/api/sign-in/key", self._by_key, methods=post),
            Route("/api/sign-in/passkey", self._passkey_challenge, methods=get),
            Route("/api/sign-in/passkey", self._by_passkey, methods=post),
            Route("/api/sign-in/open-id", self._open_id),
            Route("/api/sign-in/open-id/back", self._open_id_back),
            Route("/api/passkeys", self._passkey_options, methods=get),
            Route("/api/passkeys", self._register, methods=post),
            Route("/api/sign-out", self._sign_out, methods=post),
            Route("/api/sessions", self._sessions),
            Route("/api/sessions/end", self._end_session, methods=post),
            Route("/api/inbox", self._reading(lambda s, q: views.inbox(s))),
            Route("/api/forms", self._reading(lambda s, q: views.about(s))),
            Route("/api/search", self._reading(
                lambda s, q: views.found(s, views.wanted(q), q.get("words", "")))),
            Route("/api/recording", self._reading(
                lambda s, q: views.recording(s, q.get("id", "")))),
            Route("/api/case", self._reading(lambda s, q: views.case(s, q.get("name", "")))),
            Route("/api/requests", self._reading(lambda s, q: views.requests(s))),
            Route("/api/request", self._reading(lambda s, q: views.request(s, q.get("id", "")))),
            Route("/api/scrutiny", self._reading(lambda s, q: views.scrutiny(
                s, views.number(q.get("from_ns", "")), views.number(q.get("to_ns", "")),
                q.get("seed", "")[:200], views.number(q.get("count", ""))))),
            Route("/api/cameras", self._reading(lambda s, q: views.cameras(s))),
            Route("/api/looks", self._reading(
                lambda s, q: views.looks(s, q.get("recording", ""), q.get("person", "")))),
            Route("/api/camera-lines", self._bytes(views.lines_of_camera)),
            Route("/api/letter", self._bytes(views.letter)),
            Route("/api/ledger", self._ledger),
            Route("/api/body", self._body),
            Route("/api/checkpoint", self._checkpoint),
            Route("/api/sealed/{device}/{segment}", self._sealed),
            Route("/api/view", self._view, methods=post),
            Route("/api/acts", self._acts, methods=post),
            *OrderRoutes(self._orders, self._desk, self._who_works).routes(),
            *page.routes(self._desk.agency.root_pem, self._served.api),
        ]  # fmt: skip
        origin = self._served.origin.code
        cors = Middleware(
            CORSMiddleware, allow_origins=[origin], allow_credentials=True,
            allow_methods=["GET", "POST"], allow_headers=["content-type"],
        )  # fmt: skip
        inner = Starlette(routes=routes, middleware=[cors])
        return Guard(
            inner, self._served.hosts, origins=[origin], secure=self._served.secure,
            policies={"/": f"{page.policy(self._served.api)}; frame-ancestors 'none'"},
        )  # fmt: skip

    # --- signing in ---------------------------------------------------------------------------

    async def _about(self, request: Request) -> Response:
        """What anybody may know."""
        agency = self._desk.agency
        return JSONResponse(
            {
                "zone": agency.zone,
                "agency": self._served.origin.agency,
                "accounts": self._provider is not None,
            }
        )

    async def _session(self, request: Request) -> Response:
        """Who is signed in; an empty table for nobody."""
        signed_in = self._signed_in(request, full=False)
        if isinstance(signed_in, Response):
            return JSONResponse({})
        return JSONResponse(
            {
                "person": signed_in.person,
                "full": signed_in.full,
                "certificates": [
                    {"fingerprint": one.fingerprint, "name": one.name, "role": one.role}
                    for one in self._state.certificates(signed_in.person)
                ],
                "passkeys": [one.label for one in self._state.passkeys(signed_in.person)],
            }
        )

    async def _key_challenge(self, request: Request) -> Response:
        return await self._answered(lambda: {"challenge": self._sign_in.key_challenge()})

    async def _by_key(self, request: Request) -> Response:
        async def begin() -> Response:
            given = await read_texts(request, "certificates", "signed")
            now_ns = self._desk.clock.utc().utc_ns
            trust = await self._work(self._trust)
            token = self._sign_in.by_key(
                given["certificates"], given["signed"], now_ns, trust, who(request),
                request.headers.get("user-agent", ""),
            )  # fmt: skip
            return self._with_cookie(token)

        return await guarded(begin)

    async def _passkey_challenge(self, request: Request) -> Response:
        return await self._answered(self._sign_in.sign_in_options)

    async def _by_passkey(self, request: Request) -> Response:
        async def begin() -> Response:
            token = self._sign_in.by_passkey(
                await read_json(request), who(request), request.headers.get("user-agent", "")
            )
            return self._with_cookie(token)

        return await guarded(begin)

    async def _open_id(self, request: Request) -> Response:
        """To the provider of the agency's accounts. What comes back must come to this browser."""

        async def go() -> Response:
            if self._provider is None:
                raise CustodyError("No provider of accounts is set.", "Use a passkey.")
            address, state = await asyncio.to_thread(self._provider.begin)
            response = RedirectResponse(address, 303)
            # Lax: the browser comes back from another site.
            response.set_cookie(
                STATE_COOKIE, state, max_age=600, path="/api/sign-in", httponly=True,
                samesite="lax", secure=self._served.secure,
            )  # fmt: skip
            return response

        return await guarded(go)

    async def _open_id_back(self, request: Request) -> Response:
        async def back() -> Response:
            query = request.query_params
            state, code = query.get("state", ""), query.get("code", "")
            self._state.tried(who(request))
            if not state or request.cookies.get(STATE_COOKIE, "") != state:
                raise CustodyError("This sign-in began in another browser.", "Sign in again.")
            if self._provider is None or not code:
                raise CustodyError("The provider did not sign anybody in.", "Sign in again.")
            person = same_person(await asyncio.to_thread(self._provider.finish, code, state))
            if not self._state.certificates(person):
                raise CustodyError(
                    "This account is nobody's with certified keys here.", "Enrol a browser first."
                )
            self._state.succeeded(who(request))
            browser = request.headers.get("user-agent", "")
            token = self._state.begin(person, browser, full=True)
            response = RedirectResponse(f"{self._served.origin.code}/", 303)
            self._keep(response, token)
            response.delete_cookie(STATE_COOKIE, path="/api/sign-in")
            return response

        return await guarded(back)

    async def _passkey_options(self, request: Request) -> Response:
        signed_in = self._signed_in(request, full=False)
        if isinstance(signed_in, Response):
            return signed_in
        known = self._state.certificates(signed_in.person)
        name = known[-1].name if known else signed_in.person
        return await self._answered(lambda: self._sign_in.passkey_options(signed_in.person, name))

    async def _register(self, request: Request) -> Response:
        signed_in = self._signed_in(request, full=False)
        if isinstance(signed_in, Response):
            return signed_in

        async def register() -> Response:
            given = await read_json(request)
            label = str(given.pop("label", ""))
            self._sign_in.register(signed_in.person, given, label)
            self._state.end(signed_in.token, signed_in.person)
            browser = request.headers.get("user-agent", "")
            return self._with_cookie(self._state.begin(signed_in.person, browser, full=True))

        return await guarded(register)

    async def _sign_out(self, request: Request) -> Response:
        signed_in = self._signed_in(request, full=False)
        if isinstance(signed_in, Response):
            return signed_in
        self._state.end(signed_in.token, signed_in.person)
        response = JSONResponse({})
        response.delete_cookie(self._cookie_name, path="/")
        return response

    async def _sessions(self, request: Request) -> Response:
        """Where else the person is signed in."""
        signed_in = self._signed_in(request)
        if isinstance(signed_in, Response):
            return signed_in
        return JSONResponse(
            {
                "sessions": [
                    {"id": one.token, "browser": one.browser, "began_s": one.began_s,
                     "seen_s": one.seen_s, "this": one.token == signed_in.token}
                    for one in self._state.sessions(signed_in.person)
                ]
            }
        )  # fmt: skip

    async def _end_session(self, request: Request) -> Response:
        signed_in = self._signed_in(request)
        if isinstance(signed_in, Response):
            return signed_in

        async def end() -> Response:
            self._state.end((await read_texts(request, "id"))["id"], signed_in.person)
            return JSONResponse({})

        return await guarded(end)

    # --- reading ------------------------------------------------------------------------------

    def _reading(
        self, view: Callable[[Any, Mapping[str, str]], Mapping[str, Any]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            person = self._person(request)
            if isinstance(person, Response):
                return person
            query = request.query_params
            return await self._answered(lambda: view(self._desk.session(person), query))

        return answer

    def _bytes(self, view: Callable[[Any, str], bytes]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            person = self._person(request)
            if isinstance(person, Response):
                return person
            name = request.query_params.get("id", "")

            async def made() -> Response:
                data = await self._work(lambda: view(self._desk.session(person), name))
                return Response(data, media_type=SEALED)

            return await guarded(made)

        return answer

    async def _ledger(self, request: Request) -> Response:
        if isinstance(person := self._person(request), Response):
            return person
        text = request.query_params.get("from", "")
        first = int(text) if text.isdecimal() and len(text) < 13 else 1

        def lines() -> dict[str, Any]:
            self._desk.index.catch_up()
            return {"lines": self._desk.lines(max(1, first)), "head": self._desk.index.head.number}

        return await self._answered(lines)

    async def _body(self, request: Request) -> Response:
        if isinstance(person := self._person(request), Response):
            return person
        digest = request.query_params.get("sha256", "")
        return await self._answered(lambda: {"body": read_body(self._desk.store, digest)})

    async def _checkpoint(self, request: Request) -> Response:
        """The trust list and the newest checkpoint, for whoever holds lines against them."""
        if isinstance(person := self._person(request), Response):
            return person

        def both() -> dict[str, Any]:
            self._desk.index.catch_up()
            row = self._desk.index.row(
                "SELECT list FROM trust WHERE approved IS NOT NULL ORDER BY version DESC LIMIT 1"
            )
            try:
                newest = self._desk.store.read(store_keys.CHECKPOINT, NOTE_LIMIT).decode()
            except StoreError as error:
                if error.trouble is not StoreTrouble.MISSING:
                    raise
                newest = ""
            return {"trust": row["list"] if row else "", "checkpoint": newest}

        return await self._answered(both)

    async def _sealed(self, request: Request) -> Response:
        if isinstance(person := self._person(request), Response):
            return person
        device, segment = request.path_params["device"], request.path_params["segment"]

        async def stream() -> Response:
            length, blocks = await self._work(lambda: self._desk.sealed(device, segment))
            return StreamingResponse(
                blocks, headers={"Content-Length": str(length)}, media_type=SEALED
            )

        return await guarded(stream)

    # --- watching and acting ------------------------------------------------------------------

    async def _view(self, request: Request) -> Response:
        """A request to look, on to the key desk: what it answers opens with the person's key."""
        if isinstance(person := self._person(request), Response):
            return person

        async def ask() -> Response:
            given = await read_texts(request, "request", "approval")
            if self._desk.agency.key_desk is None:
                raise CustodyError("No key desk is set.", "Set viewing.desk in custody.toml.")
            answer = await asyncio.to_thread(
                self._desk.agency.key_desk.answer,
                given["request"].encode("ascii", "replace"),
                given["approval"].encode("ascii", "replace"),
            )
            if not answer.grant:
                return JSONResponse({"line": answer.line}, 202)
            return JSONResponse({"line": answer.line, "grant": answer.grant.decode("ascii")})

        return await guarded(ask)

    async def _acts(self, request: Request) -> Response:
        signed_in = self._signed_in(request)
        if isinstance(signed_in, Response):
            return signed_in

        async def act() -> Response:
            given = await read_json(request)
            person = self._state.certificate(str(given.get("certificate")), signed_in.person)
            arguments = given.get("arguments")
            if person is None or not isinstance(arguments, dict):
                raise CustodyError("This key is not enrolled here.", "Enrol this browser.")
            signed, body = str(given.get("signed", "")), str(given.get("body", ""))
            try:
                number = await self._work(
                    lambda: self._desk.act(person, str(given.get("act")), arguments, signed, body)
                )
            except SignatureNeededError as needed:
                return JSONResponse(needed.draft._asdict(), 202)
            return JSONResponse({"line": number})

        return await guarded(act)

    # --- inside -------------------------------------------------------------------------------

    @property
    def _cookie_name(self) -> str:
        """Cookies know no port: two desks of one machine must not take each other's. A browser
        takes a name with this prefix only from this very host, over HTTPS."""
        if self._served.secure:
            return f"__Host-{COOKIE}"
        return f"{COOKIE}_{self._served.api.rpartition(':')[2].strip('/')}"

    def _with_cookie(self, token: str) -> Response:
        response = JSONResponse({})
        self._keep(response, token)
        return response

    def _keep(self, response: Response, token: str) -> None:
        response.set_cookie(
            self._cookie_name, token, path="/", httponly=True, samesite="strict",
            secure=self._served.secure,
        )  # fmt: skip

    def _signed_in(self, request: Request, *, full: bool = True) -> SignedIn | Response:
        token = request.cookies.get(self._cookie_name, "")
        found = self._state.session(token) if token else None
        if found is None:
            return said(401, "Nobody is signed in here any more. Sign in again.")
        if full and not found.full:
            return said(403, "Register a passkey first.")
        return found

    async def _who_works(self, request: Request, *, worker: bool) -> SignedIn:
        """A person, or a worker: neither may do the other's part. Raises `RefusedError`."""
        found = self._signed_in(request)
        if isinstance(found, Response):
            raise RefusedError(found.status_code, "Sign in again.")
        roles = {one.role for one in self._state.certificates(found.person)}
        if (RENDERER in roles) is not worker:
            raise RefusedError(403, "That is not yours to do.")
        return found

    def _person(self, request: Request) -> Certified | Response:
        """In the role that they enrolled in last: reading is the same in each."""
        signed_in = self._signed_in(request)
        if isinstance(signed_in, Response):
            return signed_in
        known = self._state.certificates(signed_in.person)
        if known and known[-1].role == RENDERER:
            return said(403, "That is not yours to do.")
        return known[-1] if known else said(403, "Enrol this browser first.")

    def _trust(self) -> Any:
        from bwv_device.custody.history.standing import trust_in_force  # noqa: PLC0415

        self._desk.index.catch_up()
        agency = self._desk.agency
        return trust_in_force(self._desk.index, agency.roots, agency.trust_list)

    async def _work(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._one, work)

    async def _answered(self, work: Callable[[], Mapping[str, Any]]) -> Response:
        async def answer() -> Response:
            return JSONResponse(await self._work(work))

        return await guarded(answer)
