"""The log as it lies in the store: checkpoints with their cosignatures (docs/format.md, 8.3)."""

from __future__ import annotations

from collections.abc import Iterable

from bwv_device.custody.history import standing
from bwv_device.custody.ledger.index import Index
from bwv_device.formats import store_keys
from bwv_device.verification.tlog.checkpoint import SignedCheckpoint, cosigned, read_signed
from bwv_device.verification.tlog.signed_note import NOTE_LIMIT, NoteError
from bwv_device.verification.trust_list import Trust
from hal.ports import EvidenceStore, StoreError, StoreTrouble

SOURCE = "the store's own log"


def learn(index: Index, store: EvidenceStore, trust: Trust | None) -> list[str]:
    """Remembers every checkpoint of the store that was not read before. Returns what is wrong with
    some, in sentences: one that the log did not sign says nothing about the lines."""
    if trust is None:
        return []
    wrong = []
    row = index.row("SELECT value FROM meta WHERE name = 'checkpoint'")
    newest = row["value"] if row else ""
    for stored in store.entries(store_keys.CHECKPOINTS, newest):
        try:
            signed = read_signed(store.read(stored.key, NOTE_LIMIT), trust.log)
        except NoteError as error:
            wrong.append(f"{stored.key} {error}")
            continue
        except StoreError as error:
            if error.trouble not in (StoreTrouble.MISSING, StoreTrouble.REFUSED):
                raise
            wrong.append(f"{stored.key} can't be read")
            continue
        seen_by = [c.witness for c in cosigned(signed, [w.key for w in trust.witnesses]).values()]
        source = " and ".join(sorted(set(seen_by))) or SOURCE
        standing.remember(index, signed.checkpoint, source, quorum_s(signed, trust))
        newest = stored.key
    if newest and (row is None or newest != row["value"]):
        index.write("INSERT OR REPLACE INTO meta VALUES ('checkpoint', ?)", newest)
    return wrong


def newest(index: Index, store: EvidenceStore) -> bytes | None:
    """The newest checkpoint that `learn` could verify, as it lies in the store now; None before the
    first, or where it is gone."""
    row = index.row("SELECT value FROM meta WHERE name = 'checkpoint'")
    if row is None:
        return None
    try:
        return store.read(row["value"], NOTE_LIMIT)
    except StoreError as error:
        if error.trouble not in (StoreTrouble.MISSING, StoreTrouble.REFUSED):
            raise
        return None


def quorum_s(signed: SignedCheckpoint, trust: Trust) -> int:
    """When, at the latest, a quorum of witnesses had seen a checkpoint; 0 while they are too few.
    A witness with several keys is one."""
    times: dict[str, int] = {}
    for cosignature in cosigned(signed, [w.key for w in trust.witnesses]).values():
        name = cosignature.witness
        times[name] = max(times.get(name, 0), cosignature.time_s)
    return _at(times.values(), trust.quorum)


def _at(times: Iterable[int], quorum: int) -> int:
    ordered = sorted(times, reverse=True)
    return ordered[quorum - 1] if 0 < quorum <= len(ordered) else 0
