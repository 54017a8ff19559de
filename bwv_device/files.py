"""Files of the command line: small ones that are read, and places where results go."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from pathlib import Path

from bwv_device.errors import OutputError

# Keys, certificates, ledger heads and configurations are small by nature.
LIMIT = 4 << 20
REMEDY = "Name another place, or make room there."


def read_small(path: Path, limit: int = LIMIT) -> bytes:
    """The content of a file, or of a pipe, of at most `limit` bytes. Raises `OSError` if it is
    larger: a path that names an endless device or a film must not fill the memory."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit >> 20} MiB", str(path))
    return data


def writable_folder(folder: Path) -> Path:
    """Makes the folder if it is missing. Raises `OutputError` if no file can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        raise output_error(folder, error) from None
    return folder


def sync_folder(folder: Path) -> None:
    """What was renamed in it is there after a power cut."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def output_error(place: Path, error: OSError) -> OutputError:
    """The sentence for a place that can't be written."""
    return OutputError(f"{place} can't be written: {reason(error)}.", REMEDY)


def reason(error: OSError) -> str:
    """Why, in words."""
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return "it, or a part of its path, is a file"
    return str(error.strerror or error)


def write_durably(path: Path, data: bytes) -> None:
    """A small file, whole or as it was, whatever happens: new beside it, synced, renamed. Raises
    `OSError`."""
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    sync_folder(path.parent)


def file_sha256(path: Path) -> str:
    """Read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
