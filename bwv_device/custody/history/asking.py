"""Asking all witnesses whether they have seen more, or something else, than the store shows.

The newest checkpoint that was published is submitted once more: who has seen a longer log says how
long it is, and who has seen another says no. Nobody needs the log's key for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bwv_device.custody.history import published, standing
from bwv_device.custody.history.witnesses import WitnessLine, ask
from bwv_device.custody.ledger.index import Index
from bwv_device.verification.tlog.checkpoint import SignedCheckpoint, read_signed
from bwv_device.verification.tlog.signed_note import NoteError
from bwv_device.verification.trust_list import Trust, Witness
from hal.ports import EvidenceStore


@dataclass(slots=True)
class Asked:
    """`objections`: what was seen is another history. `troubles`: who could not be asked."""

    signed: SignedCheckpoint | None = None
    cosigned: list[str] = field(default_factory=list)
    objections: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def ask_all(line: WitnessLine, index: Index, store: EvidenceStore, trust: Trust) -> Asked:
    """About the store's newest checkpoint; what they sign is remembered."""
    data = published.newest(index, store)
    if data is None:
        said = ["the store's log holds no checkpoint"] if trust.quorum else []
        return Asked(objections=said)
    try:
        signed = read_signed(data, trust.log)
    except NoteError as error:
        return Asked(objections=[f"the store's newest checkpoint {error}"])
    if signed.checkpoint.size > index.tree.size:
        return Asked()  # told by `standing`
    asked = cosign_by_all(line, index, signed, trust, {})
    if asked.signed is not None and asked.cosigned:
        time_s = published.quorum_s(asked.signed, trust)
        source = " and ".join(asked.cosigned)
        standing.remember(index, signed.checkpoint, source, time_s)
    return asked


def cosign_by_all(
    line: WitnessLine,
    index: Index,
    signed: SignedCheckpoint,
    trust: Trust,
    seen_by: Mapping[str, int],
) -> Asked:
    """Each witness of the trust list that has an address. `seen_by`: how much of the log each is
    believed to have seen; by default what is submitted."""
    size, asked = signed.checkpoint.size, Asked(signed)
    for name, keys in by_name(trust.witnesses).items():
        if not keys[0].url:
            continue
        answer = ask(line, keys, signed, seen_by.get(name, size), index.tree.consistency)
        if answer.signatures:
            asked.cosigned.append(name)
            signed = signed.with_signatures(answer.signatures)
        elif answer.contradicts:
            asked.objections.append(answer.trouble)
        else:
            asked.troubles.append(answer.trouble)
    asked.signed = signed
    return asked


def by_name(witnesses: Sequence[Witness]) -> Mapping[str, list[Witness]]:
    """A witness may have a key of each kind."""
    found: dict[str, list[Witness]] = {}
    for witness in witnesses:
        found.setdefault(witness.key.name, []).append(witness)
    return found
