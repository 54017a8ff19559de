"""age v1 keys and headers (C2SP age.md), for the two public-key recipient types.

`mlkem768x25519` is the hybrid of ML-KEM-768 and X25519 (HPKE base mode, draft-ietf-hpke-pq);
`X25519` is the classic one. They are never mixed in one file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bwv_device.errors import KeyFileError, SealedFileError
from bwv_device.formats import bech32
from hal.ports import Entropy

VERSION_LINE = b"age-encryption.org/v1\n"
FILE_KEY_LENGTH = 16
WRAPPED_KEY_LENGTH = 32
COLUMNS = 64

X25519_INFO = b"age-encryption.org/v1/X25519"
HYBRID_INFO = b"age-encryption.org/mlkem768x25519"
HYBRID_ENC_LENGTH = 1120
MLKEM_PUBLIC_LENGTH = 1184
HYBRID_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)

# The header is read into memory before anything in it is authenticated.
HEADER_LIMIT = 64 * 1024


class Stanza(NamedTuple):
    """One recipient's wrap of the file key."""

    arguments: tuple[str, ...]
    body: bytes


class Recipient(Protocol):
    @property
    def kind(self) -> str: ...

    def wrap(self, file_key: bytes, entropy: Entropy) -> Stanza: ...


class Identity(Protocol):
    def unwrap(self, stanza: Stanza) -> bytes | None:
        """The file key, or None if the stanza is for another recipient."""
        ...


# --- recipient types -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class X25519Recipient:
    public: bytes
    kind: str = "X25519"

    def wrap(self, file_key: bytes, entropy: Entropy) -> Stanza:
        ephemeral = x25519.X25519PrivateKey.from_private_bytes(entropy.token(32))
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(x25519.X25519PublicKey.from_public_bytes(self.public))
        key = _hkdf(shared, share + self.public, X25519_INFO)
        return Stanza(
            ("X25519", encode_base64(share)),
            ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None),
        )

    def __str__(self) -> str:
        return bech32.encode("age", self.public)


@dataclass(frozen=True, slots=True)
class X25519Identity:
    secret: bytes

    def recipient(self) -> X25519Recipient:
        return X25519Recipient(self._key().public_key().public_bytes_raw())

    def unwrap(self, stanza: Stanza) -> bytes | None:
        if stanza.arguments[0] != "X25519":
            return None
        share = _share(stanza, 32)
        shared = _exchange(self._key(), share)
        key = _hkdf(shared, share + self.recipient().public, X25519_INFO)
        try:
            return ChaCha20Poly1305(key).decrypt(bytes(12), stanza.body, None)
        except InvalidTag:
            return None

    def _key(self) -> x25519.X25519PrivateKey:
        return x25519.X25519PrivateKey.from_private_bytes(self.secret)

    def __str__(self) -> str:
        return bech32.encode("age-secret-key-", self.secret).upper()


@dataclass(frozen=True, slots=True)
class HybridRecipient:
    """`public` is the ML-KEM-768 encapsulation key, then the X25519 public key."""

    public: bytes
    kind: str = "mlkem768x25519"

    def wrap(self, file_key: bytes, entropy: Entropy) -> Stanza:
        """HPKE draws its own entropy: such headers differ from run to run."""
        sealed = HYBRID_SUITE.encrypt(file_key, self._key(), info=HYBRID_INFO)
        enc, body = sealed[:HYBRID_ENC_LENGTH], sealed[HYBRID_ENC_LENGTH:]
        return Stanza(("mlkem768x25519", encode_base64(enc)), body)

    def _key(self) -> MLKEM768X25519PublicKey:
        return MLKEM768X25519PublicKey(
            mlkem.MLKEM768PublicKey.from_public_bytes(self.public[:MLKEM_PUBLIC_LENGTH]),
            x25519.X25519PublicKey.from_public_bytes(self.public[MLKEM_PUBLIC_LENGTH:]),
        )

    def __str__(self) -> str:
        return bech32.encode("age1pq", self.public)


