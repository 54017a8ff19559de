"""Keys of objects in an evidence store (docs/format.md, 6.2; docs/custody.md)."""

from __future__ import annotations

from typing import NamedTuple

from bwv_device.formats.grammar.forms import Device, Hex

LINES = "custody/ledger/"
DOCKINGS = "dockings/"


class DockingKey(NamedTuple):
    device: str
    nonce: str


def parse_docking(key: str) -> DockingKey | None:
    """None where it has another form: keys are written by whoever may write into the store."""
    parts = key.split("/")
    if len(parts) != 3 or not Device().fits(parts[1]) or not Hex(32).fits(parts[2]):
        return None
    return DockingKey(parts[1], parts[2])


def docking(device: str, nonce: str) -> str:
    return f"{DOCKINGS}{device}/{nonce}"


def ledger_pieces(device: str, nonce: str) -> str:
    return f"ledgers/{device}/{nonce}/"


def ledger_piece(device: str, nonce: str, boot: int, offset: int) -> str:
    return f"{ledger_pieces(device, nonce)}{boot:08d}-{offset:012d}"


def footage(device: str, segment: str, sha256: str) -> str:
    return f"footage/{device}/{segment}/{sha256}"


def greeting(device: str, nonce: str) -> str:
    return f"outbox/{device}/greetings/{nonce}"


def receipt(device: str, nonce: str, segment: str) -> str:
    return f"outbox/{device}/receipts/{nonce}/{segment}"


def refusal(device: str, nonce: str, segment: str) -> str:
    return f"outbox/{device}/refusals/{nonce}/{segment or 'docking'}"


def assignment(device: str, version: int) -> str:
    return f"outbox/{device}/assignments/{version:08d}"


def quarantine(device: str, segment: str, found_sha256: str) -> str:
    return f"quarantine/{device}/{segment}/{found_sha256}"


def line(number: int) -> str:
    return f"{LINES}{number:012d}"


def claim(device: str, nonce: str, generation: int) -> str:
    return f"custody/claims/{device}/{nonce}/{generation:04d}"


def letter(request: str, name: str) -> str:
    return f"custody/requests/{request}/{name}"
