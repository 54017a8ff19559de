"""Reads the role key of a person or service."""

from __future__ import annotations

from pathlib import Path

from bwv_device.errors import KeyFileError
from hal.keystore import SoftwareIdentity


def load_role_key(path: Path) -> SoftwareIdentity:
    """A role key, which only its owner may read. Raises `KeyFileError`."""
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others than its owner.", f"chmod 600 {path}")
        return SoftwareIdentity.load(path, path)
    except (OSError, ValueError, IndexError) as error:
        raise KeyFileError(
            f"The role key {path} can't be used: {error}.", "Make one with 'bwv custody enrol'."
        ) from None
