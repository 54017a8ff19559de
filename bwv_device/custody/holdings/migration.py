"""Moves a store of evidence to another place. Everything is copied and read again there; then the
target's own ledger says so, and only then may anything at the source go.

The target gets its identity last: until then it is no store of evidence to anybody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bwv_device.custody.intake.copied_body import CopiedBody
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.formats import canonical_json, store_keys
from bwv_device.formats.ledger_lines import Head
from bwv_device.formats.upload_body import BytesBody
from bwv_device.verification.tlog.merkle_tree import leaf_hash, root_of
from hal.ports import Entropy, EvidenceStore, Stored, StoreError, StoreTrouble

# Of a list of what was moved, and file versions in one line.
LIST_LIMIT, LINE_FILES = 1 << 30, 1000
SIGNED = (
    "SELECT 1 FROM lines WHERE kind = 'moved' AND refused = '' AND json_extract(json, '$.root') = ?"
)
KEPT = "SELECT * FROM files WHERE status = 'received'"
Told = Callable[[int], None]


class MovedObject(NamedTuple):
    """As it is at the target."""

    key: str
    length: int
    sha256: str

    @property
    def encoded(self) -> bytes:
        return canonical_json.encode(self._asdict())


@dataclass(slots=True)
class Move:
    """What came of it. `lost`: footage that the source's ledger speaks of and the source does not
    have. `root` of the list of objects; "" while the target has signed nothing."""

    objects: int = 0
    moved_bytes: int = 0
    lost: list[str] = field(default_factory=list)
    root: str = ""


def move(
    source: CustodySession,
    target_store: EvidenceStore,
    target: Callable[[], CustodySession],
    told: Told = lambda length: None,
) -> Move:
    """Copies, reads again, and lets the target's ledger say so; what was copied before is only read
    again. `target` opens the session there. Raises `CustodyError` where the source has grown
    meanwhile, or the target holds something else; `StoreError`."""
    source.check()
    source.require("moved")
    refuse_same(source.store, target_store, source.entropy)
    done, moved = Move(), list[MovedObject]()
    known: dict[str, str] = {}
    for stored in _objects(source):
        copied = _copy_if_there(source.store, target_store, stored)
        if copied is None:
            continue
        moved.append(copied)
        known[copied.key] = copied.sha256
        done.objects += 1
        done.moved_bytes += copied.length
        told(copied.length)
    done.lost = [
        f"{row['device']}/{row['segment']}"
        for row in source.index.rows(f"{KEPT} ORDER BY key")
        if known.get(row["key"]) != row["sha256"]
    ]
    _hide_what_is_hidden(source, target_store)
    head = source.index.head
    _copy(source.store, target_store, source.store.stat(store_keys.STORE))
    there = target()
    there.index.catch_up()
    if source.index.catch_up().head != head or not _continues(there, head):
        raise CustodyError(
            "The source's ledger has grown while it was copied.",
            "Stop its services, and run this again: what was copied is not copied again.",
        )
    done.root = _sign(there, moved, done)
    _protect(there)
    return done


def erase_source(source: EvidenceStore, target: CustodySession, root: str) -> tuple[int, list[str]]:
    """Erases at the source what the target's signed list names, each object once it was read again
    at the target. Returns how many went, and what did not, with the reason. Raises `CustodyError`
    where the target has signed no such list."""
    target.check()
    if target.index.row(SIGNED, root) is None:
        raise CustodyError("The target has not signed for what was moved.", "Move it first.")
    refuse_same(source, target.store, target.entropy)
    gone, kept = 0, []
    objects = _listed(target.store, root)
    # The identity first: what is half erased must not look like a store.
    source.erase(store_keys.STORE)
    for moved in objects:
        why = _why_not_there(target.store, moved)
        if not why:
            try:
                source.erase(moved.key)
                gone += 1
                continue
            except StoreError as error:
                if error.trouble is StoreTrouble.TRANSIENT:
                    raise
                why = str(error)
        kept.append(f"{moved.key}: {why}")
    return gone, kept


def _continues(target: CustodySession, head: Head) -> bool:
    """Whether the target's ledger is the source's, and beyond that says at most that it was
    moved."""
    last = target.index.row("SELECT digest FROM lines WHERE n = ?", head.number)
    more = target.index.row("SELECT 1 FROM lines WHERE n > ? AND kind != 'moved'", head.number)
    return last is not None and last["digest"] == head.digest and more is None


# --- inside -----------------------------------------------------------------------------------


def _objects(source: CustodySession) -> Iterator[Stored]:
    """All but the identity; footage that was received by its own key, hidden or not; not the claims
    of workers that are stopped."""
    received = {row["key"]: row for row in source.index.rows(KEPT)}
    for stored in source.store.entries(""):
        own = stored.key in received or stored.key == store_keys.STORE
        if not own and not stored.key.startswith(store_keys.CLAIMS):
            yield stored
    for key in sorted(received):
        yield Stored(key, received[key]["length"], received[key]["version"])


def _copy_if_there(
    source: EvidenceStore, target: EvidenceStore, stored: Stored
) -> MovedObject | None:
    """None where the source has it not: it is lost, or being erased."""
    try:
        return _copy(source, target, stored)
    except StoreError as error:
        if error.trouble is not StoreTrouble.MISSING:
            raise
        return None


def refuse_same(source: EvidenceStore, target: EvidenceStore, entropy: Entropy) -> None:
    """Raises `CustodyError` where both are one place under two names: what is erased at one would
    be gone from the other."""
    key = store_keys.move(f"probe-{entropy.token(16).hex()}")
    try:
        target.create(key, BytesBody(b"probe"))
    except StoreError as error:
        if error.trouble is not StoreTrouble.EXISTS:
            raise
    try:
        same = bool(source.versions(key))
    finally:
        target.erase(key)
    if same:
        raise CustodyError("The source and the target are the same place.", "Name another target.")


def signed_root(target: CustodySession) -> str:
    """Of the newest list that the target signed. Raises `CustodyError` where there is none."""
    target.index.catch_up()
    row = target.index.row(
        "SELECT json_extract(json, '$.root') AS root FROM lines WHERE kind = 'moved' AND refused = "
        "'' AND root IS NOT NULL ORDER BY n DESC LIMIT 1"
    )
    if row is None:
        raise CustodyError("The target has signed for nothing.", "Move the source there first.")
    return str(row["root"])


def _hidden(source: CustodySession) -> list[dict[str, Any]]:
    """What is out of sight at the source."""
    return source.index.rows(
        "SELECT files.* FROM files JOIN recordings ON recordings.id = files.recording WHERE "
        "files.status = 'received' AND hidden_ns IS NOT NULL ORDER BY key"
    )


def _copy(source: EvidenceStore, target: EvidenceStore, stored: Stored) -> MovedObject:
    sha256, length = _digest(source, stored)
    moved = MovedObject(stored.key, length, sha256)
    body = CopiedBody(source, stored._replace(length=length), sha256)
    try:
        target.create(stored.key, body)
    except StoreError as error:
        if error.trouble is not StoreTrouble.EXISTS:
            raise
        if stored.key == store_keys.CHECKPOINT and _why_not_there(target, moved):
            target.free(stored.key)  # the only object that is replaced by newer ones
            target.create(stored.key, body)
    if why := _why_not_there(target, moved):
        raise CustodyError(
            f"{stored.key} is not at the target as it is at the source: {why}.",
            "Name a target that is empty, or that this source was being moved to.",
        )
    return moved


def _why_not_there(store: EvidenceStore, moved: MovedObject) -> str:
    try:
        found = _digest(store, Stored(moved.key, moved.length, ""))
    except StoreError as error:
        if error.trouble is StoreTrouble.TRANSIENT:
            raise
        return str(error)
    return "" if found == (moved.sha256, moved.length) else "it has other bytes"


def _digest(store: EvidenceStore, stored: Stored) -> tuple[str, int]:
    digest, length = hashlib.sha256(), 0
    for block in store.blocks(stored):
        digest.update(block)
        length += len(block)
    return digest.hexdigest(), length


def _hide_what_is_hidden(source: CustodySession, target: EvidenceStore) -> None:
    for row in _hidden(source):
        try:
            target.hide(row["key"])
        except StoreError as error:
            if error.trouble is not StoreTrouble.MISSING:
                raise  # else it is lost, or half erased


def _sign(target: CustodySession, moved: list[MovedObject], done: Move) -> str:
    """The list is an object of the target's; its line the receipt."""
    leaves = [one.encoded for one in sorted(moved)]
    root = root_of([leaf_hash(leaf) for leaf in leaves]).hex()
    body = BytesBody(b"".join(leaf + b"\n" for leaf in leaves))
    try:
        target.store.create(store_keys.move(root), body)
    except StoreError as error:
        if error.trouble is not StoreTrouble.EXISTS:
            raise
    signed = target.index.row(SIGNED, root)
    if signed is not None:
        return root
    versions = list(_versions(target))
    for at in range(0, len(versions), LINE_FILES):
        some = versions[at : at + LINE_FILES]
        target.append(lambda some=some: ("moved", {"versions": some}))  # type: ignore[misc]
    said = {"versions": [], "root": root, "objects": done.objects, "bytes": done.moved_bytes,
            "lost": len(done.lost)}  # fmt: skip
    target.append(lambda: ("moved", said))
    return root


