"""People of the agency and of the public: what they decide, drawn day by day."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bwv_device.custody.requests.law import KINDS
from bwv_device.custody.requests.public_requests import RequestDetails
from sim.custody import dates
from sim.custody.body_camera import BodyCamera
from sim.custody.desk import Refused, Seen
from sim.custody.station import Station
from sim.custody.truth import TrueHold, TrueRequest
from sim.random_streams import Draws

PEOPLE = ("Ada", "Ben", "Chloe", "Dev")
OFFICERS = ("PC 101", "PC 202", "PC 303")
CATEGORY_DAYS = {"evidence": 60, "complaint": 45}
LETTER = b"Dear Sir or Madam,\nplease send me the footage of that day.\n"
# What the judge calls it.
ACTS, TWO_PERSONS, ANSWERED = "acts", "two-persons", "answered"
# A request's window reaches this far around what happened.
AROUND_S = 20


class Staff:
    """`complain` hears of what custody should not have said."""

    def __init__(
        self, station: Station, draws: Draws, complain: Callable[[str, str], None]
    ) -> None:
        self._it, self._draws, self._complain = station, draws, complain
        self._truth, self._cases = station.truth, 0
        self.acts: dict[str, int] = {}

    def first_day(self) -> None:
        """Some of the new cameras are issued before they ever dock."""
        for camera in self._it.cameras:
            if self._draws.chance(500):
                self._does(partial(self._issue, camera))

    def day(self) -> None:
        """What people do on one day."""
        chances = (
            (self._hold, 350),
            (self._release, 250),
            (self._release_alone, 60),
            (self._categorize, 120),
            (self._request, 150),
            (self._search, 200),
            (self._close, 120),
            (self._register, 200),
        )
        for act, permille in chances:
            if self._draws.chance(permille):
                self.acts[act.__name__[1:]] = self.acts.get(act.__name__[1:], 0) + 1
                self._does(act)

    def _does(self, act: Callable[[], None]) -> None:
        """One act; where the store was away or the process died, the person tries once more."""
        for _ in range(2):
            if self._it.custody_does(act, 30):
                return
            self._it.store.away = False

    # --- holds --------------------------------------------------------------------------------

    def _hold(self) -> None:
        if (chosen := self._some_recording()) is None:
            return
        self._cases += 1
        true = TrueHold(chosen.id, f"case {self._cases}", self._it.true_utc_ns())
        self._truth.holds.append(true)
        person = self._draws.pick(PEOPLE)
        try:
            true.sure = self._it.desk.hold(person, chosen.id, true.case)
        except Refused as refused:
            self._complain(ACTS, f"{person} may not hold {chosen.id}: {refused}")

    def _release(self) -> None:
        active = [hold for hold in self._it.desk.holds() if not hold.released]
        if not active:
            return
        hold, first = self._draws.pick(active), self._draws.pick(PEOPLE)
        second = self._draws.pick([name for name in PEOPLE if name != first])
        try:
            self._it.desk.propose_release(first, hold.number)
            # From now on it may be lifted: the answer to the second may be lost.
            self._truth.releasing.add((hold.recording, hold.why))
            self._it.desk.approve_release(second, hold.number)
        except Refused as refused:
            self._complain(ACTS, f"{first} and {second} may not release {hold}: {refused}")
            return
        self._truth.released.add((hold.recording, hold.why))

    def _release_alone(self) -> None:
        """One person signs both. Custody must not let it."""
        active = [hold for hold in self._it.desk.holds() if not hold.released]
        if not active:
            return
        hold, person = self._draws.pick(active), self._draws.pick(PEOPLE)
        try:
            self._it.desk.propose_release(person, hold.number)
            self._it.desk.approve_release(person, hold.number)
        except Refused:
            return
        self._complain(TWO_PERSONS, f"{person} alone released {hold}")

    def _categorize(self) -> None:
        if (chosen := self._some_recording()) is None:
            return
        category = self._draws.pick(tuple(CATEGORY_DAYS))
        self._truth.categories.setdefault(chosen.id, {0}).add(CATEGORY_DAYS[category])
        try:
            self._it.desk.categorize(self._draws.pick(PEOPLE), chosen.id, category)
        except Refused as refused:
            self._complain(ACTS, f"{chosen.id} gets no category: {refused}")
            return
        self._truth.categories[chosen.id] = {CATEGORY_DAYS[category]}

    # --- requests -----------------------------------------------------------------------------

    def _request(self) -> None:
        """Somebody writes about something that a camera may have seen, wherever that is now."""
        now_ns = self._it.true_utc_ns()
        recent = [
            r for r in self._truth.recordings.values() if now_ns - r.ended_ns < 45 * dates.DAY_NS
        ]
        if not recent:
            return
        about = self._draws.pick(recent)
        middle_ns = (about.began_ns + about.ended_ns) // 2
        around_ns = self._draws.spread(1, AROUND_S) * dates.SECOND_NS
        known = {seen.id.partition("/")[0] for seen in self._it.desk.recordings()}
        cameras = (about.camera,) if self._draws.chance(300) and about.camera in known else ()
        officers = tuple(about.officers) if self._draws.chance(200) else ()
        kind, received = self._draws.pick(KINDS), dates.day_of(now_ns)
        details = RequestDetails(
            kind, LETTER, "letter.txt", received, middle_ns, middle_ns - around_ns,
            middle_ns + around_ns, "Mare Street", "spoken to", cameras, officers,
        )  # fmt: skip
        true = TrueRequest(
            "", kind, received, now_ns, middle_ns, details.from_ns, details.to_ns, cameras, officers
        )
        self._truth.requests.append(true)
        try:
            opened = self._it.desk.open_request(self._draws.pick(PEOPLE), details)
        except Refused as refused:
            self._complain(ANSWERED, f"a request is turned away: {refused}")
            return
        expected = dates.answer_due(kind, received)
        if opened.due != expected:
            self._complain(
                ANSWERED, f"{kind} of {received} is due on {opened.due}, not on {expected}"
            )
        true.number = opened.number

    def _search(self) -> None:
        """A certificate of where was looked: it must not say "nothing" of what there is."""
        answered = [request for request in self._truth.requests if request.number]
        if not answered:
            return
        request = self._draws.pick(answered)
        try:
            answer = self._it.desk.search(self._draws.pick(PEOPLE), request.number)
        except Refused as refused:
            if self._it.custody_decides:
                said = f"request {request.number} can't be searched: {refused}"
                self._complain(ANSWERED, said)
            return
        seen = {s.id: s for s in self._it.desk.recordings()}
        for recording in self._truth.recordings.values():
            if not request.means(recording, -dates.SECOND_NS) or not recording.files:
                continue
            there = seen.get(recording.id)
            came = there is not None and bool(there.files)
            erased = there is not None and there.erased
            if came and not erased and recording.id not in answer.found:
                self._complain(ANSWERED, f"request {request.number}: {recording.id} is not found")
            if not came and recording.camera in answer.searched:
                self._complain(
                    ANSWERED,
                    f"request {request.number}: {recording.camera} counts as searched, and has "
                    f"{recording.id} on its card",
                )

    def _close(self) -> None:
        open_ones = [r for r in self._truth.requests if r.number and r.closed_ns is None]
        if not open_ones:
            return
        request = self._draws.pick(open_ones)
        request.closed_ns = self._it.true_utc_ns()
        try:
            self._it.desk.close_request(self._draws.pick(PEOPLE), request.number)
        except Refused:
            return  # an answer was lost, and it is closed

    # --- the register -------------------------------------------------------------------------

    def _register(self) -> None:
        """A camera changes hands. It hears of it when it docks."""
        camera, person = self._draws.pick(self._it.cameras), self._draws.pick(PEOPLE)
        if camera.officers != {"unassigned"}:
            camera.maybe_told("unassigned")
            try:
                self._it.desk.take_back(person, camera.name)
            except Refused:
                return  # an answer was lost, and nobody has it
            camera.told("unassigned")
        self._issue(camera)

    def _issue(self, camera: BodyCamera) -> None:
        officer = self._draws.pick(OFFICERS)
        camera.maybe_told(officer)
        try:
            self._it.desk.issue(self._draws.pick(PEOPLE), camera.name, officer)
        except Refused:
            return  # footage on its card, a clock that is not set: the register says so
        camera.told(officer)

    # --- inside -------------------------------------------------------------------------------

    def _some_recording(self) -> Seen | None:
        """One that custody has, of those that were not decided to be erased."""
        there = [s for s in self._it.desk.recordings() if s.files and not s.erased]
        return self._draws.pick(there) if there else None
