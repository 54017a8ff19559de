"""Whether anything may be decided on a store: what others have seen of its ledger
(docs/format.md, 8.5).

Everybody who reads the ledger remembers the checkpoints that were seen, in the index. They come
from the store's own log, from witnesses, and from cameras.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509

from bwv_device.custody.ledger.index import Index
from bwv_device.errors import CustodyError
from bwv_device.formats.statement import StatementError
from bwv_device.verification.tlog.checkpoint import Checkpoint
from bwv_device.verification.trust_list import Trust, origin, read_trust_list
from hal.ports import SECOND_NS

# So much may custody's clock and a witness's differ.
CLOCKS_DIFFER_S = 900


class Seen(NamedTuple):
    """A checkpoint that somebody saw. `utc_s`: the time that a quorum of witnesses says, 0 where
    none does."""

    size: int
    root: str
    source: str
    utc_s: int


def remember(index: Index, checkpoint: Checkpoint, source: str, utc_s: int = 0) -> None:
    """A checkpoint whose signature was verified. The newest time is kept, and who saw it first."""
    index.write(
        "INSERT INTO checkpoints VALUES (?1, ?2, ?3, ?4, ?5, 0) ON CONFLICT (origin, size, root) "
        "DO UPDATE SET utc_s = max(utc_s, ?5)",
        checkpoint.origin, checkpoint.size, checkpoint.root.hex(), source, utc_s,
    )  # fmt: skip


def witnesses_say(index: Index, sentence: str) -> None:
    """What witnesses object, while no quorum of others cosigns; "" where it does. It is no signed
    word, so it holds only until they say otherwise."""
    index.write("INSERT OR REPLACE INTO meta VALUES ('witnesses', ?)", sentence)


def seen(index: Index) -> list[Seen]:
    """All that is remembered of this store's log, from the shortest."""
    rows = index.rows(
        "SELECT size, root, source, utc_s FROM checkpoints WHERE origin = ? ORDER BY size",
        origin(index.store_id),
    )
    return [Seen(**row) for row in rows]


def contradictions(index: Index) -> list[str]:
    """What was seen and is not so any more, a sentence each; none where the store's ledger
    continues everything that anybody saw. What continued once still does: lines that were read do
    not change in the index."""
    said, size = [], index.tree.size
    rows = index.rows(
        "SELECT * FROM checkpoints WHERE origin = ? AND NOT checked ORDER BY size",
        origin(index.store_id),
    )
    for row in rows:
        if row["size"] > size:
            said.append(
                f"the store's ledger ends at line {size}, and {row['source']} has seen line "
                f"{row['size']}: its end was cut, or it is an older copy"
            )
        elif index.tree.root(row["size"]).hex() != row["root"]:
            said.append(
                f"the first {row['size']} lines are not those that {row['source']} has seen: "
                "they were changed, reordered or signed anew"
            )
        else:
            index.write(
                "UPDATE checkpoints SET checked = 1 WHERE origin = ? AND size = ? AND root = ?",
                row["origin"], row["size"], row["root"],
            )  # fmt: skip
    return said


def dated_ahead(index: Index) -> list[str]:
    """Lines that say a later time than that at which a quorum of witnesses had seen them: somebody
    dated them ahead, or custody's clock was set forward. Of lines that follow one of them, and so
    carry its time, nothing is said."""
    said: dict[int, str] = {}
    for seen_ in seen(index):
        if not seen_.utc_s:
            continue
        row = index.row(
            "SELECT n, utc_ns FROM lines WHERE refused = '' AND n <= ? AND utc_ns > ? ORDER BY n "
            "LIMIT 1", seen_.size, (seen_.utc_s + CLOCKS_DIFFER_S) * SECOND_NS
        )  # fmt: skip
        if row is not None:
            told = [
                datetime.datetime.fromtimestamp(utc_s, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
                for utc_s in (row["utc_ns"] // SECOND_NS, seen_.utc_s)
            ]
            said.setdefault(
                row["n"],
                f"line {row['n']} is dated {told[0]}, and {seen_.source} had seen it at {told[1]}: "
                "it was dated ahead",
            )
    return list(said.values())


def objection(index: Index) -> str:
    """What witnesses said last, while no quorum cosigns; "" for nothing."""
    row = index.row("SELECT value FROM meta WHERE name = 'witnesses'")
    return str(row["value"]) if row else ""


def trust_in_force(
    index: Index, roots: Sequence[x509.Certificate], given: str = ""
) -> Trust | None:
    """The newest trust list: of the ledger, or one that was `given` as a file. Raises
    `CustodyError` where that one can't be used, or is another store's."""
    lists = [index.trust] if index.trust else []
    if given:
        try:
            lists.append(read_trust_list(given, roots))
        except StatementError as error:
            raise CustodyError(f"The trust list given can't be used: {error}.", "") from None
        if index.store_id and lists[-1].store != index.store_id:
            raise CustodyError(
                "The trust list given is of another store.", "Check agency.trust and store.address."
            )
    return max(lists, key=lambda trust: trust.version, default=None)


def newest_cosigned_s(index: Index) -> int:
    """The newest time at which a quorum of witnesses had seen the log; 0 for none."""
    row = index.row(
        "SELECT max(utc_s) AS newest FROM checkpoints WHERE origin = ?", origin(index.store_id)
    )
    return int(row["newest"] or 0) if row else 0


def outage_s(index: Index, trust: Trust | None, now_ns: int) -> int | None:
    """For how long no quorum has cosigned, by custody's clock; None where nobody must."""
    if trust is None or not trust.quorum:
        return None
    first = index.row("SELECT utc_ns FROM lines ORDER BY n LIMIT 1")
    began_s = first["utc_ns"] // SECOND_NS if first else now_ns // SECOND_NS
    return int(now_ns // SECOND_NS - max(newest_cosigned_s(index), began_s))


def refuse_contradictions(index: Index) -> None:
    """Raises `CustodyError` where somebody has seen another ledger than this."""
    found = [*contradictions(index), objection(index)]
    if any(found):
        raise CustodyError(
            f"Nothing is decided on this store: {next(filter(None, found))}.",
            "Compare it with a replica or a backup, and find out who wrote it "
            "(docs/operations.md).",
        )


def refuse_to_decide(index: Index, trust: Trust | None, now_ns: int) -> None:
    """Raises `CustodyError` where what others have seen, or have not seen for too long, forbids to
    erase, to search, to disclose. What comes in and what is held is written down all the same."""
    refuse_contradictions(index)
    missing_s = outage_s(index, trust, now_ns)
    if trust is not None and missing_s is not None and missing_s > trust.outage_s:
        raise CustodyError(
            f"Nothing is decided on this store: {too_long(trust, missing_s)}.",
            "See that 'bwv custody log' runs and reaches them, and that the clock is right.",
        )


def too_long(trust: Trust, missing_s: int) -> str:
    """The sentence for an outage."""
    return (
        f"for {missing_s / 3600:.0f} hours no {trust.quorum} of the witnesses saw the ledger, "
        f"and {trust.outage_s / 3600:.0f} are allowed"
    )
