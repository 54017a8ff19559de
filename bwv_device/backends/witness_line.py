"""The way to witnesses over HTTPS."""

from __future__ import annotations

import urllib3

from bwv_device.custody.history.witnesses import ANSWER_LIMIT, WitnessAnswer

TIMEOUT = urllib3.Timeout(connect=5, read=10)


class HttpWitnessLine:
    """`bwv_device.custody.history.witnesses.WitnessLine`. `ca`: PEM file of who may certify a
    witness; "" for the system's list."""

    def __init__(self, ca: str = "") -> None:
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False, ca_certs=ca or None)

    def post(self, url: str, body: bytes) -> WitnessAnswer:
        try:
            answer = self._pool.request("POST", url, body=body, preload_content=False)
            try:
                return WitnessAnswer(answer.status, answer.read(ANSWER_LIMIT))
            finally:
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
