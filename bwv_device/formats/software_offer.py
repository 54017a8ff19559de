"""An offer of a release to cameras, as it lies in a store (docs/format.md, 9)."""

from __future__ import annotations

from typing import Any, NamedTuple

from bwv_device.formats import canonical_json
from bwv_device.formats.grammar.forms import Hex

OFFER_LIMIT = 65_536
PIECE = 4 << 20
# A bundle is smaller than a slot.
BUNDLE_LIMIT = 1 << 30
PROOF_LIMIT = 63
NUMBER_DIGITS = 9


class OfferError(ValueError):
    """Not an offer, or one that a camera must not follow."""


class Offer(NamedTuple):
    """What it brings, not yet judged (`verification.software_offer`)."""

    line: str
    certificate: str
    number: int
    proof: tuple[str, ...]
    checkpoint: str
    trust: str

    def __bytes__(self) -> bytes:
        return canonical_json.encode({**self._asdict(), "proof": list(self.proof)})

    @classmethod
    def parse(cls, data: bytes) -> Offer:
        """Raises `OfferError`."""
        if len(data) > OFFER_LIMIT:
            raise OfferError("is larger than an offer")
        try:
            said: dict[str, Any] = canonical_json.decode(data)
        except ValueError:
            raise OfferError("is not canonical JSON") from None
        if said.keys() != set(cls._fields):
            raise OfferError("is not an offer")
        proof, number = said.pop("proof"), said.pop("number")
        if not isinstance(proof, list) or len(proof) > PROOF_LIMIT:
            raise OfferError("brings no proof")
        if not all(isinstance(item, str) and Hex(64).fits(item) for item in proof):
            raise OfferError("brings no proof")
        if type(number) is not int or not 0 < number < 1 << 53:
            raise OfferError("names no line")
        if not all(isinstance(text, str) for text in said.values()):
            raise OfferError("is not an offer")
        return cls(proof=tuple(proof), number=number, **said)


def release_numbers(text: str) -> tuple[int, ...]:
    """By which releases are compared. Raises `OfferError` where it is none."""
    parts = text.split(".")
    for part in parts:
        digits = part.isascii() and part.isdigit() and len(part) <= NUMBER_DIGITS
        if not digits or (part != "0" and part.startswith("0")):
            raise OfferError(f"{text[:40]!r} is no release: three numbers with dots between")
    if len(parts) != 3:
        raise OfferError(f"{text[:40]!r} is no release: three numbers with dots between")
    return tuple(int(part) for part in parts)
