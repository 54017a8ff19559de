"""What a ledger says of receipts and removals (rules: docs/format.md, 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography import x509

from bwv_device.formats import canonical_json, statement
from bwv_device.formats.grammar import ledger_kinds, statements
from bwv_device.formats.grammar.decode import GrammarError
from bwv_device.formats.grammar.ledger_kinds import Custodian, Dock, Wipe
from bwv_device.formats.statement import StatementError
from bwv_device.verification.chain_ends import ChainEnds
from bwv_device.verification.footage_claims import Claim, ClaimError

INTAKE = "intake"


class Deliveries:
    """Follows one boot. A receipt counts only for the docking in which it was asked for."""

    def __init__(self, roots: Sequence[x509.Certificate]) -> None:
        self._roots = roots
        self._nonce = ""
        self._custodians: dict[str, list[x509.Certificate]] = {}
        self._receipted: set[str] = set()

    def follow(self, device: str, said: Any, claims: dict[str, Claim], ends: ChainEnds) -> None:
        """`said` is a line's typed value; `ends` knows all lines so far. Raises `ClaimError`."""
        if isinstance(said, Dock):
            self._nonce = said.nonce or ""
        elif isinstance(said, Custodian):
            self._custodian(said)
        elif isinstance(said, ledger_kinds.Receipt):
            self._receipt(device, said, claims, ends)
        elif isinstance(said, Wipe):
            self._wipe(said, claims)

    def _custodian(self, said: Custodian) -> None:
        try:
            chain = statement.chain_of(said.certificate.encode())
            statement.role_of(chain, self._roots)
        except StatementError as error:
            raise ClaimError(f"introduces a custodian, but {error}") from None
        self._custodians[statement.fingerprint(chain[0])] = chain

    def _receipt(
        self, device: str, line: ledger_kinds.Receipt, claims: dict[str, Claim], ends: ChainEnds
    ) -> None:
        claim = _claim(line.segment, claims)
        if not claim.settled or claim.wiped:
            raise ClaimError(
                f"brings a receipt for {claim.name}, which is not there to be received"
            )
        said = self._said(line.statement)
        settled = {"device": device, "segment": claim.name, "length": claim.length}
        settled |= {"sha256": claim.sha256, "nonce": self._nonce}
        wrong = [name for name, value in settled.items() if getattr(said, name) != value]
        if not ends.holds(said.anchor.number, said.anchor.digest):
            wrong.append("anchor")
        if wrong:
            raise ClaimError(f"brings a receipt for {claim.name} whose {', '.join(wrong)} differ")
        self._receipted.add(claim.name)

    def _said(self, text: str) -> statements.Receipt:
        """The receipt, if a custodian introduced before signed it as intake. Its signer is known
        only from inside it; what is parsed here, the camera has signed."""
        try:
            raw = text.encode("ascii")
            signed, _ = statement.split(raw)
            chain = self._custodians.get(str(canonical_json.decode(signed).get("by")))
            if chain is None:
                raise StatementError("nobody introduced its signer")
            fields = statement.check(raw, chain)
            role = statement.role_of(chain, self._roots).role
            said = statements.typed(statements.Receipt, fields)
        except (StatementError, GrammarError, ValueError) as error:
            raise ClaimError(f"brings a receipt that does not hold: {error}") from None
        if role != INTAKE:
            raise ClaimError("brings a receipt that is not the intake's")
        return said

    def _wipe(self, said: Wipe, claims: dict[str, Claim]) -> None:
        claim = _claim(said.segment, claims)
        if claim.name not in self._receipted or claim.wiped:
            raise ClaimError(f"removes {claim.name} without a receipt")
        claim.wiped = True


def _claim(name: str, claims: dict[str, Claim]) -> Claim:
    if name not in claims:
        raise ClaimError("speaks of a file that was never there")
    return claims[name]
