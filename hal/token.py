"""A P-256 key in a token behind PKCS #11: a smart card, a USB key, a hardware security module.

The key is made in the token and never leaves it. What signs is the token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pkcs11
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509.oid import NameOID
from pkcs11 import KDF, Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import (
    encode_ec_public_key,
    encode_ecdsa_signature,
    encode_named_curve_parameters,
)

from hal.ports import SigningError

CURVE = "secp256r1"


class TokenError(SigningError):
    """What a token, or its module, refuses, in words."""


class TokenKey:
    """The key `label` of the token `token`; `module` is the path of its PKCS #11 library. A session
    is opened for each act: a token may be drawn meanwhile. Raises `TokenError`."""

    def __init__(self, module: str, token: str, label: str, pin: str) -> None:
        self._module, self._token, self._label, self._pin = module, token, label, pin

    def make(self) -> ec.EllipticCurvePublicKey:
        """A new pair in the token, which does not give the private one away."""
        with self._session(writing=True) as session:
            if any(True for _ in session.get_objects({Attribute.LABEL: self._label})):
                raise TokenError(f"the token holds something named {self._label!r} already")
            curve = {Attribute.EC_PARAMS: encode_named_curve_parameters(CURVE)}
            parameters = session.create_domain_parameters(KeyType.EC, curve, local=True)
            identifier = hashlib.sha256(self._label.encode()).digest()[:8]
            public, _ = parameters.generate_keypair(
                store=True,
                label=self._label,
                id=identifier,
                private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )
            return _public(public)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        with self._session() as session:
            return _public(session.get_key(ObjectClass.PUBLIC_KEY, label=self._label))

    def sign(self, message: bytes) -> bytes:
        """ECDSA over SHA-256 of `message`, DER."""
        with self._session() as session:
            key = session.get_key(ObjectClass.PRIVATE_KEY, label=self._label)
            digest = hashlib.sha256(message).digest()
            made: bytes = encode_ecdsa_signature(key.sign(digest, mechanism=Mechanism.ECDSA))
            return made

    def exchange(self, point: bytes) -> bytes:
        """The x coordinate (32 bytes) of an uncompressed point times the private key (SP 800-56A,
        5.7.1.2): the token multiplies, and gives no more away."""
        with self._session() as session:
            key = session.get_key(ObjectClass.PRIVATE_KEY, label=self._label)
            derived = key.derive_key(
                KeyType.GENERIC_SECRET,
                256,
                mechanism=Mechanism.ECDH1_DERIVE,
                mechanism_param=(KDF.NULL, None, point),
                template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True},
            )
            shared: bytes = derived[Attribute.VALUE]
            return shared

    @contextmanager
    def _session(self, *, writing: bool = False) -> Iterator[Any]:
        try:
            token = pkcs11.lib(self._module).get_token(token_label=self._token)
            with token.open(rw=writing, user_pin=self._pin) as session:
                yield session
        except pkcs11.exceptions.PinIncorrect:
            raise TokenError("the PIN is wrong") from None
        except pkcs11.exceptions.PinLocked:
            raise TokenError("the PIN is locked: too many wrong ones") from None
        except (pkcs11.exceptions.NoSuchToken, pkcs11.exceptions.TokenNotPresent):
            raise TokenError(f"there is no token {self._token!r}") from None
        except (pkcs11.exceptions.NoSuchKey, pkcs11.exceptions.MultipleObjectsReturned):
            raise TokenError(f"the token has not exactly one key {self._label!r}") from None
        except (pkcs11.exceptions.PKCS11Error, RuntimeError) as error:
            said = str(error) or type(error).__name__
            raise TokenError(f"the module {self._module} says: {said}") from None


class TokenIdentity:
    """A certified key in a token, as the port `Identity`. Raises `ValueError` when certificate and
    key do not belong together."""

    def __init__(self, key: TokenKey, certificate_pem: bytes) -> None:
        chain = x509.load_pem_x509_certificates(certificate_pem)
        if chain[0].public_key() != key.public_key():
            raise ValueError("the certificate is for another key than the token's")
        names = chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        self._key = key
        self.device = str(names[0].value)
        self.certificate_pem = b"".join(c.public_bytes(Encoding.PEM) for c in chain)

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def _public(key: Any) -> ec.EllipticCurvePublicKey:
    loaded = load_der_public_key(encode_ec_public_key(key))
    if not isinstance(loaded, ec.EllipticCurvePublicKey) or loaded.curve.name != CURVE:
        raise TokenError("the key is not a P-256 key")
    return loaded
