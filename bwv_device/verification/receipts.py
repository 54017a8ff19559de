"""What a ledger says of receipts and removals (rules: docs/format.md, 3.5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cryptography import x509

from bwv_device.formats import statement
from bwv_device.formats.ledger_lines import Line
from bwv_device.formats.purposes import RECEIPT
from bwv_device.formats.statement import StatementError
from bwv_device.verification.chain_ends import ChainEnds
from bwv_device.verification.footage_claims import Claim, ClaimError

INTAKE = "intake"
NONCE = re.compile("[0-9a-f]{32}")


class Deliveries:
    """Follows one boot. A receipt counts only for the docking in which it was asked for."""

    def __init__(self, roots: Sequence[x509.Certificate]) -> None:
        self._roots = roots
        self._nonce = ""
        self._custodians: dict[str, list[x509.Certificate]] = {}
        self._receipted: set[str] = set()

    def follow(self, device: str, line: Line, claims: dict[str, Claim], ends: ChainEnds) -> None:
        """`ends` knows all lines so far. Raises `ClaimError`."""
        fields = line.fields
        if line.kind == "dock":
            self._dock(fields)
        elif line.kind == "custodian":
            self._custodian(fields)
        elif line.kind == "receipt":
            self._receipt(device, fields, claims, ends)
        elif line.kind == "wipe":
            self._wipe(fields, claims)

    def _dock(self, fields: dict[str, Any]) -> None:
        nonce = fields.get("nonce", "") if fields.get("docked") is True else ""
        self._nonce = nonce if isinstance(nonce, str) and NONCE.fullmatch(nonce) else ""

    def _custodian(self, fields: dict[str, Any]) -> None:
        pem = fields.get("certificate")
        try:
            chain = statement.chain_of(pem.encode() if isinstance(pem, str) else b"")
            statement.role_of(chain, self._roots)
        except StatementError as error:
            raise ClaimError(f"introduces a custodian, but {error}") from None
        self._custodians[statement.fingerprint(chain[0])] = chain

    def _receipt(
        self,
        device: str,
        fields: dict[str, Any],
        claims: dict[str, Claim],
        ends: ChainEnds,
    ) -> None:
        claim = _claim(fields, claims)
        if not claim.settled or claim.wiped:
            raise ClaimError(
                f"brings a receipt for {claim.name}, which is not there to be received"
            )
        said = self._said(fields.get("statement"))
        settled = {"device": device, "segment": claim.name, "length": claim.length}
        settled |= {"sha256": claim.sha256, "nonce": self._nonce}
        wrong = [name for name, value in settled.items() if said.get(name) != value]
        if not self._nonce:
            wrong.append("docking")
        anchor = said.get("anchor")
        number, digest = (
            (anchor.get("number"), anchor.get("digest")) if isinstance(anchor, dict) else (0, "")
        )
        if type(number) is not int or not ends.holds(number, str(digest)):
            wrong.append("anchor")
        if wrong:
            raise ClaimError(f"brings a receipt for {claim.name} whose {', '.join(wrong)} differ")
        self._receipted.add(claim.name)

    def _said(self, text: Any) -> dict[str, Any]:
        """The receipt's fields, if a custodian introduced before signed it as intake."""
        try:
            raw = text.encode("ascii") if isinstance(text, str) else b""
            by = re.search(rb'"by":"([0-9a-f]{64})"', raw)
            chain = self._custodians.get(by[1].decode() if by else "")
            if chain is None:
                raise StatementError("nobody introduced its signer")
            said = statement.check(raw, chain)
            role = statement.role_of(chain, self._roots).role
        except (StatementError, UnicodeEncodeError) as error:
            raise ClaimError(f"brings a receipt that does not hold: {error}") from None
        if said.get("purpose") != RECEIPT or role != INTAKE:
            raise ClaimError("brings no receipt, or one that is not the intake's")
        return said

    def _wipe(self, fields: dict[str, Any], claims: dict[str, Claim]) -> None:
        claim = _claim(fields, claims)
        if claim.name not in self._receipted or claim.wiped:
            raise ClaimError(f"removes {claim.name} without a receipt")
        claim.wiped = True


def _claim(fields: dict[str, Any], claims: dict[str, Claim]) -> Claim:
    name = fields.get("segment")
    claim = claims.get(name) if isinstance(name, str) else None
    if claim is None:
        raise ClaimError("speaks of a file that was never there")
    return claim
