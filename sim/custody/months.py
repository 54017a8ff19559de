"""One seed is some months of an agency: shifts, dockings, people, services, troubles, a judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hal.ports import SECOND_NS
from sim.custody import dates, troubles
from sim.custody.agency_store import Backup
from sim.custody.body_camera import BodyCamera
from sim.custody.judge import Finding, Judge
from sim.custody.staff import Staff
from sim.custody.station import CALM_S, Station
from sim.custody.truth import Truth
from sim.random_streams import Draws

SWARM = "swarm"
DAYS = 92
STEP_NS = 600 * SECOND_NS


class Months(NamedTuple):
    """What to play. `trouble_names` are names of `sim.custody.troubles`; `swarm` draws them.
    `witnessed`: somebody outside sees custody's ledger."""

    seed: int
    days: int = DAYS
    trouble_names: tuple[str, ...] = (SWARM,)
    witnessed: bool = True


def named_troubles(text: str) -> Sequence[str]:
    """`swarm`, `none`, or names with commas. Raises `ValueError` with the known ones."""
    if text == "none":
        return ()
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in (SWARM, *troubles.NAMES)]:
        known = ", ".join((SWARM, "none", *troubles.NAMES))
        raise ValueError(f"there is no trouble {unknown[0]!r}; there are {known}")
    return names


@dataclass
class PlayedMonths:
    """What came of it."""

    months: Months
    trouble_names: list[str]
    findings: list[Finding]
    counts: dict[str, int] = field(default_factory=dict)
    strikes: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.findings


def play(months: Months, tell: Callable[[str], None] = lambda text: None) -> PlayedMonths:
    """Plays the months and judges them."""
    return _Agency(months, tell).play()


