"""Roles, and whether a chain of certificates leads to a root (docs/format.md, 6.1)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

# Organizational units of the two CAs below an agency's root: what one certifies, the other can't
# (docs/format.md, 6.1).
DEVICES_UNIT, ROLES_UNIT = "device CA", "roles CA"


# Who signs software: its certificate alone may sign code (format.md, 9).
SOFTWARE = "software"
# Who signs what leaves the agency, films' manifests among it.
DISCLOSURE = "disclosure"
# A person's key that footage is sealed to, never one that signs (docs/format.md, 10.1).
VIEWING_UNIT = "viewing"
# The service that opens headers and writes down who looks.
KEY_DESK = "keydesk"
# What works on films in clear, at the order of people.
RENDERER = "renderer"

ROLES = (
    "intake",
    "configuration",
    "command",
    "custodian",
    "reviewer",
    DISCLOSURE,
    "auditor",
    "retention",
    SOFTWARE,
    KEY_DESK,
    RENDERER,
)


# What a damaged or hostile certificate makes the parser raise, in parts at first use.
UNREADABLE_CERTIFICATE = (
    ValueError,
    TypeError,
    IndexError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.UnsupportedGeneralNameType,
)


def chain_leads_to(chain: Sequence[x509.Certificate], root: x509.Certificate) -> bool:
    """Whether each certificate is issued by the next, and the last by `root`.

    Dates are not looked at: there is no trusted clock on the camera, and evidence outlives
    certificates.
    """
    if not chain:
        return False
    for subject, issuer in zip(chain, [*chain[1:], root], strict=True):
        constraints = _basic_constraints(issuer)
        if constraints is None or not constraints.ca:
            return False
        try:
            subject.verify_directly_issued_by(issuer)
        except (InvalidSignature, *UNREADABLE_CERTIFICATE):
            return False
    return True


def _basic_constraints(certificate: x509.Certificate) -> x509.BasicConstraints | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except UNREADABLE_CERTIFICATE:
        return None
