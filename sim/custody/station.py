"""A police station: cameras, a dock with room for all of them, the line to the store, and the
processes of custody that look at it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bwv_device.custody.intake.results import ReplicaStore
from hal.ports import SECOND_NS, StoreError, UtcReading
from hal.simulated.disk import PowerCut
from hal.simulated.store import Fate, StoreRequest
from sim.custody import troubles
from sim.custody.agency_store import AgencyStore, WorkerKilled
from sim.custody.body_camera import BodyCamera, CameraClock
from sim.custody.desk import Desk
from sim.custody.truth import Truth
from sim.custody.witness import WorldWitness
from sim.random_streams import Draws
from sim.world.test_keys import BenchAgency
from sim.world.virtual_loop import VirtualLoop
from sim.world.world import EPOCH_UTC_NS

ILL_FATES = (Fate.LOST, Fate.UNANSWERED, Fate.PRETENDED, Fate.CORRUPTED, Fate.OUT_OF_DATE)
SLOW_LINE = {troubles.TAKEN_OUT, troubles.GIVEN_UP, troubles.CARD_LOST}
# How long cameras are left in the dock in the evening, and when nothing goes wrong any more.
DOCKED_S, CALM_S = 90, 600
# Within 30 hours it must have; what is nearer to that is nobody's fault.
SEEN_WITHIN_S = 29 * 3600
TAKEN_OUT_S = 20
CAMERAS_MOST = 3


class CustodyClock:
    """A server's: right, but for what the world does to it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop, self.ahead_ns = loop, 0

    def monotonic_ns(self) -> int:
        return self._loop.now_ns()

    def utc(self) -> UtcReading:
        return UtcReading(EPOCH_UTC_NS + self._loop.now_ns() + self.ahead_ns, 0, "ntp")