@dataclass(frozen=True, slots=True)
class HybridIdentity:
    """`seed` expands by SHAKE256 to the ML-KEM seed (64 bytes) and the X25519 key (32)."""

    seed: bytes

    def recipient(self) -> HybridRecipient:
        mlkem_key, x25519_key = self._keys()
        return HybridRecipient(
            mlkem_key.public_key().public_bytes_raw() + x25519_key.public_key().public_bytes_raw()
        )

    def unwrap(self, stanza: Stanza) -> bytes | None:
        if stanza.arguments[0] != "mlkem768x25519":
            return None
        enc = _share(stanza, HYBRID_ENC_LENGTH)
        mlkem_key, x25519_key = self._keys()
        key = MLKEM768X25519PrivateKey(mlkem_key, x25519_key)
        _exchange(x25519_key, enc[-32:])  # HPKE would call a low-order share a wrong key
        try:
            return HYBRID_SUITE.decrypt(enc + stanza.body, key, info=HYBRID_INFO)
        except InvalidTag:
            return None

    def _keys(self) -> tuple[mlkem.MLKEM768PrivateKey, x25519.X25519PrivateKey]:
        expanded = hashlib.shake_256(self.seed).digest(96)
        return (
            mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
            x25519.X25519PrivateKey.from_private_bytes(expanded[64:]),
        )

    def __str__(self) -> str:
        return bech32.encode("age-secret-key-pq-", self.seed).upper()


IDENTITY_TYPES: dict[str, type[X25519Identity] | type[HybridIdentity]] = {
    "X25519": X25519Identity,
    "mlkem768x25519": HybridIdentity,
}


def generate_identity(kind: str, entropy: Entropy) -> X25519Identity | HybridIdentity:
    """A new identity of the recipient type `kind`."""
    if kind not in IDENTITY_TYPES:
        known = " or ".join(IDENTITY_TYPES)
        raise KeyFileError(f"There is no recipient type {kind!r}.", f"Use {known}.")
    return IDENTITY_TYPES[kind](entropy.token(32))


def parse_recipient(text: str) -> X25519Recipient | HybridRecipient:
    """A recipient from its `age1…` line."""
    prefix, data = _decode_key(text, "recipient")
    if text == text.lower() and (prefix, len(data)) == ("age", 32):
        return X25519Recipient(data)
    if text == text.lower() and (prefix, len(data)) == ("age1pq", MLKEM_PUBLIC_LENGTH + 32):
        return HybridRecipient(data)
    raise KeyFileError("This is not an age recipient.", "It starts with age1 or age1pq1.")


def parse_identity(text: str) -> X25519Identity | HybridIdentity:
    """An identity from its `AGE-SECRET-KEY-…` line."""
    prefix, data = _decode_key(text, "identity")
    if text == text.upper() and len(data) == 32:
        if prefix == "age-secret-key-":
            return X25519Identity(data)
        if prefix == "age-secret-key-pq-":
            return HybridIdentity(data)
    raise KeyFileError("This is not an age identity.", "It starts with AGE-SECRET-KEY-.")


def _decode_key(text: str, what: str) -> tuple[str, bytes]:
    try:
        return bech32.decode(text)
    except ValueError as error:
        raise KeyFileError(
            f"An age {what} is damaged: {error}.", "Copy the whole line again."
        ) from None


# --- header ----------------------------------------------------------------------------------


class Header(NamedTuple):
    """A parsed header; `raw` is every byte of it, `signed` the part that the MAC covers."""

    stanzas: tuple[Stanza, ...]
    mac: bytes
    raw: bytes
    signed: bytes


def write_header(file_key: bytes, recipients: Sequence[Recipient], entropy: Entropy) -> bytes:
    """A header that wraps `file_key` for every recipient. Refuses a mix of types."""
    if not recipients:
        raise KeyFileError("No recipients to seal to.", "Name at least one recipient.")
    if len({recipient.kind for recipient in recipients}) > 1:
        raise KeyFileError(
            "Post-quantum and classic recipients can't share a file: it would be as weak as the "
            "weaker.",
            "Name recipients of one type.",
        )
    signed = VERSION_LINE
    for recipient in recipients:
        stanza = recipient.wrap(file_key, entropy)
        signed += ("-> " + " ".join(stanza.arguments) + "\n").encode() + _wrapped(stanza.body)
    signed += b"---"
    return signed + b" " + encode_base64(_header_mac(file_key, signed)).encode() + b"\n"


