"""The process that opens films: cuts, looks for faces, covers them. It has no key, and few rights.

One act a process: words on the command line, progress and the answer as lines of JSON on standard
output. `media_process` starts it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
from cryptography import x509

from bwv_device.custody.disclosure import film_signatures, redaction
from bwv_device.custody.disclosure.confinement import Limits, confine
from bwv_device.custody.disclosure.redaction_plan import parse_redaction
from bwv_device.errors import BwvError

TOLD_EVERY_S = 0.5
# What libraries say of a film that is damaged or malicious; a crash ends this process alone.
UNREADABLE = (av.FFmpegError, cv2.error, ValueError, ArithmeticError, LookupError)


def main(words: list[str]) -> None:
    """`ACT FILM OUT LIMITS ARGUMENTS`: `LIMITS` and `ARGUMENTS` in JSON; `OUT` is written in a
    folder where nothing else is."""
    act, film, out = words[0], Path(words[1]), Path(words[2])
    limits, arguments = Limits(*json.loads(words[3])), json.loads(words[4])
    try:
        model = [redaction.model_path()] if act == "propose" else []
        _say("confined", confine(limits, [film, *model], out.parent))
        _say("answer", ACTS[act](film, out, arguments))
    except BwvError as error:
        _say("error", [type(error).__name__, error.message, error.remedy])
    except (*UNREADABLE, MemoryError, RecursionError, OSError) as error:
        message = f"It can't be opened: {type(error).__name__}."
        _say("error", ["ClipError", message, "Look at where it is from."])


def _cut(film: Path, out: Path, arguments: dict[str, Any]) -> object:
    return redaction.cut(film, arguments["from_s"], arguments["to_s"], out)


def _propose(film: Path, out: Path, arguments: dict[str, Any]) -> object:
    return redaction.propose(film, _progress()).as_dict()


def _sheet(film: Path, out: Path, arguments: dict[str, Any]) -> object:
    return redaction.contact_sheet(film, parse_redaction(arguments), out)


def _redact(film: Path, out: Path, arguments: dict[str, Any]) -> object:
    return redaction.redact(film, parse_redaction(arguments), out, _progress())


def _signatures(film: Path, out: Path, arguments: dict[str, Any]) -> object:
    roots = x509.load_pem_x509_certificates(arguments["roots"].encode("ascii"))
    return film_signatures.judge_film(film, roots, _progress()).as_dict()


ACTS: dict[str, Callable[[Path, Path, dict[str, Any]], object]] = {
    "cut": _cut,
    "propose": _propose,
    "sheet": _sheet,
    "redact": _redact,
    "signatures": _signatures,
}


def _progress() -> Callable[[float], None]:
    told_s = time.monotonic()

    def advance(at_s: float) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= TOLD_EVERY_S:
            told_s = time.monotonic()
            _say("at_s", at_s)

    return advance


def _say(kind: str, value: object) -> None:
    sys.stdout.write(json.dumps({kind: value}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
