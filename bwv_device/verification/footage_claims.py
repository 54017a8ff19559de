"""What a ledger says of each file of footage (rules: docs/format.md, 3.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bwv_device.formats.ledger_lines import Line
from bwv_device.formats.vault_layout import SegmentName, is_recording_id


@dataclass(slots=True)
class Claim:
    """What the ledger says of a file."""

    name: str
    recording: str = ""
    head: bytes = b""
    attested_length: int = 0
    attested_sha256: str = ""
    length: int | None = None
    sha256: str = ""
    plaintext_sha256: str = ""
    plaintext_length: int = 0
    first_pts_ns: int | None = None
    settled: str = ""
    wiped: bool = False


class ClaimError(ValueError):
    """A line that breaks the rules for its kind."""


def follow(claims: dict[str, Claim], boot: int, line: Line) -> None:
    """Keeps what the ledger claims of each file. A boot writes files of its own; of earlier ones it
    may only say how recovery found them: whoever has a stolen device key can write new boots, and
    must not speak for old ones. Raises `ClaimError`."""
    fields, kind = line.fields, line.kind
    if kind not in _CLAIMS:
        return
    named = SegmentName.parse(_text(fields, "segment"))
    if named is None:
        raise ClaimError("names no file of a vault")
    name, own = str(named), named.boot == boot
    if own is (kind == "recovered") or named.boot > boot:
        raise ClaimError(f"speaks of {name}, which is not this boot's to speak of")
    claim = claims.get(name)
    if kind in ("open", "still") and claim is not None:
        raise ClaimError(f"begins {name} again")
    if kind in ("sync", "seal") and claim is None:
        raise ClaimError(f"speaks of {name}, which was never opened")
    if claim is not None and claim.settled:
        raise ClaimError(f"speaks of {name}, which was {claim.settled} before")
    _CLAIMS[kind](claims.setdefault(name, Claim(name)), fields)


def _claim_open(claim: Claim, fields: dict[str, Any]) -> None:
    claim.recording = _recording(fields)
    nonce = _text(fields, "nonce")
    if not re.fullmatch("[0-9a-f]{32}", nonce):
        raise ClaimError("has no nonce of 32 hex digits")
    claim.head = _text(fields, "header").encode() + bytes.fromhex(nonce)
    claim.first_pts_ns = _count(fields, "first_pts_ns")


def _claim_sync(claim: Claim, fields: dict[str, Any]) -> None:
    length = _count(fields, "length")
    if length <= claim.attested_length:
        raise ClaimError("attests no more than was attested before")
    claim.attested_length, claim.attested_sha256 = length, _digest(fields, "sha256")


def _claim_seal(claim: Claim, fields: dict[str, Any]) -> None:
    claim.settled = "sealed"
    claim.length, claim.sha256 = _count(fields, "length"), _digest(fields, "sha256")
    claim.plaintext_sha256 = _digest(fields, "plaintext_sha256")
    length = fields.get("plaintext_length")
    claim.plaintext_length = length if type(length) is int else 0


def _claim_still(claim: Claim, fields: dict[str, Any]) -> None:
    claim.settled, claim.recording = "sealed", _recording(fields)
    claim.length, claim.sha256 = _count(fields, "length"), _digest(fields, "sha256")


def _claim_recovered(claim: Claim, fields: dict[str, Any]) -> None:
    claim.settled = "recovered"
    claim.recording = claim.recording or _recording(fields)
    claim.length, claim.sha256 = _count(fields, "length"), _digest(fields, "sha256")
    if _count(fields, "attested_length") != claim.attested_length:
        raise ClaimError(f"misstates what was attested of {claim.name}")


_CLAIMS = {
    "open": _claim_open,
    "sync": _claim_sync,
    "seal": _claim_seal,
    "still": _claim_still,
    "recovered": _claim_recovered,
}


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.isascii():
        raise ClaimError(f"has no text {name!r}")
    return value


def _count(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int or value < 0:
        raise ClaimError(f"has no number {name!r}")
    return value


def _digest(fields: dict[str, Any], name: str) -> str:
    value = _text(fields, name)
    if not re.fullmatch("[0-9a-f]{64}", value):
        raise ClaimError(f"has no digest {name!r}")
    return value


def _recording(fields: dict[str, Any]) -> str:
    value = _text(fields, "recording")
    if value and not is_recording_id(value):
        raise ClaimError("names no recording")
    return value