def parse_header(data: bytes) -> Header:
    """The header at the start of `data`. Raises `SealedFileError` unless it is canonical."""
    if not data.startswith(VERSION_LINE):
        raise SealedFileError("This is not an age v1 file.")
    stanzas: list[Stanza] = []
    position = len(VERSION_LINE)
    while True:
        line, after = _line(data, position)
        if line.startswith("--- "):
            if not stanzas:
                raise SealedFileError("The header names no recipient.")
            mac = decode_base64(line[4:])
            if len(mac) != 32:
                raise SealedFileError("The header's MAC has a wrong length.")
            return Header(tuple(stanzas), mac, data[:after], data[: position + 3])
        stanza, position = _parse_stanza(data, line, after)
        stanzas.append(stanza)


def open_file_key(header: Header, identities: Sequence[Identity]) -> bytes:
    """The file key, its header's MAC checked. Raises `SealedFileError`."""
    kinds = {stanza.arguments[0] for stanza in header.stanzas}
    if "scrypt" in kinds and len(header.stanzas) > 1:
        raise SealedFileError("A passphrase stanza can't stand beside others.")
    for stanza in header.stanzas:
        for identity in identities:
            file_key = identity.unwrap(stanza)
            if file_key is None:
                continue
            if len(file_key) != FILE_KEY_LENGTH:
                raise SealedFileError("A file key has a wrong length.")
            if not hmac.compare_digest(_header_mac(file_key, header.signed), header.mac):
                raise HeaderMacError("The header was altered: its MAC does not match.")
            return file_key
    raise NoMatchError("None of the identities opens this file.", "Give the key it was sealed to.")


class NoMatchError(SealedFileError):
    """Sealed to another recipient."""


class HeaderMacError(SealedFileError):
    """A header that was altered."""


def payload_key(file_key: bytes, nonce: bytes) -> bytes:
    return _hkdf(file_key, nonce, b"payload")


def _parse_stanza(data: bytes, line: str, position: int) -> tuple[Stanza, int]:
    if not line.startswith("-> "):
        raise SealedFileError("A line of the header is neither stanza nor MAC.")
    arguments = tuple(line[3:].split(" "))
    if not all(re.fullmatch(r"[!-~]+", argument) for argument in arguments):
        raise SealedFileError("A stanza has an empty or unprintable argument.")
    body = ""
    while True:
        part, position = _line(data, position)
        if len(part) > COLUMNS:
            raise SealedFileError("A stanza's line is too long.")
        body += part
        if len(part) < COLUMNS:
            return Stanza(arguments, decode_base64(body)), position


def _line(data: bytes, position: int) -> tuple[str, int]:
    end = data.find(b"\n", position, HEADER_LIMIT)
    if end < 0:
        raise SealedFileError("The header has no end.")
    try:
        return data[position:end].decode("ascii"), end + 1
    except UnicodeDecodeError:
        raise SealedFileError("The header is not ASCII.") from None


def _share(stanza: Stanza, length: int) -> bytes:
    if len(stanza.arguments) != 2:
        raise SealedFileError("A stanza has a wrong number of arguments.")
    share = decode_base64(stanza.arguments[1])
    if len(share) != length or len(stanza.body) != WRAPPED_KEY_LENGTH:
        raise SealedFileError("A stanza has a wrong length.")
    return share


def _exchange(key: x25519.X25519PrivateKey, share: bytes) -> bytes:
    try:
        return key.exchange(x25519.X25519PublicKey.from_public_bytes(share))
    except ValueError:  # an all-zero shared secret
        raise SealedFileError("A stanza holds an X25519 share of low order.") from None


def _wrapped(body: bytes) -> bytes:
    text = encode_base64(body)
    lines = [text[i : i + COLUMNS] for i in range(0, len(text), COLUMNS)]
    if not lines or len(lines[-1]) == COLUMNS:
        lines.append("")
    return ("\n".join(lines) + "\n").encode()


def _header_mac(file_key: bytes, signed: bytes) -> bytes:
    return hmac.digest(_hkdf(file_key, b"", b"header"), signed, "sha256")


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, info).derive(secret)


def encode_base64(data: bytes) -> str:
    """Without padding, as age has it everywhere but in armor."""
    return base64.b64encode(data).decode().rstrip("=")


def decode_base64(text: str) -> bytes:
    """Raises `SealedFileError` unless it is canonical."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SealedFileError("The header holds base64 that does not decode.") from None
    if encode_base64(data) != text:
        raise SealedFileError("The header holds base64 that is not canonical.")
    return data
