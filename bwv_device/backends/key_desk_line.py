"""The way to a key desk on another machine, over HTTPS (docs/format.md, 10.4)."""

from __future__ import annotations

import json

import urllib3

from bwv_device.custody.key_desk.key_desk import Answer
from bwv_device.errors import CustodyError
from bwv_device.formats.visible_text import visible

TIMEOUT = urllib3.Timeout(connect=5, read=60)
# A grant of 256 files is smaller.
ANSWER_LIMIT = 1 << 20
OK, WAITING, REFUSED = 200, 202, 403


class HttpDesk:
    """`bwv_device.custody.key_desk.looking.Desk`. `ca`: PEM file of who may certify its TLS; "" for
    the system's list."""

    def __init__(self, url: str, ca: str = "") -> None:
        self._url = url.rstrip("/") + "/view"
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False, ca_certs=ca or None)

    def answer(self, request: bytes, approval: bytes = b"") -> Answer:
        """Raises `CustodyError` where it refuses, or can't be reached."""
        # What is not ASCII is no statement: the desk says so.
        asked = {
            "request": request.decode("ascii", "replace"),
            "approval": approval.decode("ascii", "replace"),
        }
        try:
            answer = self._pool.request(
                "POST", self._url, body=json.dumps(asked).encode(), preload_content=False,
                redirect=False,
            )  # fmt: skip
            try:
                status, body = answer.status, answer.read(ANSWER_LIMIT)
            finally:
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise CustodyError(
                f"The key desk {self._url} can't be reached: {type(error).__name__}.",
                "See that 'bwv keydesk serve' runs, and check --desk.",
            ) from None
        if status == OK:
            return Answer(0, body)
        text = visible(body.decode("utf-8", "replace").strip())[:1000]
        if status == WAITING and text.isascii() and text.isdigit() and len(text) < 19:
            return Answer(int(text))
        if status == REFUSED:
            raise CustodyError(text, "")
        raise CustodyError(f"The key desk answered {status}: {text}", "Look at its log.")
