"""The process that puts a manifest into a film. It has no key: what is to be signed goes out on
standard output, and the signature comes back on standard input, each a line of JSON.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path

from bwv_device.custody.disclosure import content_credentials
from bwv_device.custody.disclosure.confinement import Limits, confine
from bwv_device.errors import BwvError

TOLD_EVERY_S = 0.5


def main() -> None:
    said = json.loads(sys.stdin.readline())
    film, out = Path(said["film"]), Path(said["out"])
    told_s = time.monotonic()

    def advance(share: float) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= TOLD_EVERY_S:
            told_s = time.monotonic()
            _say("share", share)

    try:
        _say("confined", confine(Limits(*said["limits"]), [film], out.parent))
        _say(
            "answer",
            content_credentials.embed(
                film, out, said["manifest"], said["certificates"], said["root"], _signed, advance
            ),
        )
    except BwvError as error:
        _say("error", [error.message, error.remedy])
    except (OSError, ValueError, MemoryError) as error:
        _say("error", [f"{film.name} gets no manifest: {type(error).__name__}.", "Try again."])


def _signed(message: bytes) -> bytes:
    _say("sign", base64.b64encode(message).decode())
    return base64.b64decode(json.loads(sys.stdin.readline()))


def _say(kind: str, value: object) -> None:
    sys.stdout.write(json.dumps({kind: value}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
