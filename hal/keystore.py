"""The camera's identity as a key in software. A secure element can implement the same port."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID


class SoftwareIdentity:
    """Key and certificate from PEM. Raises `ValueError` when they do not belong together."""

    def __init__(self, key_pem: bytes, certificate_pem: bytes) -> None:
        key = load_pem_private_key(key_pem, password=None)
        chain = x509.load_pem_x509_certificates(certificate_pem)
        certificate = chain[0]
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("the device key is not an elliptic-curve key")
        if certificate.public_key() != key.public_key():
            raise ValueError("the device certificate is for another key")
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        self._key = key
        self._algorithm = ec.ECDSA(SHA256(), deterministic_signing=True)
        self.device = str(names[0].value)
        # Written anew: the file may hold the private key as well, and this leaves the machine.
        self.certificate_pem = b"".join(c.public_bytes(Encoding.PEM) for c in chain)

    @classmethod
    def load(cls, key: Path, certificate: Path) -> SoftwareIdentity:
        return cls(key.read_bytes(), certificate.read_bytes())

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message, self._algorithm)