class TrueClock:
    """A witness's: it is somebody else's."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def monotonic_ns(self) -> int:
        return self._loop.now_ns()

    def utc(self) -> UtcReading:
        return UtcReading(EPOCH_UTC_NS + self._loop.now_ns(), 0, "ntp")


class Station:
    """All that there is. `strikes` counts what went wrong."""

    def __init__(
        self, draws: Draws, ill: frozenset[str], truth: Truth, *, witnessed: bool = True
    ) -> None:
        self._draws, self.ill, self.truth = draws, ill, truth
        self.loop, self.agency = VirtualLoop(), BenchAgency()
        self.clock = CustodyClock(self.loop)
        self.store = AgencyStore(locks=troubles.NO_LOCKS not in ill)
        self.replicas = [AgencyStore(locks=False) for _ in range(draws.below(3))]
        for store in (self.store, *self.replicas):
            store.now_utc_s = lambda: self.clock.utc().utc_ns // SECOND_NS
        named = [ReplicaStore(f"replica-{n}", s) for n, s in enumerate(self.replicas)]
        self.witness = WorldWitness("ombudsman.example/w1", TrueClock(self.loop))
        # A store that was set back is refused for good where somebody has seen more of it.
        seen = None if troubles.SET_BACK in ill or not witnessed else self.witness
        self.desk = Desk(self.agency, self.store, named, self.clock, seen)
        self._witnessed, self._seen_ns = seen is not None, self.true_utc_ns()
        self.workers = draws.between(1, 2)
        self.cameras = [
            BodyCamera(
                f"camera-{n + 1}", self.agency, self.loop, self.store, truth,
                draws.stream(f"camera {n}"),
                clock=self._a_clock(draws),
            )
            for n in range(draws.between(1, CAMERAS_MOST))
        ]  # fmt: skip
        self.strikes: dict[str, int] = {}
        self.calm = False

    def _a_clock(self, draws: Draws) -> CameraClock:
        """Right to some hundredths of a second; unset; or off by hours, as it says itself."""
        if troubles.CLOCK_UNSET in self.ill and draws.chance(500):
            return CameraClock(known=False)
        if troubles.CLOCK_UNSURE in self.ill and draws.chance(700):
            error_ns = draws.between(2, 20) * 3600 * SECOND_NS
            return CameraClock(known=False, offset_ns=draws.between(-error_ns, error_ns),
                               error_ns=error_ns)  # fmt: skip
        return CameraClock(known=True)

    # --- time ---------------------------------------------------------------------------------

    def true_utc_ns(self) -> int:
        return EPOCH_UTC_NS + self.loop.now_ns()

    def wait_until(self, utc_ns: int) -> None:
        self.loop.run_until(max(utc_ns - EPOCH_UTC_NS, self.loop.now_ns()))

    def strikes_now(self, name: str, permille: int) -> bool:
        """Whether a trouble comes now."""
        if self.calm or name not in self.ill or not self._draws.chance(permille):
            return False
        self.strikes[name] = self.strikes.get(name, 0) + 1
        return True

    # --- a shift ------------------------------------------------------------------------------

    def shift(self, camera: BodyCamera) -> None:
        """Some recordings, of one to three segments each; then it is switched off."""
        world = camera.switch_on(docked=False)
        world.run(seconds=3)
        for _ in range(self._draws.between(1, 3)):
            seconds = self._draws.spread(2, 28)
            cut = self.strikes_now(troubles.CUT_WHILE_RECORDING, 80)
            camera.record(seconds, flag=self._draws.chance(80), cut=cut)
            if cut:
                return
        camera.switch_off()

    # --- the dock -----------------------------------------------------------------------------

    def dock(self, cameras: list[BodyCamera], patience_s: int = 0) -> set[str]:
        """All of them at once, until each has delivered, or `patience_s` is over. Names of those
        that had."""
        patience_s = patience_s or DOCKED_S
        taken_out = {
            c.name: self._draws.between(1, TAKEN_OUT_S)
            for c in cameras
            if self.strikes_now(troubles.TAKEN_OUT, 150)
        }
        for camera in cameras:
            camera.switch_on(docked=True)
            if self.strikes_now(troubles.CUT_IN_DOCK, 250):
                camera.disk.cut_before = camera.disk.count + self._draws.spread(1, 60)
        honest = not self._lines(cameras)
        done: set[str] = set()
        for second in range(patience_s):
            self._second(cameras)
            for camera in cameras:
                if camera.world is None:
                    continue
                if taken_out.get(camera.name) == second or self._is_given_up(camera):
                    camera.world.put_in_dock(False)
                    self._second(cameras)
                    self._off(camera)
                elif self._delivered(camera):
                    done.add(camera.name)
                    if honest:
                        camera.docked_through()
                    self._off(camera)
            if not any(camera.world for camera in cameras):
                break
        for camera in cameras:
            camera.disk.cut_before = None
            if camera.world:
                self._off(camera)
        self._well_lines(cameras)
        return done

    def _is_given_up(self, camera: BodyCamera) -> bool:
        """Where some files of a recording have reached the store, and others have not."""
        if not self.ill & {troubles.GIVEN_UP, troubles.CARD_LOST}:
            return False
        prefix = f"footage/{camera.name}/"
        there = {k.split("/")[2] for k, _ in self.store.everything() if k.startswith(prefix)}
        if not any(r.files and 0 < len(there & set(r.files)) < len(r.files)
                   for r in camera.recordings()):  # fmt: skip
            return False
        if self.strikes_now(troubles.CARD_LOST, 5):
            self.truth.lost_cards.add(camera.name)
            return True
        if self.strikes_now(troubles.GIVEN_UP, 30):
            lain_ns = self._draws.between(30, 50) * 86_400 * SECOND_NS
            camera.in_drawer_until_ns = self.true_utc_ns() + lain_ns
            return True
        return False

    def _second(self, cameras: list[BodyCamera]) -> None:
        until_ns = self.loop.now_ns() + SECOND_NS
        while self.loop.now_ns() < until_ns:
            try:
                self.loop.run_until(until_ns)
            except PowerCut:
                for camera in (c for c in cameras if c.world and c.cut_is_due):
                    camera.power_goes()
                    camera.switch_on(docked=True)
        for worker in range(self.workers):
            self.custody_does(partial(self.desk.intake, worker), 4)

    def _off(self, camera: BodyCamera) -> None:
        try:
            camera.switch_off()
        except PowerCut:
            camera.power_goes()

    def _delivered(self, camera: BodyCamera) -> bool:
        """The camera's own word; what is on its card is looked at later."""
        agent = camera.world.agent if camera.world else None
        return agent is not None and agent.parts.delivery.outcome == "complete"

    # --- custody's processes --------------------------------------------------------------------

    def custody_does(self, act: Callable[[], None], death_permille: int) -> bool:
        """A process of custody does something. False where it did not come to its end: the store
        was away, or the process is dead."""
        if self.strikes_now(troubles.WORKER_DIES, death_permille):
            self.store.kill_at = self.store.operations + self._draws.spread(1, 12)
        try:
            act()
        except StoreError:
            return False
        except WorkerKilled:
            self.desk.forget()
            return False
        finally:
            self.store.kill_at = -1
        return True

    def lose_a_file(self) -> None:
        """Of those that custody has received."""
        keys = [
            f"footage/{seen.id.partition('/')[0]}/{file}/{sha256}"
            for seen in self.desk.recordings()
            for file, sha256 in seen.files.items()
        ]
        there = [key for key in keys if self.store.holds(key) is not None]
        if there:
            key = self._draws.pick(there)
            self.store.lose(key)
            self.truth.lost_objects.add(key)

    def publish(self) -> None:
        """The log's service shows the ledger to the witness."""
        if self.custody_does(self.desk.publish, 30) and not self.witness.away:
            self._seen_ns = self.true_utc_ns()

    @property
    def custody_decides(self) -> bool:
        """Whether the witness has seen the ledger so lately that custody must decide."""
        unseen_ns = self.true_utc_ns() - self._seen_ns
        return not self._witnessed or unseen_ns < SEEN_WITHIN_S * SECOND_NS

    def stores_are_away(self, away: bool) -> None:
        self.store.away = away and self.strikes_now(troubles.STORE_AWAY, 60)
        for replica in self.replicas:
            replica.away = away and self.strikes_now(troubles.REPLICA_AWAY, 100)

    # --- the line -----------------------------------------------------------------------------

    def _lines(self, cameras: list[BodyCamera]) -> bool:
        """Slow, where somebody may take a camera out before its time; and ill. Whether it is ill:
        then a camera may be told that there is no news."""
        if self.ill & SLOW_LINE and not self.calm:
            slow = self._draws.stream("slow")
            for camera in cameras:
                camera.uplink.latency_ns = lambda request: slow.between(0, SECOND_NS)
        if not self.strikes_now(troubles.BAD_LINE, 200):
            return False
        ill, draws = self._draws.between(20, 250), self._draws.stream("line")

        def fate(request: StoreRequest) -> Fate:
            return draws.pick(ILL_FATES) if draws.chance(ill) else Fate.DONE

        for camera in cameras:
            camera.uplink.fate = fate
        return True

    def _well_lines(self, cameras: list[BodyCamera]) -> None:
        for camera in cameras:
            camera.uplink.fate = lambda request: Fate.DONE
            camera.uplink.latency_ns = lambda request: 0
