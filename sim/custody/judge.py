"""Judges custody from the world: what must be there, held, hidden, erased and answered.

Rules are those of product.md; times are true ones. What custody says of itself is a claim that
needs a cause in the world.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from sim.custody import dates
from sim.custody.agency_store import AgencyStore
from sim.custody.dates import days
from sim.custody.desk import Certificate, Desk, Seen, SeenHold
from sim.custody.staff import CATEGORY_DAYS
from sim.custody.station import Station
from sim.custody.truth import TrueRecording, TrueRequest

# What custody promises, each by a word (docs/simulator.md).
FORGOTTEN, TOO_EARLY, TOO_LATE = "forgotten-too-early", "erased-too-early", "erased-too-late"
KEPT, HELD, HIDDEN, CLAIMS = "kept", "held", "hidden", "claims"
DELIVERED, CHAIN, LOST = "delivered", "chain", "lost-without-a-word"
# A request may also hold what is so near; and what was recorded by a clock that knew nothing.
NEAR_NS = 60 * dates.SECOND_NS
FLAG = "flag"
# Of a recording that never came whole, what came may go so much later.
INCOMPLETE_DAYS = 38


class Finding(NamedTuple):
    """A broken promise, and the first day on which it was."""

    day: datetime.date
    promise: str
    what: str

    def __str__(self) -> str:
        return f"{self.day}  {self.promise}: {self.what}"


class Judge:
    """Listens to the stores and the cards, and looks at everything once a day."""

    def __init__(self, station: Station) -> None:
        self._it, self._truth = station, station.truth
        self.findings: dict[tuple[str, str], Finding] = {}
        self._digests: dict[int, tuple[bytes, str]] = {}  # of stores' objects, by identity
        self._received: dict[str, set[str]] = {}  # names of files, by recording
        self._arrived_ns: dict[str, int] = {}  # when a recording's first file was received
        self._newest_ns: dict[str, int] = {}  # and its newest
        self._requested: dict[str, set[str]] = {}  # requests that reach a recording
        self._lying: dict[AgencyStore, dict[str, list[str]]] = {}  # today's look
        for store in (station.store, *station.replicas):
            store.on_erase = partial(self._erases, store)
        for camera in station.cameras:
            camera.at_removal = self._removed

    def complain(self, promise: str, sentence: str) -> None:
        """The same is said once."""
        about = (promise, sentence)
        self.findings.setdefault(about, Finding(self._today(), promise, sentence))

    # --- at the moment ------------------------------------------------------------------------

    def _removed(self, recording: TrueRecording, name: str, sha256: str) -> None:
        """A camera forgets a file: every store must hold the very same bytes now, or it had come
        and its time is over."""
        if any(c.files.get(name) == sha256 for c in self._certificates(recording)):
            return
        key = _key(recording, name, sha256)
        for number, store in enumerate(self._stores()):
            data = store.holds(key)
            if not number and key in self._truth.lost_objects:
                continue
            if data is None or self._digest(data) != sha256:
                where = f"replica {number}" if number else "the store"
                self.complain(
                    FORGOTTEN, f"{name} of {recording.camera} is removed, and {where} has it not"
                )

    def _erases(self, store: AgencyStore, key: str) -> None:
        """A store is told to erase an object."""
        parts = key.split("/")
        if parts[0] != "footage" or len(parts) != 4:
            return
        _, camera, name, sha256 = parts
        if self._digest(store.holds(key) or b"") != sha256:
            return  # bytes that are not what their name says
        recording = self._truth.recordings.get(f"{camera}/{name[:13]}")
        if recording is None:
            self.complain(CLAIMS, f"{key} is erased, and nobody recorded it")
            return
        self.look()
        for reason in self._not_yet(recording):
            self.complain(TOO_EARLY, f"{recording.id} is erased, {reason}")

    def _not_yet(self, recording: TrueRecording) -> Iterator[str]:
        """Why it must not go now."""
        today = self._today()
        age = (today - dates.day_of(recording.ended_ns)).days
        least = max(dates.KEPT_DAYS, min(self._truth.categories.get(recording.id, {0})))
        if age < least:
            yield f"{age} days old, of {least}"
        for why in self._must_hold(recording):
            yield f"held for {why}"
        if recording.complete_ns is not None:
            late = (today - dates.day_of(recording.complete_ns)).days
            if late < dates.LATE_DAYS:
                yield f"{late} days after it came whole"
        elif age < INCOMPLETE_DAYS and recording.files:
            missing = sorted(set(recording.files) - self._received.get(recording.id, set()))
            yield f"{', '.join(missing)} not received"

    def set_back(self, to_ns: int) -> None:
        """The store is what it was then: what people decided since is gone with it, and nobody can
        know it. What came since is lost where no card has it any more, and must be told."""
        truth = self._truth
        truth.holds = [h for h in truth.holds if h.since_ns <= to_ns]
        truth.requests = [r for r in truth.requests if r.asked_ns <= to_ns]
        for name, arrived_ns in list(self._arrived_ns.items()):
            if arrived_ns > to_ns:
                self._arrived_ns.pop(name)
                self._requested.pop(name, None)
        self._received.clear()
        for recording in truth.recordings.values():
            if recording.complete_ns is not None and recording.complete_ns > to_ns:
                recording.complete_ns = None

    # --- what came, and what is held ----------------------------------------------------------

    def look(self) -> None:
        """Follows what custody received, and which requests reach it."""
        now_ns = self._it.true_utc_ns()
        for seen in self._desk.recordings():
            recording = self._truth.recordings.get(seen.id)
            if recording is None:
                self.complain(CLAIMS, f"custody knows {seen.id}, which nobody recorded")
                continue
            if not seen.files:
                continue
            if set(seen.files) - self._received.get(seen.id, set()):
                self._newest_ns[seen.id] = now_ns
            self._received[seen.id] = set(seen.files)
            self._arrived_ns.setdefault(seen.id, now_ns)
            whole = recording.files and set(recording.files) <= set(seen.files)
            if whole and recording.complete_ns is None:
                recording.complete_ns = now_ns
            for request in self._truth.requests:
                if self._reaches(request, recording, seen):
                    self._requested.setdefault(seen.id, set()).add(request.number)

    def _reaches(self, request: TrueRequest, recording: TrueRecording, seen: Seen) -> bool:
        """Whether a request, in time, surely asks for it and finds it, or found it on arrival."""
        in_time = request.received <= dates.day_of(request.incident_ns) + days(dates.HOLD_DAYS)
        if not (request.number and in_time and request.means(recording, -dates.SECOND_NS)):
            return False
        if request.number in self._requested.get(seen.id, ()):
            return True
        since_ns = max(request.asked_ns, self._arrived_ns[seen.id])
        open_then = request.closed_ns is None or request.closed_ns > since_ns
        return open_then and not seen.erased

    def _must_hold(self, recording: TrueRecording) -> set[str]:
        """Reasons that hold it now, by what people did."""
        reasons = {h.case for h in self._truth.holds if h.sure and h.recording == recording.id}
        reasons |= self._requested.get(recording.id, set())
        if recording.flagged:
            reasons.add(FLAG)
        let_go = self._truth.releasing | self._truth.released
        return {why for why in reasons if (recording.id, why) not in let_go}

    def _has_cause(self, hold: SeenHold) -> bool:
        recording = self._truth.recordings.get(hold.recording)
        if recording is None:
            return False
        if hold.why == FLAG:
            return recording.flagged
        if any((h.recording, h.case) == (recording.id, hold.why) for h in self._truth.holds):
            return True
        near_ns = NEAR_NS if recording.clock_known else 400 * dates.DAY_NS
        return any(
            request.means(recording, near_ns)
            for request in self._truth.requests
            if request.number in ("", hold.why)
        )

    # --- once a day ---------------------------------------------------------------------------

    def day(self, *, ran: bool) -> None:
        """After the services had their time; `ran`: deletion came to its end."""
        self._lying.clear()
        self.look()
        seen = {s.id: s for s in self._desk.recordings()}
        active: dict[str, set[str]] = {}
        for hold in self._desk.holds():
            if not hold.released:
                active.setdefault(hold.recording, set()).add(hold.why)
            if not self._has_cause(hold):
                self.complain(CLAIMS, f"{hold} has no cause")
        for name, recording in self._truth.recordings.items():
            if name in seen and seen[name].files:
                self._one(recording, seen[name], active.get(name, set()), ran=ran)

    def completeness(self) -> None:
        """Custody names exactly what its store has lost, and has not been told to erase; beside
        that what was recorded and never delivered."""
        certified = {(c.recording, file) for c in self._desk.certificates() for file in c.files}
        received, erased = set[tuple[str, str]](), set[str]()
        for seen in self._desk.recordings():
            erased |= {seen.id} if seen.erased else set()
            of = seen.id.partition("/")[0]
            received |= {(of, file) for file in seen.files if (seen.id, file) not in certified}
        lost = set[tuple[str, str]]()
        for key in self._truth.lost_objects:
            _, camera, file, _ = key.split("/")
            if self._it.store.holds(key) is None and f"{camera}/{file[:13]}" not in erased:
                lost.add((camera, file))
        wrong = (self._desk.completeness() & received) ^ (lost & received)
        if wrong:
            self.complain(LOST, f"completeness is wrong about {sorted(wrong)}")

    def _one(self, recording: TrueRecording, seen: Seen, active: set[str], *, ran: bool) -> None:
        self._words(recording, seen)
        missing = self._must_hold(recording) - active
        if missing and not seen.erased:
            self.complain(HELD, f"{recording.id} is not held for {', '.join(sorted(missing))}")
        hidden_from, must_be_gone = self._when(recording)
        if not seen.erased:
            self._is_there(recording, seen, held=bool(active))
        if not ran or active:
            return
        today = self._today()
        if must_be_gone is not None and today >= must_be_gone:
            self._is_gone(recording, seen)
        elif hidden_from is not None and hidden_from <= today and not seen.hidden:
            self.complain(HIDDEN, f"{recording.id} is not hidden")
        earliest = dates.day_of(recording.ended_ns) + days(self._days(recording, min))
        if seen.hidden and today < earliest - days(dates.HIDDEN_BEFORE_DAYS):
            self.complain(HIDDEN, f"{recording.id} is hidden, and goes on {earliest}")

    def _words(self, recording: TrueRecording, seen: Seen) -> None:
        """What custody says of it beside its dates."""
        if seen.officer not in recording.officers | {""}:
            officers = " or ".join(sorted(recording.officers))
            self.complain(CLAIMS, f"{seen.id} is {seen.officer}'s, and was recorded by {officers}")
        allowed = self._truth.categories.get(seen.id, {0})
        if CATEGORY_DAYS.get(seen.category, 0) not in allowed:
            self.complain(CLAIMS, f"{seen.id} is {seen.category!r}, and nobody said so")
        for file, sha256 in seen.files.items():
            if recording.files.get(file, sha256) != sha256:
                self.complain(CLAIMS, f"{file} was received with other bytes than its camera had")

    def _is_there(self, recording: TrueRecording, seen: Seen, *, held: bool) -> None:
        """Every file that was received and not erased before its late rest came, in every store;
        what is held can be seen, and is locked."""
        gone = {file for c in self._certificates(recording) for file in c.files}
        for file, sha256 in seen.files.items():
            if file in gone:
                continue
            key = _key(recording, file, sha256)
            for number, store in enumerate(self._stores()):
                if not number and key in self._truth.lost_objects:
                    continue
                where = f"replica {number}" if number else "the store"
                data = store.holds(key)
                if data is None or self._digest(data) != sha256:
                    self.complain(KEPT, f"{key} was received, and is not in {where}")
                elif held and store.locks and key not in store.held:
                    self.complain(
                        HELD, f"{recording.id} is held, and {where} does not protect {file}"
                    )
                elif (key in store.hidden) != seen.hidden and not seen.erased:
                    self._hidden_word(recording, seen, where)

    def _hidden_word(self, recording: TrueRecording, seen: Seen, where: str) -> None:
        if self.settled:
            is_so = "is hidden" if seen.hidden else "is not hidden"
            self.complain(
                HIDDEN, f"{recording.id} {is_so} by what custody says, and otherwise in {where}"
            )

    settled = True  # False where a process died in between: the next run puts it right

    def _is_gone(self, recording: TrueRecording, seen: Seen) -> None:
        for number, store in enumerate(self._stores()):
            for key in self._lies(store).get(recording.id, ()):
                where = f"replica {number}" if number else "the store"
                self.complain(TOO_LATE, f"{recording.id} should be gone, and {key} is in {where}")
        named: dict[str, str] = {}
        for certificate in self._certificates(recording):
            if set(named) & set(certificate.files):
                self.complain(CHAIN, f"two certificates name a file of {recording.id}")
            named |= certificate.files
        if named != seen.files:
            self.complain(CHAIN, f"the certificate of {recording.id} does not name what was erased")

    def _lies(self, store: AgencyStore) -> Mapping[str, Sequence[str]]:
        """All footage in a store by recording, whatever custody knows of it."""
        if store not in self._lying:
            names: dict[str, list[str]] = {}
            for key, _ in store.everything():
                kind, camera, name, *_ = (*key.split("/"), "", "")
                if kind == "footage":
                    names.setdefault(f"{camera}/{name[:13]}", []).append(key)
            self._lying[store] = names
        return self._lying[store]

    def _when(self, recording: TrueRecording) -> tuple[datetime.date | None, datetime.date | None]:
        """Days from which it must be hidden, and gone: with a clock that did not know the time, as
        if it had been recorded when it came."""
        newest_ns = self._newest_ns.get(recording.id)
        if recording.complete_ns is None:
            # What came may wait for the rest, and not for ever.
            if newest_ns is None or not recording.clock_known:
                return None, None
            came = dates.day_of(newest_ns)
            latest = dates.day_of(recording.ended_ns) + days(self._days(recording, max))
            return None, max(latest, came + days(dates.LATE_DAYS)) + days(dates.LATE_DAYS)
        came = dates.day_of(recording.complete_ns)
        latest = dates.day_of(recording.ended_ns) if recording.clock_known else came
        gone = max(latest + days(self._days(recording, max)), came + days(dates.LATE_DAYS))
        return gone - days(dates.HIDDEN_BEFORE_DAYS), gone

    def _days(self, recording: TrueRecording, choose: object) -> int:
        allowed = self._truth.categories.get(recording.id, {0})
        return max(dates.KEPT_DAYS, (max if choose is max else min)(allowed))

    # --- at the end ---------------------------------------------------------------------------

    def end(self, names: Iterable[str]) -> None:
        """When all trouble is over and every camera was docked: cards are empty, nothing is lost
        without a word, the chain is whole, and a new process sees what an old one does."""
        for camera in self._it.cameras:
            if camera.name not in self._truth.lost_cards and (left := camera.on_card()):
                self.complain(DELIVERED, f"{camera.name} still has {', '.join(sorted(left))}")
        if self._desk.recordings() != self._desk.recordings(fresh=True):
            self.complain(
                CHAIN, "a process that has just begun sees other recordings than an old one"
            )
        for name in names:
            for problem in self._desk.audit(name):
                self.complain(CHAIN, f"audit of {name}: {problem}")
        alarms = " ".join(self._desk.alarms())
        for recording in self._truth.recordings.values():
            for file in recording.removed:
                key = _key(recording, file, recording.files[file])
                there = self._it.store.holds(key) is not None
                erased = any(file in c.files for c in self._certificates(recording))
                if not there and not erased and file not in alarms:
                    self.complain(
                        LOST, f"{file} of {recording.camera} is lost, and nothing says so"
                    )

    # --- inside -------------------------------------------------------------------------------

    def _certificates(self, recording: TrueRecording) -> list[Certificate]:
        return [c for c in self._desk.certificates() if c.recording == recording.id]

    def _digest(self, data: bytes) -> str:
        """Bytes in memory do not change: each is hashed once."""
        if id(data) not in self._digests:
            self._digests[id(data)] = (data, hashlib.sha256(data).hexdigest())
        return self._digests[id(data)][1]

    @property
    def _desk(self) -> Desk:
        return self._it.desk

    def _stores(self) -> list[AgencyStore]:
        return [self._it.store, *self._it.replicas]

    def _today(self) -> datetime.date:
        return dates.day_of(self._it.true_utc_ns())


def _key(recording: TrueRecording, name: str, sha256: str) -> str:
    """Where a file lies in the store (docs/format.md)."""
    return f"footage/{recording.camera}/{name}/{sha256}"
