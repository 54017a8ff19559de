"""Signed statements between camera, agency and evidence store (docs/format.md, section 6).

Whose word it is comes first: the certificate is read, its holder judged, the signature over the
bytes checked. Only then are the bytes parsed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from bwv_device.formats import canonical_json, signature
from bwv_device.formats.certificates import (
    DEVICES_UNIT,
    ROLES,
    ROLES_UNIT,
    UNREADABLE_CERTIFICATE,
    VIEWING_UNIT,
    chain_leads_to,
)
from bwv_device.formats.grammar import statements
from bwv_device.formats.grammar.decode import GrammarError
from bwv_device.formats.grammar.forms import PEM_LIMIT, Device

T = TypeVar("T")

# Larger than any statement that is meant: a docking names some thousand files at most.
SIZE_LIMIT = 4 << 20

Chain = Sequence[x509.Certificate]


class StatementError(ValueError):
    """Not a statement of the required kind."""


class SignerError(StatementError):
    """Not the word of whom it says, or of somebody who may not say it."""


class Signer(Protocol):
    """A key with its certificate: a camera's identity, a person's or a service's role."""

    @property
    def certificate_pem(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...


class Role(NamedTuple):
    """The holder of a role certificate."""

    name: str
    role: str


class Viewer(NamedTuple):
    """The holder of a viewing certificate, and their X25519 key."""

    person: str
    public: bytes


class Statement(NamedTuple, Generic[T]):
    """What it says, its text (`json TAB signature`), and the signer's certificate with its
    issuer."""

    value: T
    text: str
    certificate: str
    chain: list[x509.Certificate]


def make(signer: Signer, purpose: str, fields: Mapping[str, Any]) -> bytes:
    """The object as it lies in a store: statement, LF, certificate."""
    by = fingerprint(x509.load_pem_x509_certificates(signer.certificate_pem)[0])
    signed = canonical_json.encode({**fields, "purpose": purpose, "by": by})
    text = signed + b"\t" + signature.from_der(signer.sign(signed)).hex().encode()
    return text + b"\n" + signer.certificate_pem


def parse(
    data: bytes, may_say: Callable[[Chain], object] = lambda chain: None
) -> Statement[dict[str, Any]]:
    """An object's fields, if `may_say` raises nothing of its signer's certificates and its
    signature holds. Raises `StatementError`."""
    text, newline, pem = data.partition(b"\n")
    if len(data) > SIZE_LIMIT or not newline:
        raise StatementError("is not a signed statement")
    chain = chain_of(pem)
    may_say(chain)
    return Statement(check(text, chain), text.decode("ascii"), pem.decode("ascii"), chain)


def of_role(
    data: bytes, kind: type[T], roles: Sequence[str], roots: Sequence[x509.Certificate]
) -> Statement[T]:
    """What one of these roles says. Raises `StatementError`."""

    def may_say(chain: Chain) -> None:
        role = role_of(chain, roots).role
        if role not in roles:
            raise SignerError(f"is signed by the role {role!r}, which may not say this")

    return _typed(kind, parse(data, may_say))


def of_camera(
    data: bytes, kind: type[T], device: str, roots: Sequence[x509.Certificate]
) -> Statement[T]:
    """What this camera says. Raises `StatementError`."""

    def may_say(chain: Chain) -> None:
        if camera_of(chain, roots) != device:
            raise SignerError("is signed by another camera")

    return _typed(kind, parse(data, may_say))


def _typed(kind: type[T], said: Statement[dict[str, Any]]) -> Statement[T]:
    try:
        return Statement(statements.typed(kind, said.value), *said[1:])
    except GrammarError as error:
        raise StatementError(str(error)) from None


def check(text: bytes, chain: Chain) -> dict[str, Any]:
    """The fields of `json TAB signature`, if the first of `chain` signed it."""
    signed, said = split(text)
    try:
        key = chain[0].public_key()
    except (*UNREADABLE_CERTIFICATE,):
        raise StatementError("is not a signed statement") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not signature.verifies(key, said, signed):
        raise SignerError("is not signed by the key that it names")
    try:
        fields = canonical_json.decode(signed)
    except ValueError:
        raise StatementError("is not a signed statement") from None
    if fields.get("by") != fingerprint(chain[0]):
        raise SignerError("names another certificate than it brings")
    return fields


def split(text: bytes) -> tuple[bytes, bytes]:
    """What was signed, and the signature. Raises `StatementError`."""
    signed, tab, tail = text.rpartition(b"\t")
    said = signature.from_hex(tail)
    if not tab or said is None or not signed.startswith(b"{") or b"\n" in signed:
        raise StatementError("is not a signed statement")
    return signed, said


def chain_of(pem: bytes) -> list[x509.Certificate]:
    """Certificates and nothing else: text around them would be unsigned."""
    if len(pem) > PEM_LIMIT:
        raise StatementError("brings more than certificates")
    try:
        chain = x509.load_pem_x509_certificates(pem)
        exact = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    except UNREADABLE_CERTIFICATE:
        raise StatementError("brings no certificate that can be read") from None
    if exact != pem:
        raise StatementError("brings more than certificates")
    return chain


def role_of(chain: Chain, roots: Sequence[x509.Certificate] = ()) -> Role:
    """The holder of a role certificate. The roles CA must have issued it, and one of `roots`, where
    there are any, the roles CA. Raises `SignerError`."""
    if not _issued_by(chain, ROLES_UNIT) or (role := _unit(chain[0])) not in ROLES:
        raise SignerError("is not signed by a role that the agency's roles CA certified")
    if roots and not any(chain_leads_to(chain, root) for root in roots):
        raise SignerError("is signed by a role of another agency")
    return Role(_name(chain[0], NameOID.COMMON_NAME), role)


def viewer_of(chain: Chain, roots: Sequence[x509.Certificate]) -> Viewer:
    """The holder of a viewing certificate (docs/format.md, 10.1). Raises `SignerError`."""
    if not _issued_by(chain, ROLES_UNIT) or _unit(chain[0]) != VIEWING_UNIT:
        raise SignerError("brings a viewing key that the agency's roles CA did not certify")
    if not any(chain_leads_to(chain, root) for root in roots):
        raise SignerError("brings a viewing key of another agency")
    try:
        key = chain[0].public_key()
    except (*UNREADABLE_CERTIFICATE,):
        raise SignerError("brings a viewing key that can't be read") from None
    if not isinstance(key, x25519.X25519PublicKey):
        raise SignerError("brings a viewing key that is none: it is not X25519")
    return Viewer(person_of(chain[0]), key.public_bytes_raw())


def person_of(certificate: x509.Certificate) -> str:
    """The identifier of the person who holds a role's certificate (`uid` of its subject);
    the name where it has none."""
    return _name(certificate, NameOID.USER_ID) or _name(certificate, NameOID.COMMON_NAME)


def camera_of(chain: Chain, roots: Sequence[x509.Certificate] = ()) -> str:
    """The camera of a device certificate: its subject is that name alone, the device CA issued it,
    and one of `roots`, where there are any, the device CA. Raises `SignerError`."""
    if not _issued_by(chain, DEVICES_UNIT):
        raise SignerError(
            "the certificate is not a camera's: the agency's device CA has not issued it"
        )
    name = _name(chain[0], NameOID.COMMON_NAME)
    if len(list(chain[0].subject)) != 1 or not Device().fits(name):
        raise SignerError("the certificate does not name a camera")
    if roots and not any(chain_leads_to(chain, root) for root in roots):
        raise SignerError("the camera's certificate does not lead to the agency")
    return name


def fingerprint(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _issued_by(chain: Chain, unit: str) -> bool:
    """Whether it is a certificate and its issuer, the CA of this unit."""
    return len(chain) == 2 and _unit(chain[1]) == unit and chain_leads_to(chain[:1], chain[1])


def _unit(certificate: x509.Certificate) -> str:
    return _name(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME)


def _name(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    """ "" unless there is exactly one."""
    try:
        names = certificate.subject.get_attributes_for_oid(oid)
    except UNREADABLE_CERTIFICATE:
        return ""
    return str(names[0].value) if len(names) == 1 else ""
