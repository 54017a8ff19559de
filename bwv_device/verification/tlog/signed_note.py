"""Signed notes (https://c2sp.org/signed-note): a text, an empty line, and signature lines.

A signature line names its key and carries the first four bytes of a digest of name, type and
public key; a reader ignores lines of keys that it does not know.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

# Kinds of keys: a log's, and cosigners' (https://c2sp.org/tlog-cosignature).
ED25519, COSIGNATURE, COSIGNATURE_MLDSA44 = 0x01, 0x04, 0x06
KEY_BYTES = {ED25519: 32, COSIGNATURE: 32, COSIGNATURE_MLDSA44: 1312}
DASH = "— ".encode()
KEY_ID_BYTES, SEED_BYTES = 4, 32
PRIVATE = "PRIVATE+KEY+"
# More is nobody's note: a checkpoint with twenty ML-DSA cosignatures has 70 kB.
# Fixed, not by the interpreter's version of Unicode: readers must agree. What is not seen, spaces,
# and the sign that parts a key's text.
NO_NAME = re.compile(
    "[+\x00-\x20\x7f-\xa0\xad\u061c\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]"
)
NOTE_LIMIT, SIGNATURES_LIMIT, NAME_LIMIT = 128 << 10, 100, 255


class NoteError(ValueError):
    """Not a signed note, or not a key."""


class VerifierKey(NamedTuple):
    """A public key with its name, as `name+id+base64` writes it."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        named = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(named).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        material = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Raises `NoteError`."""
        name, _, rest = text.partition("+")
        key_id, _, material = rest.partition("+")
        raw = decoded(material)
        if not raw or KEY_BYTES.get(raw[0]) != len(raw) - 1:
            raise NoteError("is not a verifier key of a kind that is known")
        key = cls(checked_name(name), raw[0], raw[1:])
        if key.key_id.hex() != key_id:
            raise NoteError("is a verifier key whose digest is not its own")
        return key

    def verifies(self, signature: bytes, message: bytes) -> bool:
        try:
            if self.kind == COSIGNATURE_MLDSA44:
                MLDSA44PublicKey.from_public_bytes(self.public).verify(signature, message)
            else:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class SignerKey(NamedTuple):
    """A private key with its name and kind; as text in the form of Go's note package."""

    name: str
    kind: int
    private: Ed25519PrivateKey | MLDSA44PrivateKey

    @classmethod
    def from_seed(cls, name: str, kind: int, seed: bytes) -> SignerKey:
        """Raises `NoteError`."""
        checked_name(name)
        if len(seed) != SEED_BYTES or kind not in KEY_BYTES:
            raise NoteError("is not a private key of a kind that is known")
        if kind == COSIGNATURE_MLDSA44:
            return cls(name, kind, MLDSA44PrivateKey.from_seed_bytes(seed))
        return cls(name, kind, Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def parse(cls, text: str) -> SignerKey:
        """Raises `NoteError`."""
        name, _, rest = text.removeprefix(PRIVATE).partition("+")
        key_id, _, material = rest.partition("+")
        raw = decoded(material)
        if not text.startswith(PRIVATE) or not raw:
            raise NoteError("is not a private key of a log or a witness")
        key = cls.from_seed(name, raw[0], raw[1:])
        if key.verifier.key_id.hex() != key_id:
            raise NoteError("is a private key whose digest is not its own")
        return key

    @property
    def secret(self) -> str:
        """As a file holds it."""
        seed = self.private.private_bytes_raw()
        material = base64.b64encode(bytes([self.kind]) + seed).decode()
        return f"{PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{material}"

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self.kind, self.private.public_key().public_bytes_raw())

    def line(self, message: bytes, before: bytes = b"") -> bytes:
        """The signature line; `before` stands in front of the signature (a cosignature's time)."""
        signature = self.private.sign(message)
        said = base64.b64encode(self.verifier.key_id + before + signature)
        return DASH + self.name.encode() + b" " + said + b"\n"


class NoteSignature(NamedTuple):
    name: str
    key_id: bytes
    signature: bytes

    def is_by(self, key: VerifierKey) -> bool:
        """Whether it names this key; it is not verified by that."""
        return (self.name, self.key_id) == (key.name, key.key_id)

    def line(self) -> bytes:
        said = base64.b64encode(self.key_id + self.signature)
        return DASH + self.name.encode() + b" " + said + b"\n"


class Note(NamedTuple):
    """`text` ends with its LF."""

    text: bytes
    signatures: tuple[NoteSignature, ...]

    def __bytes__(self) -> bytes:
        return self.text + b"\n" + b"".join(s.line() for s in self.signatures)

    def signed_by(self, key: VerifierKey) -> bool:
        """Whether a key signed the text itself, as a log does."""
        return any(s.is_by(key) and key.verifies(s.signature, self.text) for s in self.signatures)


def parse_note(data: bytes) -> Note:
    """Raises `NoteError`. Nothing is verified."""
    if len(data) > NOTE_LIMIT:
        raise NoteError("is longer than a note")
    text, empty, tail = data.rpartition(b"\n\n")
    if not empty or not tail.endswith(b"\n") or b"\r" in data or b"\x00" in data:
        raise NoteError("is not a signed note")
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteError("is not a signed note") from None
    return Note(text + b"\n", parse_signatures(tail))


def parse_signatures(lines: bytes) -> tuple[NoteSignature, ...]:
    """Signature lines, each with its LF. Raises `NoteError`."""
    parts = lines.split(b"\n")
    if parts.pop() or not 0 < len(parts) <= SIGNATURES_LIMIT:
        raise NoteError("has no signature lines, or too many")
    return tuple(map(_signature, parts))


def _signature(line: bytes) -> NoteSignature:
    name, space, said = line.removeprefix(DASH).partition(b" ")
    raw = decoded(said.decode("ascii", "replace"))
    if not line.startswith(DASH) or not space or len(raw) <= KEY_ID_BYTES:
        raise NoteError("has a line that is no signature")
    try:
        checked = checked_name(name.decode("utf-8"))
    except UnicodeDecodeError:
        raise NoteError("has a line that is no signature") from None
    return NoteSignature(checked, raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])


def checked_name(name: str) -> str:
    """Raises `NoteError` unless it can name a key."""
    if not 0 < len(name.encode()) <= NAME_LIMIT or NO_NAME.search(name):
        raise NoteError("has a name that no key can have")
    return name


def decoded(text: str) -> bytes:
    """Base64 in its one form; b"" where it is not."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return raw if base64.b64encode(raw).decode() == text else b""
