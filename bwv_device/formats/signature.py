"""ECDSA P-256 over SHA-256 in one canonical form: r and s as 32 bytes each, s in the lower half.

The other s would verify as well (SEC 1, 4.1.4), so a verifier that took it would leave one form
of every line unexplained.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE = ec.SECP256R1()
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
LENGTH = 64

# RFC 6979: no entropy at signing time, and the same line signed twice is the same line.
_ALGORITHM = ec.ECDSA(SHA256(), deterministic_signing=True)


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    return from_der(key.sign(message, _ALGORITHM))


def from_der(der: bytes) -> bytes:
    """A signature as a key store gives it, in the canonical form."""
    r, s = decode_dss_signature(der)
    s = min(s, ORDER - s)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def from_hex(digits: bytes) -> bytes | None:
    """A signature as it is written: 128 lower-case digits and nothing else."""
    if len(digits) != 2 * LENGTH or digits.strip(b"0123456789abcdef"):
        return None
    return bytes.fromhex(digits.decode("ascii"))


def verifies(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if len(signature) != LENGTH or s > ORDER // 2:
        return False
    try:
        key.verify(encode_dss_signature(r, s), message, _ALGORITHM)
    except InvalidSignature:
        return False
    return True


KEY_ENTROPY = 48


def private_key(entropy: bytes) -> ec.EllipticCurvePrivateKey:
    """A key from `KEY_ENTROPY` bytes (FIPS 186-5, A.2.1: extra random bits)."""
    return ec.derive_private_key(int.from_bytes(entropy, "big") % (ORDER - 1) + 1, CURVE)


def public_bytes(key: ec.EllipticCurvePublicKey) -> bytes:
    """The uncompressed point, 65 bytes."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def public_key(point: bytes) -> ec.EllipticCurvePublicKey:
    """Raises `ValueError` when the point is not on the curve or not uncompressed."""
    if len(point) != 65:
        raise ValueError("not an uncompressed P-256 point")
    return ec.EllipticCurvePublicKey.from_encoded_point(CURVE, point)
