"""Which release the camera shall come to, beside its footage: a restart forgets nothing.

What stands there is trusted with nothing: the offer is judged anew each time.
"""

from __future__ import annotations

from typing import NamedTuple

from bwv_device.formats import canonical_json
from bwv_device.formats.grammar.forms import Hex
from bwv_device.formats.software_offer import OfferError, release_numbers
from bwv_device.formats.vault_layout import UPDATE, UPDATE_FILES
from hal.ports import Disk

FOLDER = UPDATE
WANTED, PART, BUNDLE = (f"{FOLDER}/{name}" for name in UPDATE_FILES)
SIZE_LIMIT = 1024


class Wanted(NamedTuple):
    """`started`: it was installed, and the machine was restarted with it."""

    release: str
    sha256: str
    started: bool = False


def read(disk: Disk) -> Wanted | None:
    """None where nothing is wanted, or nothing that can be read."""
    if "wanted" not in disk.names(FOLDER) or disk.size(WANTED) > SIZE_LIMIT:
        return None
    try:
        said = canonical_json.decode(disk.read(WANTED))
        wanted = Wanted(**said)
        release_numbers(wanted.release)
    except (TypeError, AttributeError, ValueError, OfferError):
        return None
    return wanted if Hex(64).fits(wanted.sha256) and type(wanted.started) is bool else None


def write(disk: Disk, wanted: Wanted) -> None:
    """Durable when this returns. Raises `OSError`."""
    if "wanted.part" in disk.names(FOLDER):
        disk.remove(PART)
    disk.create(PART)
    disk.append(PART, canonical_json.encode(wanted._asdict()))
    disk.sync(PART)
    disk.rename(PART, WANTED)
    disk.sync(FOLDER)
    disk.sync("")


def forget(disk: Disk) -> None:
    """Nothing is wanted any more, and no bundle is kept."""
    names = disk.names(FOLDER)
    for name in names:
        disk.remove(f"{FOLDER}/{name}")
    if names:
        disk.sync(FOLDER)
