"""Of everything that any ledger or receipt speaks of: is it here with its digest, on a camera that
has not docked, erased with a certificate, or lost?

Every object is read by its own key and digested: a listing that lies hides nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from bwv_device.custody.ledger.request_matching import asking
from bwv_device.custody.retention.deletion_certificate import read_certificates
from bwv_device.custody.session import CustodySession
from bwv_device.formats import store_keys
from hal.ports import EvidenceStore, Stored, StoreError, StoreTrouble

HERE = "the store"
# Objects that wait to be digested at once, and names in one line of the ledger.
WINDOW, NAMED_LIMIT = 256, 1000
# Names of objects that nothing speaks of, and that a listing left out, as they are told.
TOLD_LIMIT = 20
NEVER_CAME = "it was recorded, and never delivered"
UNKNOWN = "custody signed a receipt for it, and its ledger does not speak of it"


class Expected(NamedTuple):
    """An object that must be there. `sha256` "" where only its length is known. `what` is what it
    is, in words; of footage also whose."""

    key: str
    length: int | None
    sha256: str
    version: str
    what: str
    device: str = ""
    segment: str = ""
    recording: str = ""
    replicas: tuple[str, ...] = ()


class Lost(NamedTuple):
    """Something that is not whole everywhere. `places`: by store, what is wrong; `whole_in`: where
    it is whole all the same. `cases` and `requests` of its recording."""

    what: str
    device: str
    segment: str
    recording: str
    places: tuple[tuple[str, str], ...]
    whole_in: tuple[str, ...]
    cases: tuple[str, ...]
    requests: tuple[str, ...]
    key: str = ""

    @property
    def why(self) -> str:
        return "; ".join(f"{said} ({place})" for place, said in self.places)


@dataclass(slots=True)
class Completeness:
    """What was found. `here` and `read_bytes` count objects of the store itself; `on_camera` files
    by camera; `left_out` is what listings left out, `strangers` what nothing speaks of, `remains`
    what was erased and is there: the first names of each, and how many in `counts`."""

    here: int = 0
    read_bytes: int = 0
    erased: int = 0
    never_came: int = 0
    on_camera: dict[str, int] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    remains: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def tell(self, of: str, name: str) -> None:
        """One more of `left_out`, `strangers` or `remains`."""
        self.counts[of] = self.counts.get(of, 0) + 1
        names: list[str] = getattr(self, of)
        if len(names) < TOLD_LIMIT:
            names.append(name)


class Looked(NamedTuple):
    """What came of looking for an object in one store: "" for whole."""

    place: str
    why: str
    read_bytes: int


def examine(
    session: CustodySession,
    replicas: Mapping[str, EvidenceStore] | None = None,
    at_once: int = 1,
) -> Completeness:
    """Reads everything; `at_once` objects side by side. Raises `StoreError` where a store does not
    answer at all."""
    session.index.catch_up()
    stores = {HERE: session.store, **(replicas or {})}
    found = Completeness()
    with ThreadPoolExecutor(at_once) as pool:
        for some in _windows(_everything(session)):
            looked = pool.map(partial(_look_everywhere, stores), some)
            for expected, places in zip(some, looked, strict=True):
                _note(session, expected, places, found)
    _certificates(session, found)
    _not_here(session, found)
    _listed(session, found)
    _receipts(session, found)
    _drop_what_went_meanwhile(session, found)
    named = {name for row in _files(session) for name in row["replicas"].split(",") if name}
    for name in sorted(named - stores.keys()):
        found.remarks.append(f"the replica {name} is not configured here, and was not looked at")
    return found


def _drop_what_went_meanwhile(session: CustodySession, found: Completeness) -> None:
    """Reading takes hours, and custody goes on: what was erased since, or is known by now, is not
    lost."""
    before = session.index.head
    if session.index.catch_up().head == before:
        return
    wanted = {expected.key for expected in _everything(session)}
    still = []
    for lost in found.lost:
        if lost.why.startswith(UNKNOWN):
            if not _is_known(session, lost.device, lost.segment):
                still.append(lost)
        elif not lost.key or lost.key in wanted:
            still.append(lost)
    found.lost = still


def write_down(session: CustodySession, found: Completeness) -> None:
    """As a signed line: from then on the recordings that lost something say so."""
    named = [
        {"device": lost.device, "segment": lost.segment, "why": lost.why}
        for lost in found.lost
        if lost.segment and HERE not in lost.whole_in
    ]
    said = {
        "here": found.here,
        "bytes": found.read_bytes,
        "erased": found.erased,
        "on_camera": sum(found.on_camera.values()),
        "lost": len(found.lost),
        "named": named[:NAMED_LIMIT],
        "all_named": len(named) <= NAMED_LIMIT,
        "strangers": found.counts.get("strangers", 0),
    }
    session.append(lambda: ("completeness", said))


# --- what must be there -----------------------------------------------------------------------


def _everything(session: CustodySession) -> Iterator[Expected]:
    going = {
        row["id"]
        for row in session.index.rows(
            "SELECT id FROM recordings WHERE erasing IS NOT NULL AND erased_ns IS NULL"
        )
    }
    for row in _files(session):
        # What is being erased may be gone in part: the next run ends it.
        if row["status"] == "received" and row["recording"] not in going:
            yield Expected(
                row["key"], row["length"], row["sha256"], row["version"], "footage",
                row["device"], row["segment"], row["recording"],
                tuple(filter(None, row["replicas"].split(","))),
            )  # fmt: skip
    db = session.index.db
    for row in db.execute("SELECT * FROM pieces WHERE key != '' ORDER BY key"):
        yield Expected(
            row["key"], row["length"], "", "", f"the ledger of {row['device']}", row["device"]
        )
    letters = "SELECT DISTINCT letter FROM requests WHERE letter != '' ORDER BY letter"
    for row in db.execute(letters):
        key = store_keys.letter(row["letter"])
        yield Expected(key, None, row["letter"], "", "a letter from the public")
    bodies = (
        "SELECT n, body FROM lines WHERE refused = '' AND body IS NOT NULL AND n NOT IN "
        "(SELECT n FROM words) ORDER BY n"
    )
    for row in db.execute(bodies):
        key = store_keys.body(row["body"])
        yield Expected(key, None, row["body"], "", f"the words of line {row['n']}")


def _files(session: CustodySession) -> Iterator[dict[str, Any]]:
    """In the order of their keys, one after another."""
    yield from session.index.db.execute("SELECT * FROM files ORDER BY key")


def _windows(things: Iterable[Expected]) -> Iterator[list[Expected]]:
    left = iter(things)
    while some := list(islice(left, WINDOW)):
        yield some


# --- looking ------------------------------------------------------------------------------------


def _look_everywhere(stores: Mapping[str, EvidenceStore], expected: Expected) -> list[Looked]:
    return [
        _look(place, store, expected)
        for place, store in stores.items()
        if place == HERE or place in expected.replicas
    ]


def _look(place: str, store: EvidenceStore, expected: Expected) -> Looked:
    """Also where it is hidden."""
    digest, length = hashlib.sha256(), 0
    version = expected.version if place == HERE else ""
    try:
        for block in store.blocks(Stored(expected.key, expected.length or 0, version)):
            digest.update(block)
            length += len(block)
    except StoreError as error:
        if error.trouble in (StoreTrouble.TRANSIENT, StoreTrouble.FULL):
            raise
        gone = error.trouble is StoreTrouble.MISSING
        return Looked(place, "it is gone" if gone else f"it can't be read: {error}", length)
    if expected.length is not None and length != expected.length:
        return Looked(place, f"it has {length:,} bytes of {expected.length:,}", length)
    if expected.sha256 and digest.hexdigest() != expected.sha256:
        return Looked(place, "it has other bytes", length)
    return Looked(place, "", length)


def _note(
    session: CustodySession, expected: Expected, places: Sequence[Looked], found: Completeness
) -> None:
    found.read_bytes += sum(looked.read_bytes for looked in places if looked.place == HERE)
    found.here += any(looked.place == HERE and not looked.why for looked in places)
    wrong = tuple((looked.place, looked.why) for looked in places if looked.why)
    if wrong:
        whole_in = tuple(looked.place for looked in places if not looked.why)
        found.lost.append(
            _lost(session, expected.what, expected.device, expected.segment, expected.recording,
                  wrong, whole_in)._replace(key=expected.key)
        )  # fmt: skip


def _lost(
    session: CustodySession,
    what: str,
    device: str,
    segment: str,
    recording: str,
    places: tuple[tuple[str, str], ...],
    whole_in: tuple[str, ...] = (),
) -> Lost:
    """With the cases and requests that it touches."""
    holds = session.index.rows("SELECT * FROM holds WHERE recording = ? ORDER BY n", recording)
    cases = dict.fromkeys(hold["case_"] for hold in holds if hold["case_"])
    requests = dict.fromkeys(h["request"] for h in holds if h["request"] not in ("", "flag"))
    row = session.index.row("SELECT * FROM recordings WHERE id = ?", recording)
    if row is not None:
        requests |= dict.fromkeys(asking(session.index.db, row))
    return Lost(what, device, segment, recording, places, whole_in, tuple(cases), tuple(requests))


# --- what need not be there ---------------------------------------------------------------------


def _certificates(session: CustodySession, found: Completeness) -> None:
    for line in session.index.lines("kind = 'erased'"):
        leaves = read_certificates(session.store, line["certificates"])
        if leaves is None or len(leaves) != len(line["recordings"]):
            what = f"the deletion certificates of line {line['n']}"
            found.lost.append(_lost(session, what, "", "", "", ((HERE, "not whole"),)))
        else:
            found.here += 1


def _not_here(session: CustodySession, found: Completeness) -> None:
    """Erased, still on a camera, or recorded and never delivered."""
    for row in _files(session):
        if row["status"] == "erased":
            found.erased += 1
        elif row["status"] == "missing":
            found.never_came += 1
        elif row["status"] == "expected":
            found.on_camera[row["device"]] = found.on_camera.get(row["device"], 0) + 1
        elif row["status"] == "absent":
            places = (("no store", NEVER_CAME),)
            found.lost.append(
                _lost(session, "footage", row["device"], row["segment"], row["recording"], places)
            )


def _listed(session: CustodySession, found: Completeness) -> None:
    """What a listing of footage says beside what is known: both come in the order of their keys."""
    hidden = {
        row["id"]
        for row in session.index.rows("SELECT id FROM recordings WHERE hidden_ns IS NOT NULL")
    }
    gone = {lost.segment + lost.device for lost in found.lost}
    known = (row for row in _files(session) if row["key"])
    row = next(known, None)
    for stored in session.store.entries(store_keys.FOOTAGE):
        while row is not None and row["key"] < stored.key:
            _left_out(row, hidden, gone, found)
            row = next(known, None)
        if row is not None and row["key"] == stored.key:
            if row["status"] == "erased":
                found.tell("remains", stored.key)
            row = next(known, None)
        elif not _is_expected(session, stored.key):
            found.tell("strangers", stored.key)
    while row is not None:
        _left_out(row, hidden, gone, found)
        row = next(known, None)


def _left_out(
    row: Mapping[str, Any], hidden: set[str], gone: set[str], found: Completeness
) -> None:
    there = row["status"] == "received" and row["segment"] + row["device"] not in gone
    if there and row["recording"] not in hidden:
        found.tell("left_out", row["key"])


def _is_expected(session: CustodySession, key: str) -> bool:
    """Announced, and not taken in yet."""
    _, device, segment, *_ = (*key.split("/"), "", "")
    row = session.index.row(
        "SELECT 1 FROM files WHERE device = ? AND segment = ? AND status = 'expected'",
        device, segment,
    )  # fmt: skip
    return row is not None


def _receipts(session: CustodySession, found: Completeness) -> None:
    """Files that custody signed a receipt for, and that its ledger does not speak of: the store was
    set back."""
    seen = set[tuple[str, str]]()
    for stored in session.store.entries(store_keys.OUTBOX):
        named = store_keys.parse_receipt(stored.key)
        if named is None or named in seen:
            continue
        seen.add(named)
        if not _is_known(session, *named):
            recording = f"{named[0]}/{named[1][:13]}"
            found.lost.append(_lost(session, "footage", *named, recording, ((HERE, UNKNOWN),)))


def _is_known(session: CustodySession, device: str, segment: str) -> bool:
    known = "SELECT 1 FROM files WHERE device = ? AND segment = ? AND status != 'expected'"
    return session.index.row(known, device, segment) is not None
