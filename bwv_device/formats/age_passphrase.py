"""age files that a passphrase opens (C2SP age.md: the scrypt recipient type, and ASCII armor).

Agencies' secrets lie in such files; footage never does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bwv_device.errors import SealedFileError
from bwv_device.formats.age import (
    COLUMNS,
    WRAPPED_KEY_LENGTH,
    Stanza,
    decode_base64,
    encode_base64,
)
from hal.ports import Entropy

LABEL = b"age-encryption.org/v1/scrypt"
SALT_LENGTH = 16
# age's own default, about a second and 256 MiB; four times as much is as far as scrypt goes here.
WORK_FACTOR, WORK_FACTOR_LIMIT = 18, 20
BEGIN, END = b"-----BEGIN AGE ENCRYPTED FILE-----", b"-----END AGE ENCRYPTED FILE-----"


class ArmorError(SealedFileError):
    """Text that is not an age file's armor."""

    def __init__(self) -> None:
        super().__init__("The armor of an age file is malformed.")


@dataclass(frozen=True, slots=True)
class PassphraseRecipient:
    passphrase: bytes
    work_factor: int = WORK_FACTOR
    kind: str = "scrypt"

    def wrap(self, file_key: bytes, entropy: Entropy) -> Stanza:
        salt = entropy.token(SALT_LENGTH)
        key = _key(self.passphrase, salt, self.work_factor)
        body = ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None)
        return Stanza(("scrypt", encode_base64(salt), str(self.work_factor)), body)


@dataclass(frozen=True, slots=True)
class PassphraseIdentity:
    passphrase: bytes

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """None also for a wrong passphrase. Raises `SealedFileError` on a malformed stanza."""
        if stanza.arguments[0] != "scrypt":
            return None
        if len(stanza.arguments) != 3 or len(stanza.body) != WRAPPED_KEY_LENGTH:
            raise SealedFileError("A passphrase stanza is malformed.")
        salt, work_factor = decode_base64(stanza.arguments[1]), stanza.arguments[2]
        if len(salt) != SALT_LENGTH or not re.fullmatch(r"[1-9][0-9]?", work_factor):
            raise SealedFileError("A passphrase stanza is malformed.")
        if int(work_factor) > WORK_FACTOR_LIMIT:
            raise SealedFileError(f"A passphrase stanza asks for 2^{work_factor} steps.")
        key = _key(self.passphrase, salt, int(work_factor))
        try:
            return ChaCha20Poly1305(key).decrypt(bytes(12), stanza.body, None)
        except InvalidTag:
            return None


def armored(data: bytes) -> bytes:
    """As text: strict PEM with age's label."""
    encoded = base64.b64encode(data)
    lines = [encoded[at : at + COLUMNS] for at in range(0, len(encoded), COLUMNS)]
    return b"\n".join([BEGIN, *lines, END, b""])


def without_armor(data: bytes, *, expected: bool = False) -> bytes:
    """The bytes of an age file, armored or, unless armor is `expected`, not. Raises
    `ArmorError`."""
    if not expected and not data.lstrip().startswith(BEGIN):
        return data
    lines = [line.rstrip(b"\r") for line in data.strip().split(b"\n")]
    body = lines[1:-1]
    short = any(len(line) != COLUMNS for line in body[:-1])
    empty = bool(body) and not 0 < len(body[-1]) <= COLUMNS
    if lines[0] != BEGIN or lines[-1] != END or short or empty:
        raise ArmorError
    encoded = b"".join(body)
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ArmorError from None
    if base64.b64encode(decoded) != encoded:
        raise ArmorError
    return decoded


def _key(passphrase: bytes, salt: bytes, work_factor: int) -> bytes:
    cost = 1 << work_factor
    memory = 128 * 8 * cost + (1 << 20)
    salt = LABEL + salt
    try:
        return hashlib.scrypt(passphrase, salt=salt, n=cost, r=8, p=1, maxmem=memory, dklen=32)
    except (ValueError, MemoryError) as error:
        raise SealedFileError(f"A passphrase can't be tried: {error}.") from None
