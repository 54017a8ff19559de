"""Reads the role key of a person or service: from a file, or from the token that the file names."""

from __future__ import annotations

from pathlib import Path

from bwv_device.errors import KeyFileError
from bwv_device.files import read_small
from bwv_device.formats import pkcs11_uri
from hal.keystore import SoftwareIdentity
from hal.ports import Identity


def load_role_key(path: Path) -> Identity:
    """A role key, which only its owner may read. Raises `KeyFileError`."""
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others than its owner.", f"chmod 600 {path}")
        pem = read_small(path)
        if (uri := pkcs11_uri.from_pem(pem)) is not None:
            from bwv_device.commands.key_files import in_token

            return in_token.identity(uri, pem)
        return SoftwareIdentity(pem, pem)
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise KeyFileError(
            f"The role key {path} can't be used: {error}.", "Make one with 'bwv custody enrol'."
        ) from None
