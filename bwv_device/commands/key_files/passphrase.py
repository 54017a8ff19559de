"""Asks for the passphrase of a key file or the PIN of a token, or reads it from a private file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from bwv_device.errors import KeyFileError
from bwv_device.files import read_small

VARIABLE = "BWV_PASSPHRASE_FILE"
SHORTEST, LONGEST = 12, 1000


def ask(where: str) -> bytes:
    """Raises `KeyFileError` where nobody can be asked."""
    return _from_variable() or _prompted(f"Passphrase of {where}")


def pin(token: str, source: str) -> str:
    """Of a token, from the file `source` if there is one."""
    if source:
        said = _first_line(Path(source), "Name it as pin-source in the token's URI.")
    else:
        said = _prompted(f"PIN of the token {token}")
    try:
        return said.decode()
    except UnicodeDecodeError:
        raise KeyFileError(f"The PIN of {token} is not UTF-8.", "Write it as text.") from None


def ask_new() -> bytes:
    """Twice, so that a slip of a finger does not lock an agency out."""
    passphrase = _from_variable() or _prompted("A passphrase for the agency's secrets", twice=True)
    if len(passphrase) < SHORTEST:
        raise KeyFileError(
            f"The passphrase has fewer than {SHORTEST} bytes.", "Choose some words by chance."
        )
    if len(passphrase) > LONGEST:
        raise KeyFileError(f"The passphrase has more than {LONGEST} bytes.", "Choose fewer words.")
    return passphrase


def _from_variable() -> bytes:
    name = os.environ.get(VARIABLE)
    return _first_line(Path(name), f"Set {VARIABLE} to a file of your own.") if name else b""


def _first_line(path: Path, remedy: str) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others than its owner.", f"chmod 600 {path}")
        passphrase = read_small(path).split(b"\n")[0].rstrip(b"\r")
    except OSError as error:
        raise KeyFileError(f"{path} can't be read: {error.strerror}.", remedy) from None
    if not passphrase:
        raise KeyFileError(f"{path} holds nothing.", "Write it into the first line.")
    return passphrase


def _prompted(text: str, *, twice: bool = False) -> bytes:
    if not sys.stdin.isatty():
        raise KeyFileError(
            f"{text}: it is needed, and nobody can be asked.",
            f"Set {VARIABLE}, or the URI's pin-source, to a private file that holds it.",
        )
    said: str = click.prompt(text, hide_input=True, confirmation_prompt=twice, err=True)
    return said.encode()
