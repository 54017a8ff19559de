"""Keys of objects in an evidence store (docs/format.md, 6.2; docs/custody.md)."""

from __future__ import annotations

from typing import NamedTuple

from bwv_device.formats.grammar.forms import Device, Hex

STORE = "custody/store"
LINES = "custody/ledger/"
LOG = "custody/log/"
CHECKPOINT = LOG + "checkpoint"
CHECKPOINTS = LOG + "checkpoints/"
DOCKINGS = "dockings/"
FOOTAGE = "footage/"
OUTBOX = "outbox/"
CLAIMS = "custody/claims/"
SOFTWARE = "software/"


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


def parse_receipt(key: str) -> tuple[str, str] | None:
    """Device and segment of a receipt's key; None for what is no such key."""
    parts = key.split("/")
    if len(parts) != 5 or (parts[0], parts[2]) != ("outbox", "receipts"):
        return None
    return (parts[1], parts[4]) if Device().fits(parts[1]) else None


def refusal(device: str, nonce: str, segment: str) -> str:
    return f"outbox/{device}/refusals/{nonce}/{segment or 'docking'}"


def assignment(device: str, version: int) -> str:
    return f"outbox/{device}/assignments/{version:08d}"


def quarantine(device: str, segment: str, found_sha256: str) -> str:
    return f"quarantine/{device}/{segment}/{found_sha256}"


def line(number: int) -> str:
    return LINES + _grouped(number)


def parse_line(key: str) -> int | None:
    """The number of a line's key; None where no line has such a key."""
    digits = key.removeprefix(LINES).replace("/", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) == 12):
        return None
    return int(digits) if line(int(digits)) == key else None


def lines_bundle(position: int) -> str:
    return f"{LOG}lines/{_grouped(position)}"


def log_file(path: str) -> str:
    """A file of tlog-tiles."""
    return LOG + path


def checkpoint(size: int, utc_s: int) -> str:
    return f"{CHECKPOINTS}{size:012d}-{utc_s:012d}"


def signer(fingerprint: str) -> str:
    return f"custody/signers/{fingerprint}"


def body(sha256: str) -> str:
    return f"custody/bodies/{sha256}"


def certificates(root: str) -> str:
    return f"custody/certificates/{root}"


def move(root: str) -> str:
    return f"custody/moves/{root}"


def claim(device: str, nonce: str, generation: int) -> str:
    return f"{CLAIMS}{device}/{nonce}/{generation:04d}"


def software(sha256: str) -> str:
    return f"{SOFTWARE}{sha256}/"


def offer(sha256: str) -> str:
    return f"{software(sha256)}offer"


def software_piece(sha256: str, number: int) -> str:
    return f"{software(sha256)}{number:06d}"


def letter(sha256: str) -> str:
    return f"custody/letters/{sha256}"


def _grouped(number: int) -> str:
    """Twelve digits, three a folder: no folder holds more than a thousand."""
    digits = f"{number:012d}"
    return "/".join(digits[at : at + 3] for at in range(0, 12, 3))
