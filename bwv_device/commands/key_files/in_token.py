"""Role keys that lie in a token: made there, and used there. Needs the extra `token`."""

from __future__ import annotations

import datetime
from pathlib import Path

from bwv_device import keys
from bwv_device.commands.key_files.passphrase import ask, pin
from bwv_device.errors import KeyFileError, MissingPartError
from bwv_device.formats.age_tag import TagIdentity, TagRecipient
from bwv_device.formats.pkcs11_uri import TokenUri, to_pem
from hal.host import HostEntropy
from hal.ports import Identity

try:
    from hal.token import TokenError, TokenIdentity, TokenKey
except ImportError:
    raise MissingPartError(
        "What talks to tokens is not installed.", "pip install 'bwv-device[token]'"
    ) from None


def identity(uri: TokenUri, certificate_pem: bytes) -> Identity:
    """Raises `KeyFileError`, and `ValueError` where key and certificate do not belong together."""
    try:
        return _InToken(_key(uri), certificate_pem)
    except TokenError as error:
        raise _unusable(error) from None


class _InToken(TokenIdentity):
    """One that may have been drawn when it is to sign."""

    def sign(self, message: bytes) -> bytes:
        try:
            return super().sign(message)
        except TokenError as error:
            raise _unusable(error) from None


def _unusable(error: TokenError) -> KeyFileError:
    return KeyFileError(f"The token can't be used: {error}.", "Look at the token.")


def enrol(
    uri: TokenUri,
    name: str,
    role: str,
    agency: Path,
    out: Path,
    now: datetime.datetime,
    person: str = "",
) -> Path:
    """Makes a key in the token, and the file that names it. Raises `KeyFileError`."""
    made = to_pem(uri), _key(uri).make
    try:
        return keys.make_token_role(agency, out, name, role, made, HostEntropy(), now, ask, person)
    except TokenError as error:
        raise KeyFileError(f"No key was made: {error}.", "Look at the token.") from None


def tag_identity(uri: TokenUri) -> TagIdentity:
    """What opens a file that is wrapped by this key. Raises `KeyFileError`."""
    key = _key(uri)
    try:
        return TagIdentity(key.public_key(), _Exchange(key))
    except TokenError as error:
        raise _unusable(error) from None


def tag_recipient(uri: TokenUri, *, make: bool) -> TagRecipient:
    """What a file is wrapped for; `make` makes the key in the token. Raises `KeyFileError`."""
    key = _key(uri)
    try:
        return TagRecipient(key.make() if make else key.public_key())
    except TokenError as error:
        raise _unusable(error) from None


class _Exchange:
    """With a token that may have been drawn meanwhile."""

    def __init__(self, key: TokenKey) -> None:
        self._key = key

    def __call__(self, point: bytes) -> bytes:
        try:
            return self._key.exchange(point)
        except TokenError as error:
            raise _unusable(error) from None


def _key(uri: TokenUri) -> TokenKey:
    """Asks for the PIN where the URI names no file."""
    return TokenKey(uri.module_path, uri.token, uri.object, pin(uri.token, uri.pin_source))
