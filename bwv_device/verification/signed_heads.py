"""Ledger heads that left the camera: reading them, and checking that the camera signed them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bwv_device.errors import VaultError
from bwv_device.formats import signature, statement
from bwv_device.formats.certificates import UNREADABLE_CERTIFICATE, chain_leads_to
from bwv_device.formats.mqtt_messages import head_statement
from bwv_device.formats.statement import StatementError
from hal.ports import Anchor

# Of a kept head with its certificate.
LINE_LIMIT = 64 << 10


class LedgerHead(NamedTuple):
    """A ledger head as it left a camera; `signed` is what the device key signed, if it did."""

    anchor: Anchor
    signed: dict[str, Any] | None = None


def parse_head(text: str) -> LedgerHead:
    """A ledger head in each form in which it leaves a camera: an MQTT `state` message, a file that
    `bwv fleet watch --record` wrote, or the head alone. Raises `VaultError`."""
    try:
        value = json.loads(text)
        for name in ("head", "ledger_head"):
            if isinstance(value, dict) and isinstance(value.get(name), dict):
                value = value[name]
        device, digest = value["device"], value["digest"]
        boot, number = value["boot"], value["number"]
        if (
            type(boot) is not int or type(number) is not int or not isinstance(device, str)
            or not re.fullmatch("[0-9a-f]{64}", digest)
        ):  # fmt: skip
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise VaultError(
            "This is not a ledger head.",
            "Give an MQTT 'state' message, a file of 'bwv fleet watch --record', or JSON with "
            "device, boot, number and digest.",
        ) from None
    return LedgerHead(Anchor(device, boot, number, digest), value if "signature" in value else None)


class Recorded(NamedTuple):
    """An anchor with the time at which the camera said it, by its own clock."""

    anchor: Anchor
    utc_ms: int
    error_ms: int


def recorded(folder: Path, device: str, roots: Sequence[x509.Certificate]) -> Recorded | None:
    """The newest head that a watch kept of a camera. None where there is none; `ValueError` where
    what is kept is not the camera's own word."""
    try:
        kept = json.loads((folder / f"{device}.json").read_bytes())
    except FileNotFoundError:
        return None
    return _read(kept, device, roots)


def all_recorded(
    folder: Path, device: str, roots: Sequence[x509.Certificate], after: int, skip: int = 0
) -> list[Recorded]:
    """Every head behind line `after` that a watch kept of a camera, but the first `skip`. A line
    that a power cut tore is passed over. `ValueError` as `recorded`."""
    kept = _lines(folder / f"{device}.heads", skip)
    return [_read(one, device, roots) for one in kept if one["head"]["number"] > after]


def count_recorded(folder: Path, device: str) -> int:
    """How many heads a watch kept of a camera."""
    return sum(1 for _ in _lines(folder / f"{device}.heads", 0))


def fork_proof(folder: Path, device: str) -> str:
    """The digest of the proof that a camera's ledger forked; "" where there is none."""
    try:
        return hashlib.sha256((folder / f"{device}.forked.json").read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def _lines(path: Path, skip: int) -> Iterator[dict[str, Any]]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        yield from islice(_whole_lines(file), skip, None)


def _whole_lines(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Each with its certificate: one that is not said is that of the line before."""
    certificate: object = ""
    while line := file.readline(LINE_LIMIT):
        try:
            kept = json.loads(line)
            certificate = kept.get("certificate", certificate)
            if type(kept["head"]["number"]) is int:
                yield {"head": kept["head"], "certificate": certificate}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue


def _read(kept: Any, device: str, roots: Sequence[x509.Certificate]) -> Recorded:
    try:
        head = kept["head"]
        chain = statement.chain_of(kept["certificate"].encode())
        key = chain[0].public_key()
        times = (int(head["utc_ms"]), int(head["error_ms"]))
    except (StatementError, *UNREADABLE_CERTIFICATE, KeyError, AttributeError) as error:
        raise ValueError(f"the recorded head of {device} can't be read") from error
    of_agency = any(chain_leads_to(chain, root) for root in roots)
    if (
        not of_agency
        or not isinstance(key, ec.EllipticCurvePublicKey)
        or head.get("device") != device
        or not is_signed(key, head)
    ):
        raise ValueError(f"the recorded head of {device} is not signed by that camera")
    return Recorded(Anchor(*(head[name] for name in Anchor._fields)), *times)


def is_signed(key: ec.EllipticCurvePublicKey, head: dict[str, Any]) -> bool:
    """Whether the device key said that its ledger ends here."""
    try:
        anchor = Anchor(*(head[name] for name in Anchor._fields))
        said = bytes.fromhex(head["signature"])
        statement = head_statement(anchor, head["utc_ms"], head["error_ms"])
        return len(said) == 64 and signature.verifies(key, said, statement)
    except (KeyError, TypeError, ValueError):
        return False
