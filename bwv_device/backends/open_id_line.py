"""The way to a provider of accounts, over HTTPS."""

from __future__ import annotations

import json
from typing import Any

import urllib3

from bwv_device.errors import CustodyError

TIMEOUT = urllib3.Timeout(connect=5, read=15)
ANSWER_LIMIT = 256 << 10


class HttpProvider:
    """`bwv_device.desk.open_id.Ask`. `ca`: PEM file of who may certify its TLS; "" for the system's
    list."""

    def __init__(self, ca: str = "") -> None:
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False, ca_certs=ca or None)

    def __call__(self, address: str, form: str, login: tuple[str, str] | None) -> dict[str, Any]:
        headers = urllib3.make_headers(basic_auth=":".join(login) if login else None)
        headers |= {"Accept": "application/json"}
        if form:
            headers |= {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            answer = self._pool.request(
                "POST" if form else "GET", address, body=form or None, headers=headers,
                preload_content=False, redirect=False,
            )  # fmt: skip
            try:
                status, data = answer.status, answer.read(ANSWER_LIMIT)
            finally:
                answer.close()
            told = json.loads(data)
        except (urllib3.exceptions.HTTPError, ValueError, RecursionError) as error:
            raise CustodyError(
                f"The provider of accounts does not answer: {type(error).__name__}.",
                "Use a passkey, or try again.",
            ) from None
        if status != 200 or not isinstance(told, dict):
            raise CustodyError(f"The provider of accounts answers {status}.", "Sign in again.")
        return told
