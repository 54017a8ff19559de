"""A worker's way to the evidence desk, over HTTPS (docs/format.md, 12.4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3

from bwv_device.errors import CustodyError
from bwv_device.formats import canonical_json, signature
from bwv_device.formats.grammar.purposes import SIGN_IN
from bwv_device.formats.statement import Signer, chain_of, fingerprint
from bwv_device.formats.visible_text import visible

TIMEOUT = urllib3.Timeout(connect=5, read=120)
ANSWER_LIMIT = 1 << 20
OK, NOT_SIGNED_IN = 200, 401
REMEDY = "See that 'bwv desk serve' runs, and check --url."


class HttpDeskLine:
    """Signs in with the worker's certified key, again whenever the session is over. `origin`: of
    the desk's page, where that is another than `url`."""

    def __init__(
        self, url: str, signer: Signer, viewing_pem: bytes, ca: str = "", origin: str = ""
    ) -> None:
        self._url, self._signer, self._viewing = url.rstrip("/"), signer, viewing_pem
        self._origin = origin.rstrip("/") or self._url
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False, ca_certs=ca or None)
        self._cookie = ""

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return self._asked("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def post(self, path: str, said: Mapping[str, str]) -> dict[str, Any]:
        return self._asked("POST", path, json.dumps(said).encode())

    def upload(self, path: str, file: Path, **query: str) -> None:
        with file.open("rb") as body:
            self._once("POST", f"{path}?{urlencode(query)}", body, file.stat().st_size)

    def _asked(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        """Raises `CustodyError`."""
        if not self._cookie:
            self._sign_in()
        status, said = self._once(method, path, body)
        if status == NOT_SIGNED_IN:
            self._sign_in()
            status, said = self._once(method, path, body)
        return self._read(status, said)

    def _sign_in(self) -> None:
        self._cookie = ""
        challenge = str(self._read(*self._once("GET", "/api/sign-in/key", None))["challenge"])
        pem = self._signer.certificate_pem
        fields = {
            "purpose": SIGN_IN, "by": fingerprint(chain_of(_certificates(pem))[0]),
            "challenge": challenge, "origin": self._origin,
        }  # fmt: skip
        text = canonical_json.encode(fields)
        said = {
            "certificates": (_certificates(pem) + self._viewing).decode("ascii"),
            "signed": text.decode() + "\t" + signature.from_der(self._signer.sign(text)).hex(),
        }
        self._read(*self._once("POST", "/api/sign-in/key", json.dumps(said).encode()))

    def _once(
        self, method: str, path: str, body: Any, length: int | None = None
    ) -> tuple[int, bytes]:
        headers = {"Origin": self._origin, "Content-Type": "application/json"}
        if self._cookie:
            headers["Cookie"] = self._cookie
        if length is not None:
            headers |= {
                "Content-Type": "application/octet-stream", "Content-Length": str(length)
            }  # fmt: skip
        try:
            answer = self._pool.request(
                method, self._url + path, body=body, headers=headers, preload_content=False,
                redirect=False,
            )  # fmt: skip
            try:
                said = answer.read(ANSWER_LIMIT)
            finally:
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise CustodyError(
                f"The desk {self._url} can't be reached: {type(error).__name__}.", REMEDY
            ) from None
        self._keep(answer.headers.get("Set-Cookie", ""))
        return answer.status, bytes(said)

    def _keep(self, set_cookie: str) -> None:
        try:
            for name, morsel in SimpleCookie(set_cookie).items():
                self._cookie = f"{name}={morsel.value}"
        except CookieError:
            return

    def _read(self, status: int, said: bytes) -> dict[str, Any]:
        if status != OK:
            text = visible(said.decode("utf-8", "replace").strip())[:500]
            raise CustodyError(f"The desk answered {status}: {text}", REMEDY)
        try:
            read = json.loads(said)
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, dict):
            raise CustodyError(f"{urlsplit(self._url).netloc} is no desk.", REMEDY)
        return read


def _certificates(pem: bytes) -> bytes:
    """Without a private key in front of them."""
    at = pem.find(b"-----BEGIN CERTIFICATE-----")
    return pem[max(0, at) :]
