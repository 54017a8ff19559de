"""Content credentials: a signed manifest inside a film that leaves the agency (C2PA 2).

It runs in a process of its own (`credentials_child`), without the key: what is to be signed is
given to whoever has it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import c2pa

from bwv_device.errors import CustodyError

FORMAT = "video/mp4"
TRUSTED = "Trusted"
REMEDY = "Enrol a new disclosure key: bwv custody enrol --role disclosure."


class CountedFile:
    """A film that is read, some of it twice; `advance` hears how much of `work` is done."""

    def __init__(self, path: Path, advance: Callable[[float], None], work: int) -> None:
        self._file: BinaryIO = path.open("rb")
        self._advance, self._work, self._done = advance, max(1, work), 0

    def read(self, length: int = -1) -> bytes:
        data = self._file.read(length)
        self._done += len(data)
        self._advance(min(1.0, self._done / self._work))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def write(self, data: bytes) -> int:
        raise OSError("a film that is read")

    def flush(self) -> None:
        return

    def close(self) -> None:
        self._file.close()


def embed(
    film: Path,
    out: Path,
    manifest: Mapping[str, Any],
    certificates_pem: str,
    root_pem: str,
    sign: Callable[[bytes], bytes],
    advance: Callable[[float], None] = lambda share: None,
) -> str:
    """Writes the film with its manifest, and reads it again: the state that a verifier gives which
    trusts `root_pem`. `sign`: ECDSA over SHA-256, as r and s. Raises `CustodyError`."""
    builder = c2pa.Builder(json.dumps(manifest["claim"]))
    for ingredient in manifest["ingredients"]:
        with film.open("rb") as parent:
            builder.add_ingredient(json.dumps(ingredient), FORMAT, parent)
    try:
        signer = c2pa.Signer.from_callback(sign, c2pa.C2paSigningAlg.ES256, certificates_pem)
        source = CountedFile(film, advance, 2 * film.stat().st_size)
        with out.open("w+b") as target:
            builder.sign(signer, FORMAT, cast(Any, source), target)
        source.close()
    except c2pa.C2paError as error:
        raise CustodyError(f"{film.name} gets no manifest: {error}.", REMEDY) from None
    return state(out, root_pem)


def state(film: Path, root_pem: str) -> str:
    """`Trusted`, `Valid` (by somebody unknown), `Invalid`; "" for no manifest."""
    told = {
        "trust": {"trust_anchors": root_pem},
        "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
    }
    context = c2pa.Context.from_dict(told)
    try:
        with film.open("rb") as file, c2pa.Reader(FORMAT, file, context=context) as reader:
            return str(reader.get_validation_state() or "")
    except c2pa.C2paError.ManifestNotFound:
        return ""
    except c2pa.C2paError:
        return "Invalid"
