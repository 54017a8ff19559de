"""age's tagged recipients for a P-256 key that a token holds (C2SP age.md, "The tagged recipient
types"): stanzas `p256tag`, recipients `age1tag1…`, which age encrypts to from 1.3 on.

HPKE (RFC 9180) in base mode: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305. A token
gives the product of two points and nothing else, so the key schedule is done here.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bwv_device.errors import SealedFileError
from bwv_device.formats import bech32
from bwv_device.formats.age import WRAPPED_KEY_LENGTH, Stanza, decode_base64, encode_base64
from hal.ports import Entropy

KIND = "p256tag"
INFO = b"age-encryption.org/p256tag"
TAG_LENGTH, POINT_LENGTH, KEY_LENGTH, NONCE_LENGTH = 4, 65, 32, 12
SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
VERSION = b"HPKE-v1"
# RFC 9180, 7.1 to 7.3: the KEM alone; and KEM, KDF and AEAD.
KEM_SUITE, HPKE_SUITE = b"KEM" + b"\x00\x10", b"HPKE" + b"\x00\x10" + b"\x00\x01" + b"\x00\x03"


@dataclass(frozen=True, slots=True)
class TagRecipient:
    """The public half of a token's key."""

    public: ec.EllipticCurvePublicKey
    kind: str = KIND

    def wrap(self, file_key: bytes, entropy: Entropy) -> Stanza:
        """HPKE draws its own entropy."""
        sealed = SUITE.encrypt(file_key, self.public, info=INFO)
        share, body = sealed[:POINT_LENGTH], sealed[POINT_LENGTH:]
        return Stanza((KIND, encode_base64(self.tag(share)), encode_base64(share)), body)

    def tag(self, share: bytes) -> bytes:
        """Whoever has the key finds its own stanza by it; nobody else sees whose it is."""
        compressed = self.public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        named = hashlib.sha256(compressed).digest()[:TAG_LENGTH]
        return hmac.digest(INFO, share + named, "sha256")[:TAG_LENGTH]

    def __str__(self) -> str:
        compressed = self.public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        return bech32.encode("age1tag", compressed)


@dataclass(frozen=True, slots=True)
class TagIdentity:
    """`exchange` gives the x coordinate (32 bytes) of a point times the private key."""

    public: ec.EllipticCurvePublicKey
    exchange: Callable[[bytes], bytes]

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """Raises `SealedFileError` on a malformed stanza."""
        if stanza.arguments[0] != KIND:
            return None
        if len(stanza.arguments) != 3 or len(stanza.body) != WRAPPED_KEY_LENGTH:
            raise SealedFileError("A stanza for a token is malformed.")
        tag, share = (decode_base64(argument) for argument in stanza.arguments[1:])
        if len(tag) != TAG_LENGTH or len(share) != POINT_LENGTH:
            raise SealedFileError("A stanza for a token is malformed.")
        if not hmac.compare_digest(tag, TagRecipient(self.public).tag(share)):
            return None
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), share)
        except ValueError:
            raise SealedFileError("A stanza for a token names no point.") from None
        own = self.public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        key, nonce = _schedule(self.exchange(share), share + own)
        try:
            return ChaCha20Poly1305(key).decrypt(nonce, stanza.body, None)
        except InvalidTag:
            return None


def _schedule(shared: bytes, context: bytes) -> tuple[bytes, bytes]:
    """Key and nonce of the first message (RFC 9180, 4.1 and 5.1)."""
    extracted = _extract(KEM_SUITE, b"", b"eae_prk", shared)
    secret = _expand(KEM_SUITE, extracted, b"shared_secret", context, KEY_LENGTH)
    hashes = [_extract(HPKE_SUITE, b"", label, value)
              for label, value in ((b"psk_id_hash", b""), (b"info_hash", INFO))]  # fmt: skip
    base = b"\x00" + b"".join(hashes)
    final = _extract(HPKE_SUITE, secret, b"secret", b"")
    return (
        _expand(HPKE_SUITE, final, b"key", base, KEY_LENGTH),
        _expand(HPKE_SUITE, final, b"base_nonce", base, NONCE_LENGTH),
    )


def _extract(suite: bytes, salt: bytes, label: bytes, value: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), VERSION + suite + label + value, "sha256")


def _expand(suite: bytes, secret: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """At most one block."""
    labelled = length.to_bytes(2, "big") + VERSION + suite + label + info
    return hmac.digest(secret, labelled + b"\x01", "sha256")[:length]
