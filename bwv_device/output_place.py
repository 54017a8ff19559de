"""Places where results go: tried before long work begins, so that nothing is lost at its end."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bwv_device.errors import OutputError

REMEDY = "Name another place, or make room there."


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


def output_error(place: Path, error: OSError) -> OutputError:
    """The sentence for a place that can't be written."""
    return OutputError(f"{place} can't be written: {reason(error)}.", REMEDY)


def reason(error: OSError) -> str:
    """Why, in words."""
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return "it, or a part of its path, is a file"
    return str(error.strerror or error)
