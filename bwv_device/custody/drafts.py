"""Lines that a person signs on another machine, where the key is (docs/format.md, 12.2).

An act is carried out twice by the same code as on the command line. The first time it ends where
its line would be signed: that is the draft. The second time it brings the signature; the line is
written if it is the same to the last bit, and else there is a new draft. So a signature is good for
one place in the ledger, and nothing is decided on what was true when the draft was made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bwv_device.custody.ledger.bodies import split
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.ledger import (
    SALT_BYTES,
    CustodyLine,
    Decided,
)
from bwv_device.custody.retention_dates import Retention
from bwv_device.custody.session import CustodySession, Decide
from bwv_device.errors import CustodyError
from bwv_device.formats import canonical_json, signature
from bwv_device.formats.grammar.forms import Hex
from bwv_device.formats.statement import StatementError, chain_of
from bwv_device.formats.statement import split as parted
from hal.ports import SECOND_NS, Clock, Entropy, EvidenceStore, UtcReading

# So long may a person look at what they are about to sign.
DRAFT_NS = 10 * 60 * SECOND_NS
AGAIN = "Ask for a new draft."


class Draft(NamedTuple):
    """What is to be signed, and the body whose digest stands in it ("" for none)."""

    line: str
    body: str


class SignatureNeededError(Exception):
    """Nothing was written: this is what the person must sign."""

    def __init__(self, draft: Draft) -> None:
        super().__init__("a signature is needed")
        self.draft = draft


@dataclass(frozen=True, slots=True)
class SignedDraft:
    """A draft as it came back. `utc_ns` and `salt` are what made it the line that it is."""

    line: bytes
    signature: bytes
    utc_ns: int
    salt: bytes

    @classmethod
    def read(cls, text: str, body: str) -> SignedDraft:
        """`text`: `json TAB signature`. Raises `CustodyError`; the signature is not yet judged."""
        try:
            signed, said = parted(text.encode("ascii"))
            fields = canonical_json.decode(signed)
            salt = canonical_json.decode(body.encode("ascii"))["salt"] if body else "00"
        except (ValueError, KeyError):
            raise CustodyError("What came back is no signed line.", AGAIN) from None
        if type(fields.get("utc_ns")) is not int or not isinstance(salt, str):
            raise CustodyError("What came back is no signed line.", AGAIN)
        if body and not Hex(2 * SALT_BYTES).fits(salt):
            raise CustodyError("What came back is no signed line.", AGAIN)
        return cls(signed, said, fields["utc_ns"], bytes.fromhex(salt))


class AbsentSigner:
    """The certificates of a person whose key is elsewhere, and the one signature that they gave.
    Raises `CustodyError` where the certificates can't be read."""

    def __init__(self, certificate_pem: bytes, given: SignedDraft | None = None) -> None:
        self.certificate_pem, self._given = certificate_pem, given
        try:
            self._key = chain_of(certificate_pem)[0].public_key()
        except StatementError as error:
            raise CustodyError(f"The certificate {error}.", "Enrol this browser anew.") from None

    def sign(self, message: bytes) -> bytes:
        """DER. A signature that does not hold would leave an object at the next number that is no
        line: it is judged first."""
        given = self._given
        if given is None or given.line != message:
            raise _Unsigned(message)
        if not isinstance(self._key, ec.EllipticCurvePublicKey) or not signature.verifies(
            self._key, given.signature, message
        ):
            raise CustodyError("The signature is not of the key that is certified.", AGAIN)
        r, s = (int.from_bytes(given.signature[at : at + 32], "big") for at in (0, 32))
        return encode_dss_signature(r, s)


class _Unsigned(Exception):
    def __init__(self, message: bytes) -> None:
        super().__init__()
        self.message = message


class _ThatMoment:
    """The clock of a session that carries out what was drafted a moment ago."""

    def __init__(self, clock: Clock, utc_ns: int) -> None:
        self._clock, self._utc_ns = clock, utc_ns

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()

    def utc(self) -> UtcReading:
        return self._clock.utc()._replace(utc_ns=self._utc_ns)


class _ThatSalt:
    """Random where nothing was drafted."""

    def __init__(self, entropy: Entropy, salt: bytes | None) -> None:
        self._entropy, self._drafted = entropy, salt
        self.salt = b""

    def token(self, count: int) -> bytes:
        token = self._drafted if self._drafted is not None else self._entropy.token(count)
        self.salt = token
        return token


class _SessionWithBody(CustodySession):
    """Knows the body of the line that it is about to have signed."""

    def __init__(self, salt: _ThatSalt, *parts: Any) -> None:
        self._salt = salt
        self._decided: Decided | None = None
        super().__init__(*parts)

    def append(self, decide: Decide) -> CustodyLine | None:
        try:
            return super().append(decide)
        finally:
            self._decided = None

    def _allowed(self, decided: Decided | None) -> Decided | None:
        self._decided = super()._allowed(decided)
        return self._decided

    def drafted_body(self) -> str:
        """ "" where the line has none, or no line is being written."""
        body: dict[str, Any] = split(*self._decided)[1] if self._decided else {}
        if not body:
            return ""
        return canonical_json.encode({**body, "salt": self._salt.salt.hex()}).decode("ascii")


class DraftingSession(_SessionWithBody):
    """A session of a person whose key is elsewhere. `append` raises `SignatureNeededError` unless
    `given` is what it would write."""

    def __init__(
        self,
        store: EvidenceStore,
        clock: Clock,
        certificate_pem: bytes,
        roots: Sequence[x509.Certificate],
        retention: Retention,
        entropy: Entropy,
        index: Index,
        trust_list: str = "",
        given: SignedDraft | None = None,
    ) -> None:
        if given is not None and not 0 <= clock.utc().utc_ns - given.utc_ns <= DRAFT_NS:
            given = None
        moment = _ThatMoment(clock, given.utc_ns) if given else clock
        salt = _ThatSalt(entropy, given.salt if given else None)
        super().__init__(
            salt, store, moment, AbsentSigner(certificate_pem, given), roots, retention, salt,
            None, trust_list, index,
        )  # fmt: skip

    def append(self, decide: Decide) -> CustodyLine | None:
        try:
            return CustodySession.append(self, decide)
        except _Unsigned as unsigned:
            draft = Draft(unsigned.message.decode("ascii"), self.drafted_body())
            raise SignatureNeededError(draft) from None
        finally:
            self._decided = None


# What is to be signed and the body of the line that it is, "" for none: the signature, r and s.
Ask = Callable[[bytes, str], bytes]


class AskingSession(_SessionWithBody):
    """A session of a person who is asked for each signature while the work waits. `ask` raises
    `CustodyError` where none comes."""

    def __init__(
        self,
        store: EvidenceStore,
        clock: Clock,
        certificate_pem: bytes,
        ask: Ask,
        roots: Sequence[x509.Certificate],
        retention: Retention,
        entropy: Entropy,
        index_path: Path | None,
        trust_list: str = "",
    ) -> None:
        salt = _ThatSalt(entropy, None)
        signer = _AskedSigner(certificate_pem, lambda message: ask(message, self.drafted_body()))
        super().__init__(
            salt, store, clock, signer, roots, retention, salt, index_path, trust_list
        )  # fmt: skip


class _AskedSigner:
    def __init__(self, certificate_pem: bytes, ask: Callable[[bytes], bytes]) -> None:
        self.certificate_pem, self._ask = certificate_pem, ask

    def sign(self, message: bytes) -> bytes:
        given = SignedDraft(message, self._ask(message), 0, b"")
        return AbsentSigner(self.certificate_pem, given).sign(message)
