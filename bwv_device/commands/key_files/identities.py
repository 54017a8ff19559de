"""Reads the agency's secret, in clear, with a passphrase, or as age itself can open it."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

from bwv_device import keys
from bwv_device.commands.key_files.passphrase import ask
from bwv_device.errors import KeyFileError, SealedFileError
from bwv_device.files import read_small
from bwv_device.formats import age
from bwv_device.formats.age_passphrase import without_armor
from bwv_device.formats.age_payload import Opener
from bwv_device.formats.pkcs11_uri import TokenUri

URI_VARIABLE = "BWV_IDENTITY_TOKEN"
REMEDY = "Write pkcs11:token=NAME;object=NAME?module-path=FILE (docs/keys.md)."


def load_identities(path: Path, token: str = "") -> list[age.Identity]:
    """Nothing is written in clear. `token`: the URI of the key that the file is wrapped by; without
    one, what the environment names. Raises `KeyFileError`."""
    try:
        return list(keys.load_identities(path, ask))
    except keys.OtherRecipientError:
        named = token or os.environ.get(URI_VARIABLE, "")
        opened = _opened_in_token(path, named) if named else _opened_by_age(path)
        return list(keys.parse_identities(opened, str(path)))


def token_uri(text: str) -> TokenUri:
    """Raises `KeyFileError`."""
    try:
        return TokenUri.parse(text)
    except ValueError as error:
        raise KeyFileError(f"{text} names no key in a token: {error}.", REMEDY) from None


def _opened_in_token(path: Path, named: str) -> bytes:
    from bwv_device.commands.key_files import in_token  # needs the extra `token`

    sealed = without_armor(read_small(path))
    try:
        opener = Opener(io.BytesIO(sealed), [in_token.tag_identity(token_uri(named))])
        return b"".join(opener.chunks())
    except age.NoMatchError:
        raise KeyFileError(
            f"{path} is wrapped by another key than {named} names.", "Name the right one."
        ) from None
    except SealedFileError as error:
        raise KeyFileError(f"{path} can't be opened: {error}", "Give the right file.") from None


def _opened_by_age(path: Path) -> bytes:
    """A file that is encrypted to a plugin, a token say: age asks for what it needs itself."""
    try:
        done = subprocess.run(["age", "-d", "--", str(path)], stdout=subprocess.PIPE, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise KeyFileError(
            f"{path} is encrypted to an age plugin, and age is not installed.", "Install age."
        ) from None
    if done.returncode:
        raise KeyFileError(f"age does not open {path}.", "See what age says above.")
    return done.stdout
