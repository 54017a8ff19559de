"""Releases of the cameras' software: named in the ledger, brought to the store, offered to cameras
once witnesses have seen the line (docs/format.md, 9).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

from bwv_device.custody.history import published
from bwv_device.custody.ledger.ledger import LINE_LIMIT, Decided
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.formats import store_keys
from bwv_device.formats.software_offer import (
    BUNDLE_LIMIT,
    PIECE,
    Offer,
    OfferError,
    release_numbers,
)
from bwv_device.formats.upload_body import BytesBody
from bwv_device.verification import software_offer
from bwv_device.verification.tlog.checkpoint import read_signed
from hal.ports import StoreError, StoreTrouble

BLOCK = 1 << 20


class Named(NamedTuple):
    """A release that the ledger names."""

    release: str
    sha256: str
    length: int
    line: int


def named(session: CustodySession) -> list[Named]:
    """All, the newest last."""
    rows = session.index.rows("SELECT release, sha256, length, n FROM software ORDER BY n")
    return [Named(*row.values()) for row in rows]


def publish(session: CustodySession, bundle: Path, release: str) -> Named:
    """Brings the bundle to the store, and then names it in the ledger. Raises `CustodyError`,
    `StoreError`."""
    try:
        numbers = release_numbers(release)
    except OfferError as error:
        raise CustodyError(f"{error}.", "Make the bundle with another --release.") from None
    with bundle.open("rb") as file:
        sha256, length = _digest(file)
        if not 0 < length <= BUNDLE_LIMIT:
            raise CustodyError(f"{bundle} is no bundle: it has {length} bytes.", "Make one.")
        for number in range((length + PIECE - 1) // PIECE):
            file.seek(number * PIECE)
            _create(session, store_keys.software_piece(sha256, number), file.read(PIECE))

    def decide() -> Decided:
        for other in named(session):
            if release_numbers(other.release) >= numbers:
                raise CustodyError(
                    f"The ledger names release {other.release} already.", "Give it a larger number."
                )
        return "software", {"release": release, "sha256": sha256, "length": length}

    line = session.append(decide)
    assert line is not None
    return Named(release, sha256, length, line.number)


def offer(session: CustodySession, release: str) -> Named:
    """Lays beside the bundle what a camera judges it by. Raises `CustodyError` where no quorum of
    witnesses has seen its line yet."""
    found = next((item for item in named(session) if item.release == release), None)
    if found is None:
        raise CustodyError(f"The ledger names no release {release}.", "See 'software list'.")
    data = bytes(_compose(session, found))
    try:
        software_offer.judge(data, found.sha256, session.roots)
    except OfferError as error:
        raise CustodyError(
            f"No camera would take it yet: {error}.", "Let 'bwv custody log' publish the line."
        ) from None
    key = store_keys.offer(found.sha256)
    session.store.free(key)
    session.store.create(key, BytesBody(data))
    return found


def _compose(session: CustodySession, of: Named) -> Offer:
    index = session.index
    trust = session.trust()
    checkpoint = published.newest(index, session.store)
    if trust is None or checkpoint is None:
        raise CustodyError("The store's log holds no checkpoint.", "Run 'bwv custody log'.")
    size = read_signed(checkpoint, trust.log).checkpoint.size
    if size < of.line:
        raise CustodyError("The log does not hold its line yet.", "Run 'bwv custody log'.")
    row = index.row("SELECT list FROM trust WHERE version = ?", trust.version)
    by = index.row(
        "SELECT certificate FROM lines JOIN signers ON fingerprint = by WHERE n = ?", of.line
    )
    if row is None or by is None:
        raise CustodyError("The ledger holds no trust list.", "Make one: bwv custody init.")
    raw = session.store.read(store_keys.line(of.line), LINE_LIMIT)
    proof = tuple(digest.hex() for digest in index.tree.inclusion(of.line, size))
    return Offer(
        line=raw.decode("ascii").rstrip("\n"),
        certificate=by["certificate"],
        number=of.line,
        proof=proof,
        checkpoint=checkpoint.decode("utf-8"),
        trust=row["list"],
    )


def _create(session: CustodySession, key: str, data: bytes) -> None:
    """Its name is its bundle's digest: what is there already is the same, or a camera refuses
    it."""
    try:
        session.store.create(key, BytesBody(data))
    except StoreError as error:
        if error.trouble is not StoreTrouble.EXISTS:
            raise


def _digest(file: BinaryIO) -> tuple[str, int]:
    digest, length = hashlib.sha256(), 0
    while block := file.read(BLOCK):
        digest.update(block)
        length += len(block)
    return digest.hexdigest(), length
