"""What lines about software do to the index: of cameras, and of the desk."""

from __future__ import annotations

import sqlite3
from typing import Any

from bwv_device.custody.ledger.ledger import CustodyLine, EffectError
from bwv_device.formats.grammar.forms import Hex
from bwv_device.formats.software_offer import BUNDLE_LIMIT, OfferError, release_numbers


def named(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """Larger than every one before: an older one can't be brought back under a new line."""
    release, sha256, length = fields["release"], fields["sha256"], fields["length"]
    if not isinstance(release, str) or not Hex(64).fits(sha256):
        raise EffectError("it names no bundle")
    if type(length) is not int or not 0 < length <= BUNDLE_LIMIT:
        raise EffectError("it names no bundle")
    try:
        numbers = release_numbers(release)
    except OfferError as error:
        raise EffectError(str(error)) from None
    for row in db.execute("SELECT release FROM software"):
        if release_numbers(row["release"]) >= numbers:
            raise EffectError(f"release {row['release']} is named already")
    values = (release, sha256, length, line.number)
    db.execute("INSERT INTO software VALUES (?, ?, ?, ?)", values)


def desk_code(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """What the list is the digest of is whoever compares it."""
    files = fields["files"]
    if not Hex(64).fits(fields["sha256"]) or not isinstance(files, list) or not files:
        raise EffectError("it names no code")
    for file in files:
        if set(file) != {"name", "sha256"} or not Hex(64).fits(file["sha256"]):
            raise EffectError("it names no code")
