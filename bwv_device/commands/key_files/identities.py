"""Reads the agency's secret, in clear, with a passphrase, or as age itself can open it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bwv_device import keys
from bwv_device.commands.key_files.passphrase import ask
from bwv_device.errors import KeyFileError
from bwv_device.formats import age


def load_identities(path: Path) -> list[age.Identity]:
    """Nothing is written in clear. Raises `KeyFileError`."""
    try:
        return list(keys.load_identities(path, ask))
    except keys.OtherRecipientError:
        return list(keys.parse_identities(_opened_by_age(path), str(path)))


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
