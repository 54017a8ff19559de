"""Signed statements between camera, agency and evidence store (docs/format.md, section 6)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from bwv_device.formats import canonical_json, signature
from bwv_device.formats.certificates import ROLES_UNIT, UNREADABLE_CERTIFICATE, chain_leads_to

# Larger than any statement that is meant: a docking names some thousand files at most.
SIZE_LIMIT = 4 << 20
TEXT = re.compile(rb"(\{[^\n]*\})\t([0-9a-f]{128})")


class StatementError(ValueError):
    """Not a statement of the required kind and signer."""


class Signer(Protocol):
    """A key with its certificate: a camera's identity, a person's or a service's role."""

    @property
    def certificate_pem(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...


class Role(NamedTuple):
    """The holder of a role certificate."""

    name: str
    role: str


class Statement(NamedTuple):
    """Its fields, its text (`json TAB signature`), and the signer's certificate with its issuer."""

    fields: dict[str, Any]
    text: str
    certificate: str
    chain: list[x509.Certificate]

    @property
    def purpose(self) -> str:
        return str(self.fields.get("purpose"))


def make(signer: Signer, purpose: str, fields: Mapping[str, Any]) -> bytes:
    """The object as it lies in a store: statement, LF, certificate."""
    by = fingerprint(x509.load_pem_x509_certificates(signer.certificate_pem)[0])
    signed = canonical_json.encode({**fields, "purpose": purpose, "by": by})
    text = signed + b"\t" + signature.from_der(signer.sign(signed)).hex().encode()
    return text + b"\n" + signer.certificate_pem


def parse(data: bytes) -> Statement:
    """An object's statement, if its form and its signature hold; whose word it is, is for
    `role_of` and `Statement.fields` to say. Raises `StatementError`."""
    text, newline, pem = data.partition(b"\n")
    if len(data) > SIZE_LIMIT or not newline:
        raise StatementError("is not a signed statement")
    chain = chain_of(pem)
    return Statement(check(text, chain), text.decode("ascii"), pem.decode("ascii"), chain)


def check(text: bytes, chain: Sequence[x509.Certificate]) -> dict[str, Any]:
    """The fields of `json TAB signature`, if the first of `chain` signed it."""
    match = TEXT.fullmatch(text)
    if match is None:
        raise StatementError("is not a signed statement")
    try:
        fields = canonical_json.decode(match[1])
        key = chain[0].public_key()
    except (*UNREADABLE_CERTIFICATE,):
        raise StatementError("is not a signed statement") from None
    if fields.get("by") != fingerprint(chain[0]):
        raise StatementError("names another certificate than it brings")
    signed_by = bytes.fromhex(match[2].decode())
    if not isinstance(key, ec.EllipticCurvePublicKey) or not signature.verifies(
        key, signed_by, match[1]
    ):
        raise StatementError("is not signed by the key that it names")
    return fields


def chain_of(pem: bytes) -> list[x509.Certificate]:
    """Certificates and nothing else: text around them would be unsigned."""
    try:
        chain = x509.load_pem_x509_certificates(pem)
    except UNREADABLE_CERTIFICATE:
        raise StatementError("brings no certificate that can be read") from None
    if b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain) != pem:
        raise StatementError("brings more than certificates")
    return chain


def role_of(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate] = ()) -> Role:
    """The holder of a role certificate. The roles CA must have issued it, and one of `roots`, where
    there are any, the roles CA. Raises `StatementError`."""
    if len(chain) != 2 or _unit(chain[1]) != ROLES_UNIT or not chain_leads_to(chain[:1], chain[1]):
        raise StatementError("is not signed by a role that the agency's roles CA certified")
    if roots and not any(chain_leads_to(chain, root) for root in roots):
        raise StatementError("is signed by a role of another agency")
    return Role(_name(chain[0], NameOID.COMMON_NAME), _unit(chain[0]))


def of_role(
    data: bytes, purpose: str, roles: Sequence[str], roots: Sequence[x509.Certificate]
) -> Statement:
    """A statement with this purpose by one of these roles. Raises `StatementError`."""
    statement = parse(data)
    if statement.purpose != purpose:
        raise StatementError(f"says {statement.purpose!r}, not {purpose!r}")
    role = role_of(statement.chain, roots).role
    if role not in roles:
        raise StatementError(f"is signed by the role {role!r}, which may not say this")
    return statement


def fingerprint(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _unit(certificate: x509.Certificate) -> str:
    return _name(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME)


def _name(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    try:
        names = certificate.subject.get_attributes_for_oid(oid)
    except UNREADABLE_CERTIFICATE:
        return ""
    return str(names[0].value) if names else ""
