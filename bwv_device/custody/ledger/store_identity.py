"""What makes a place a store of evidence: an object with an identity of its own.

A share that is not mounted is an empty folder, and another agency's bucket is full of lines: both
are told apart from the right store by this (docs/format.md, 8.1).
"""

from __future__ import annotations

from bwv_device.errors import EvidenceStoreError
from bwv_device.formats import canonical_json, store_keys
from bwv_device.formats.grammar.forms import Hex
from bwv_device.formats.upload_body import BytesBody
from hal.ports import Entropy, EvidenceStore, StoreError, StoreTrouble

# Of the store and of custody's lines (docs/format.md, 8).
VERSION = 2
LIMIT = 1024
ID_BYTES = 16


def draw_identity(entropy: Entropy) -> str:
    """For a new store."""
    return entropy.token(ID_BYTES).hex()


def make_identity(store: EvidenceStore, identity: str) -> None:
    """Makes a place a store. Raises `EvidenceStoreError` where it is one."""
    data = canonical_json.encode({"format": VERSION, "id": identity}) + b"\n"
    try:
        store.create(store_keys.STORE, BytesBody(data))
    except StoreError as error:
        if error.trouble is StoreTrouble.EXISTS:
            raise EvidenceStoreError(
                "This is a store of evidence already.", "Nothing needs to be done."
            ) from None
        raise


def read_identity(store: EvidenceStore) -> str:
    """The store's `id`. Raises `EvidenceStoreError` where it is none of ours."""
    try:
        data = store.read(store_keys.STORE, LIMIT)
    except StoreError as error:
        if error.trouble is StoreTrouble.MISSING:
            raise EvidenceStoreError(
                "This place is no store of evidence: it has no identity (custody/store).",
                "Is it mounted? A new store is made with 'bwv custody init'.",
            ) from None
        if error.trouble is not StoreTrouble.REFUSED:
            raise
        data = b""
    try:
        said = canonical_json.decode(data.removesuffix(b"\n"))
    except ValueError:
        said = {}
    identity = said.get("id")
    if said.get("format") != VERSION or not Hex(2 * ID_BYTES).fits(identity):
        raise EvidenceStoreError(
            f"The store's identity (custody/store) is not one of format {VERSION}.",
            "It is of another version of bwv, or was changed.",
        )
    return str(identity)
