"""What a browser asks to have certified: the key that a person signs with, and the key that they
look with (docs/format.md, 12.1).

Not PKCS #10: an X25519 key signs nothing, so it can't sign a request of its own. One request,
signed by the one key that can sign, holds both.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, x25519

from bwv_device.formats import canonical_json, signature
from bwv_device.formats.grammar.forms import Hex
from bwv_device.formats.grammar.purposes import ENROLMENT
from bwv_device.formats.statement import StatementError, split

REQUEST_LIMIT = 4096
FIELDS = {"purpose": str, "signing_key": str, "viewing_key": str, "utc_ns": int}


class EnrolmentRequest(NamedTuple):
    """`digest` of its text: both sides show it, so that two people see that it is the same."""

    signing: ec.EllipticCurvePublicKey
    viewing: x25519.X25519PublicKey
    digest: str

    @property
    def fingerprint(self) -> str:
        """What people read to each other: 80 bits in groups of four digits."""
        return " ".join(self.digest[at : at + 4] for at in range(0, 20, 4))


def read_request(data: bytes) -> EnrolmentRequest:
    """`json TAB signature LF`. Raises `StatementError`."""
    if len(data) > REQUEST_LIMIT or not data.endswith(b"\n"):
        raise StatementError("is not a request to enrol")
    text = data.removesuffix(b"\n")
    signed, said = split(text)
    try:
        fields = canonical_json.decode(signed)
    except ValueError:
        raise StatementError("is not a request to enrol") from None
    if {name: type(value) for name, value in fields.items()} != FIELDS:
        raise StatementError("is not a request to enrol")
    if fields["purpose"] != ENROLMENT:
        raise StatementError("is not a request to enrol")
    if not Hex(130).fits(fields["signing_key"]) or not Hex(64).fits(fields["viewing_key"]):
        raise StatementError("names no keys")
    try:
        signing = signature.public_key(bytes.fromhex(fields["signing_key"]))
    except ValueError:
        raise StatementError("names no keys") from None
    if not signature.verifies(signing, said, signed):
        raise StatementError("is not signed by the key that it names")
    viewing = x25519.X25519PublicKey.from_public_bytes(bytes.fromhex(fields["viewing_key"]))
    return EnrolmentRequest(signing, viewing, hashlib.sha256(text).hexdigest())