def _versions(target: CustodySession) -> Iterator[dict[str, str]]:
    """Of footage, where the target keeps other versions than the source did."""
    for row in target.index.rows("SELECT * FROM files WHERE status = 'received' ORDER BY key"):
        found = target.store.versions(row["key"])
        if found and found[-1].version != row["version"]:
            yield {"device": row["device"], "segment": row["segment"], "version": found[-1].version}


def _protect(target: CustodySession) -> None:
    """What the store itself can keep from being erased."""
    rows = target.index.rows(
        "SELECT files.* FROM files JOIN recordings ON recordings.id = files.recording WHERE "
        "files.status = 'received' AND hidden_ns IS NULL ORDER BY key"
    )
    for row in rows:
        stored = Stored(row["key"], row["length"], row["version"])
        target.protect(stored, row["device"], row["segment"])
    held = "SELECT DISTINCT recording FROM holds WHERE released IS NULL ORDER BY recording"
    for row in target.index.rows(held):
        target.lock(row["recording"])


def _listed(target: EvidenceStore, root: str) -> list[MovedObject]:
    leaves = target.read(store_keys.move(root), LIST_LIMIT).split(b"\n")[:-1]
    if root_of([leaf_hash(leaf) for leaf in leaves]).hex() != root:
        raise CustodyError("The list of what was moved was changed.", "Move it again.")
    return [MovedObject(**canonical_json.decode(leaf)) for leaf in leaves]
