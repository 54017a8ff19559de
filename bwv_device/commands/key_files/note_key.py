"""Private keys of logs and witnesses: one line of text, readable by its owner alone."""

from __future__ import annotations

import os
from pathlib import Path

from bwv_device.errors import KeyFileError
from bwv_device.files import read_small, writable_folder
from bwv_device.verification.tlog.signed_note import NoteError, SignerKey


def read_note_key(path: Path) -> SignerKey:
    """Raises `KeyFileError`."""
    return read_note_keys(path)[0]


def read_note_keys(path: Path) -> list[SignerKey]:
    """A key a line. Raises `KeyFileError`."""
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others than its owner.", f"chmod 600 {path}")
        lines = read_small(path).decode("ascii", "replace").split("\n")
        keys = [SignerKey.parse(line) for line in lines if line]
    except OSError as error:
        raise KeyFileError(
            f"{path} can't be read: {error.strerror}.", "Check the path and its permissions."
        ) from None
    except NoteError as error:
        raise KeyFileError(f"{path} {error}.", "Give the right file.") from None
    if not keys:
        raise KeyFileError(f"{path} holds no key.", "Give the right file.")
    return keys


def write_note_keys(path: Path, keys: list[SignerKey]) -> None:
    """Never over another. Raises `KeyFileError`."""
    writable_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(
            f"{path} is there already; a key is never overwritten.", "Move it away."
        ) from None
    with open(descriptor, "w") as file:
        file.write("".join(f"{key.secret}\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