class _Agency:
    def __init__(self, months: Months, tell: Callable[[str], None]) -> None:
        self._months, self._tell = months, tell
        self._draws = draws = Draws(months.seed, "custody months")
        ill = self._drawn_troubles(draws.stream("troubles"))
        self._it = Station(
            draws.stream("station"), frozenset(ill), Truth(), witnessed=months.witnessed
        )
        self._judge = Judge(self._it)
        self._staff = Staff(self._it, draws.stream("staff"), self._judge.complain)
        self._skipped_until_day = self._unwitnessed_until_day = 0
        self._ran = 0
        self._kept: list[tuple[int, Backup]] = []

    def _drawn_troubles(self, draws: Draws) -> list[str]:
        named = [name for name in self._months.trouble_names if name != SWARM]
        if SWARM in self._months.trouble_names:
            named += [name for name in troubles.DRAWN if draws.chance(500) and name not in named]
        return named

    def play(self) -> PlayedMonths:
        first = dates.day_of(self._it.true_utc_ns())
        self._staff.first_day()
        for day in range(self._months.days):
            self._morning()
            self._shifts()
            self._evening()
            self._night(day)
            self._tell(f"{first + dates.days(day)}: {len(self._it.truth.recordings)} recordings")
        self._calm()
        truth = self._it.truth
        counts = {
            "days": self._months.days,
            "cameras": len(self._it.cameras),
            "recordings": len(truth.recordings),
            "files": sum(len(r.files) for r in truth.recordings.values()),
            "holds": len(truth.holds),
            "requests": len(truth.requests),
            "released": len(truth.released),
            "erased": len(self._it.desk.certificates()),
            "runs": self._ran,
        }  # fmt: skip
        ill = sorted(self._it.ill)
        return PlayedMonths(
            self._months, ill, list(self._judge.findings.values()), counts, self._it.strikes
        )

    # --- a day --------------------------------------------------------------------------------

    def _morning(self) -> None:
        it = self._it
        if it.strikes_now(troubles.CUSTODY_STEPS, 1000):
            it.clock.ahead_ns = self._draws.between(-STEP_NS, STEP_NS)
        self._staff.day()
        self._judge.look()

    def _shifts(self) -> None:
        it = self._it
        for camera in it.cameras:
            now_ns = it.true_utc_ns()
            if self._is_away(camera) or not self._draws.chance(350):
                continue
            it.wait_until(now_ns + self._draws.spread(1, 240) * 60 * SECOND_NS)
            it.shift(camera)
            if it.strikes_now(troubles.DRAWER, 60):
                lain_ns = self._draws.between(2, 20) * dates.DAY_NS
                camera.in_drawer_until_ns = it.true_utc_ns() + lain_ns
            elif it.strikes_now(troubles.LONG_DRAWER, 60):
                lain_ns = self._draws.between(24, 50) * dates.DAY_NS
                camera.in_drawer_until_ns = it.true_utc_ns() + lain_ns

    def _is_away(self, camera: BodyCamera) -> bool:
        lost = camera.name in self._it.truth.lost_cards
        return lost or camera.in_drawer_until_ns > self._it.true_utc_ns()

    def _evening(self) -> None:
        """Cameras that lie about are docked, most of them, all at once."""
        it = self._it
        wanted = [
            camera
            for camera in it.cameras
            if not self._is_away(camera)
            and (camera.on_card() or self._draws.chance(100))
            and self._draws.chance(800)
        ]
        if not wanted:
            return
        it.stores_are_away(True)
        it.dock(wanted)
        it.stores_are_away(False)
        self._judge.look()

    def _night(self, day: int) -> None:
        """The service of deletion, some time in the night; then everything is looked at."""
        it = self._it
        tomorrow = dates.day_of(it.true_utc_ns()) + dates.days(1)
        hour = self._draws.between(1, 6)
        it.wait_until(dates.start_ns(tomorrow, hour))
        self._backups()
        if it.strikes_now(troubles.EXPIRY_SKIPPED, 60):
            self._skipped_until_day = day + self._draws.between(1, 5)
        ran = False
        if it.strikes_now(troubles.WITNESS_AWAY, 80):
            self._unwitnessed_until_day = day + self._draws.between(1, 4)
        it.witness.away = day < self._unwitnessed_until_day
        it.publish()
        if it.strikes_now(troubles.LOST_OBJECT, 60):
            it.lose_a_file()
        if day >= self._skipped_until_day:
            it.stores_are_away(True)
            ahead_ns = it.clock.ahead_ns
            wrong = it.strikes_now(troubles.CUSTODY_WRONG, 50)
            if wrong:
                it.clock.ahead_ns = self._draws.between(2, 20) * dates.DAY_NS
            ran = it.custody_does(it.desk.expire, 60) and it.custody_decides and not wrong
            it.clock.ahead_ns = ahead_ns
            if any(replica.away for replica in it.replicas):
                ran = False
            it.stores_are_away(False)
            self._ran += ran
        self._judge.settled = ran
        self._judge.day(ran=ran)
        if troubles.LOST_OBJECT in it.ill:
            self._judge.completeness()

    def _backups(self) -> None:
        """One each night, of the last five; and some time the store is restored from one."""
        it = self._it
        if troubles.SET_BACK not in it.ill:
            return
        if self._kept and it.strikes_now(troubles.SET_BACK, 25):
            at_ns, backup = self._draws.pick(self._kept)
            it.store.set_back(backup)
            it.desk.forget()
            self._judge.set_back(at_ns)
        self._kept = [*self._kept[-4:], (it.true_utc_ns(), it.store.backup())]

    def _calm(self) -> None:
        """Nothing goes wrong any more; all cameras are docked, twice, and deletion runs."""
        it = self._it
        it.calm = True
        it.clock.ahead_ns = 0
        it.witness.away = False
        cameras = [c for c in it.cameras if c.name not in it.truth.lost_cards]
        for _ in range(2):
            it.dock([c for c in cameras if c.on_card()] or cameras, CALM_S)
            self._judge.look()
            it.publish()
            # What a run began to erase is ended before its rest is taken.
            it.custody_does(it.desk.expire, 0)
        self._judge.settled = True
        self._judge.day(ran=True)
        # An audit reads its camera's whole ledger.
        of_camera: dict[str, list[str]] = {}
        for seen in self._it.desk.recordings():
            of_camera.setdefault(seen.id.partition("/")[0], []).append(seen.id)
        self._judge.end([self._draws.pick(names) for names in of_camera.values()])
