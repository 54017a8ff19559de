"""Whether a camera may follow an offer: the agency signed the release, and others have seen that it
did (docs/format.md, 9). Needs the agency's root alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from cryptography import x509

from bwv_device.formats import statement
from bwv_device.formats.grammar.forms import Hex
from bwv_device.formats.software_offer import (
    BUNDLE_LIMIT,
    Offer,
    OfferError,
    release_numbers,
)
from bwv_device.formats.statement import StatementError
from bwv_device.verification.tlog.checkpoint import cosigned, read_signed
from bwv_device.verification.tlog.merkle_tree import leaf_hash, proves_inclusion
from bwv_device.verification.tlog.signed_note import NoteError
from bwv_device.verification.trust_list import Trust, read_trust_list

KIND, MAY_OFFER = "software", "custodian"


class Release(NamedTuple):
    """What custody's ledger names: the bundle's digest, lower-case hex, and its length."""

    release: str
    sha256: str
    length: int


def judge(data: bytes, sha256: str, roots: Sequence[x509.Certificate]) -> Release:
    """The release that this offer brings for the bundle of this digest. Raises `OfferError` with
    the reason: anybody may have laid it there."""
    offer = Offer.parse(data)
    try:
        trust = read_trust_list(offer.trust, roots)
        fields = _line(offer, trust, roots)
    except StatementError as error:
        raise OfferError(f"its line does not count: {error}") from None
    _seen(offer, trust)
    return _release(fields, sha256)


def _line(offer: Offer, trust: Trust, roots: Sequence[x509.Certificate]) -> dict[str, Any]:
    """What the line says, if a custodian signed it who counts."""
    chain = statement.chain_of(offer.certificate.encode())
    role = statement.role_of(chain, roots).role
    if role != MAY_OFFER:
        raise StatementError(f"the role {role!r} may not offer software")
    fields = statement.check(offer.line.encode(), chain)
    if trust.roles_cas and statement.fingerprint(chain[1]) not in trust.roles_cas:
        raise StatementError("the trust list does not name its signer's CA")
    since_ns, utc_ns = trust.revoked_since_ns(fields["by"]), fields.get("utc_ns")
    if type(utc_ns) is not int or (since_ns is not None and utc_ns >= since_ns):
        raise StatementError("its signer was revoked")
    if (fields.get("kind"), fields.get("n")) != (KIND, offer.number):
        raise StatementError("it is another line")
    return fields


def _seen(offer: Offer, trust: Trust) -> None:
    """Witnesses saw a log that holds the line."""
    if not trust.quorum:
        raise OfferError("nobody outside the agency has seen it: the trust list names no witnesses")
    try:
        signed = read_signed(offer.checkpoint.encode(), trust.log)
    except NoteError as error:
        raise OfferError(f"its checkpoint {error}") from None
    keys = [witness.key for witness in trust.witnesses]
    names = {cosignature.witness for cosignature in cosigned(signed, keys).values()}
    if len(names) < trust.quorum:
        raise OfferError(f"{len(names)} witnesses have seen it, and {trust.quorum} must")
    leaf = leaf_hash(hashlib.sha256(offer.line.encode()).digest())
    proof = [bytes.fromhex(item) for item in offer.proof]
    checkpoint = signed.checkpoint
    if not proves_inclusion(leaf, offer.number - 1, checkpoint.size, proof, checkpoint.root):
        raise OfferError("its line does not stand in the log that the witnesses have seen")


def _release(fields: dict[str, Any], sha256: str) -> Release:
    release, digest, length = (fields.get(name) for name in ("release", "sha256", "length"))
    if digest != sha256 or not Hex(64).fits(digest):
        raise OfferError("it is the offer of another bundle")
    if type(length) is not int or not 0 < length <= BUNDLE_LIMIT or not isinstance(release, str):
        raise OfferError("its line names no bundle")
    release_numbers(release)
    return Release(release, sha256, length)
