"""Gives a film that leaves the agency its manifest: what was done to it, out of what, by whom.

The manifest is signed with the key of the disclosure role, which stays where it is: a process of
its own makes the manifest, and asks for the signature.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib.util
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from bwv_device import __version__
from bwv_device.custody.disclosure.confinement import Limits
from bwv_device.custody.disclosure.media_process import ENVIRONMENT
from bwv_device.errors import CustodyError, MissingPartError
from bwv_device.files import write_durably
from bwv_device.formats.statement import Signer

MODULE = "bwv_device.custody.disclosure.credentials_child"
TRUSTED = "Trusted"
MEMORY, PROCESSOR_S, BYTES_A_SECOND = 4 << 30, 120, 4 << 20
SILENCE_S, LINE_LIMIT = 600, 4 << 20
EVIDENCE = "org.bwv-device.evidence"
Advance = Callable[[float], None]


class MadeOf(NamedTuple):
    """What a film was made of: its recording, sealed segments by name with their SHA-256, custody's
    ledger as far as it was known, and what was done, in C2PA's words."""

    recording: str
    segments: Mapping[str, str]
    custody: Mapping[str, Any]
    actions: Sequence[str]
    redacted: bool = False


def claim(film: Path, made: MadeOf) -> dict[str, Any]:
    """The manifest, before it is signed. The film's source is named, and not contained."""
    first = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["source"]}}
    actions = [first, *({"action": action} for action in made.actions)]
    evidence = {
        "recording": made.recording,
        "segments": [{"name": n, "sha256": d} for n, d in sorted(made.segments.items())],
        "custody": dict(made.custody),
        "redacted": made.redacted,
    }
    generator = {"name": "bwv-device", "version": __version__}
    source = f"{made.recording}, as the camera sealed it"
    return {
        "claim": {
            "claim_generator_info": [generator],
            "title": film.name,
            "format": "video/mp4",
            "assertions": [
                {"label": "c2pa.actions", "data": {"actions": actions}},
                {"label": EVIDENCE, "data": evidence},
            ],
        },
        "ingredients": [
            {"title": source, "relationship": "parentOf", "label": "source",
             "instance_id": "source"}
        ],
    }  # fmt: skip


def embed(
    film: Path, made: MadeOf, signer: Signer, root_pem: bytes, work: Path,
    advance: Advance = lambda share: None,
) -> bool:  # fmt: skip
    """Puts the manifest into the film, in its place. Whether the process was confined. Raises
    `CustodyError` where a verifier that trusts the agency's root would not trust it."""
    if importlib.util.find_spec("c2pa") is None:
        raise MissingPartError(
            "What writes manifests is not installed.", "pip install 'bwv-device[custody]'"
        )
    out = work / f"{film.name}.signed"
    size = film.stat().st_size
    limits = Limits(MEMORY, PROCESSOR_S + size // BYTES_A_SECOND, 2 * size + (64 << 20))
    order = {
        "film": str(film), "out": str(out), "manifest": claim(film, made), "limits": limits,
        "certificates": signer.certificate_pem.decode("ascii"), "root": root_pem.decode("ascii"),
    }  # fmt: skip
    confined, state = _asked(order, signer, advance)
    if state != TRUSTED:
        raise CustodyError(
            f"The manifest of {film.name} would read {state or 'as none'}, not {TRUSTED}.",
            "Enrol a new disclosure key; see that the clock is right.",
        )
    out.chmod(0o600)
    os.replace(out, film)
    return confined


def note_in_sidecar(film: Path) -> None:
    """The sidecar names the film as it is now, and as it was without its manifest."""
    sidecar = film.with_suffix(".json")
    if not sidecar.exists():
        return
    content = json.loads(sidecar.read_text())
    with film.open("rb") as file:
        now = hashlib.file_digest(file, "sha256").hexdigest()
    content["sha256_without_credentials"] = content["sha256"]
    content["sha256"] = now
    write_durably(sidecar, json.dumps(content, indent=2).encode())


def _asked(order: Mapping[str, Any], signer: Signer, advance: Advance) -> tuple[bool, str]:
    confined = False
    with _child() as process:
        assert process.stdin is not None
        _tell(process.stdin, order)
        for told in _lines(process):
            if "confined" in told:
                confined = told["confined"] is True
            elif "share" in told:
                advance(float(told["share"]))
            elif "sign" in told:
                _tell(process.stdin, _signature(signer, base64.b64decode(told["sign"])))
            elif "answer" in told:
                return confined, str(told["answer"])
            elif "error" in told:
                raise CustodyError(*map(str, told["error"]))
    raise CustodyError("The manifest was not made: its process ended.", "Try again.")


def _signature(signer: Signer, message: bytes) -> str:
    """r and s of P-256, as COSE has them."""
    r, s = decode_dss_signature(signer.sign(message))
    return base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()


def _tell(pipe: IO[bytes], value: object) -> None:
    pipe.write(json.dumps(value).encode() + b"\n")
    pipe.flush()


def _lines(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    number, waiting, end_s = process.stdout.fileno(), b"", time.monotonic() + 4 * 3600
    while time.monotonic() < end_s and select.select([number], [], [], SILENCE_S)[0]:
        received = os.read(number, 1 << 16)
        waiting += received
        *lines, waiting = waiting.split(b"\n")
        for line in lines:
            told = json.loads(line)
            if isinstance(told, dict):
                yield told
        if not received or len(waiting) > LINE_LIMIT:
            return


@contextlib.contextmanager
def _child() -> Iterator[subprocess.Popen[bytes]]:
    environment = {key: os.environ[key] for key in ENVIRONMENT if key in os.environ}
    path = [part for part in environment.get("PYTHONPATH", "").split(":") if part.startswith("/")]
    environment["PYTHONPATH"] = ":".join(path)
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", MODULE],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
