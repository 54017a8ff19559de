"""The verdict on a store's ledger: read again, and held against what others have seen."""

from __future__ import annotations

from dataclasses import dataclass, field

from bwv_device.custody.history import asking, published, standing
from bwv_device.custody.history.witnesses import WitnessLine
from bwv_device.custody.ledger.index import Index
from bwv_device.verification.trust_list import Trust
from hal.ports import EvidenceStore


@dataclass(slots=True)
class LedgerVerdict:
    """`problems` mean that the ledger is not what it was; `remarks` that something could not be
    asked or read. `seen`: who outside has seen how much, as a sentence."""

    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    seen: str = ""


def judge(
    index: Index,
    store: EvidenceStore,
    trust: Trust | None,
    now_ns: int,
    line: WitnessLine | None = None,
) -> LedgerVerdict:
    """Reads every line of the store again, and asks the witnesses over `line`, where there is
    one."""
    verdict = LedgerVerdict(remarks=published.learn(index, store, trust))
    index.catch_up()
    verdict.problems += index.compare_with_store()
    asked = asking.ask_all(line, index, store, trust) if line and trust else asking.Asked()
    if line and trust and asked.objections:
        # The log may have grown while it was read: a witness hears of it right after the store.
        verdict.remarks += published.learn(index, store, trust)
        index.catch_up()
        asked = asking.ask_all(line, index, store, trust)
    verdict.problems += standing.contradictions(index)
    verdict.problems += filter(None, [standing.objection(index)])
    verdict.problems += standing.dated_ahead(index)
    verdict.problems += [said for said in asked.objections if said not in verdict.problems]
    verdict.remarks += asked.troubles
    missing_s = standing.outage_s(index, trust, now_ns)
    if trust is None or missing_s is None:
        verdict.seen = "nobody outside the agency has seen this ledger"
    elif missing_s > trust.outage_s:
        verdict.problems.append(standing.too_long(trust, missing_s))
    else:
        sizes = [checkpoint.size for checkpoint in standing.seen(index) if checkpoint.utc_s]
        verdict.seen = (
            f"{trust.quorum} of the witnesses have seen line {max(sizes, default=0)}, "
            f"of {index.tree.size}"
        )
    return verdict
