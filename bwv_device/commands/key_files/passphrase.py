"""Asks for the passphrase of a key file, or reads it from where BWV_PASSPHRASE_FILE says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from bwv_device.errors import KeyFileError
from bwv_device.files import read_small

VARIABLE = "BWV_PASSPHRASE_FILE"
SHORTEST = 12


def ask(where: str) -> bytes:
    """Raises `KeyFileError` where nobody can be asked."""
    return _from_file() or _prompted(f"Passphrase of {where}")


def ask_new() -> bytes:
    """Twice, so that a slip of a finger does not lock an agency out."""
    passphrase = _from_file() or _prompted("A passphrase for the agency's secrets", twice=True)
    if len(passphrase) < SHORTEST:
        raise KeyFileError(
            f"The passphrase has fewer than {SHORTEST} bytes.", "Choose some words by chance."
        )
    return passphrase


def _from_file() -> bytes:
    name = os.environ.get(VARIABLE)
    if not name:
        return b""
    path = Path(name)
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others than its owner.", f"chmod 600 {path}")
        passphrase = read_small(path).split(b"\n")[0].rstrip(b"\r")
    except OSError as error:
        raise KeyFileError(
            f"{path} can't be read: {error.strerror}.", f"Set {VARIABLE} to a file of your own."
        ) from None
    if not passphrase:
        raise KeyFileError(f"{path} holds no passphrase.", "Write it into the first line.")
    return passphrase


def _prompted(text: str, *, twice: bool = False) -> bytes:
    if not sys.stdin.isatty():
        raise KeyFileError(
            "A passphrase is needed, and nobody can be asked.",
            f"Set {VARIABLE} to a private file that holds it.",
        )
    said: str = click.prompt(text, hide_input=True, confirmation_prompt=twice, err=True)
    return said.encode()
