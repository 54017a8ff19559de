"""Updates drawn from a seed: releases that are good, that take no pictures, that nobody signed or
no witness saw; a line to the store that loses and corrupts; an officer who takes the camera out in
the middle and records; power cuts at any operation of the disk, and while a slot is written.

Whatever happens: a whole system starts that the agency released, no bad release is kept, none older
than one that was kept, footage and ledger verify, and in the calm at the end the trial is over.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from bwv_device.custody import software
from bwv_device.formats import statement
from bwv_device.formats.grammar.purposes import COMMAND_PURPOSE
from bwv_device.formats.mqtt_messages import prefix
from bwv_device.formats.software_offer import PIECE
from bwv_device.settings import Dock, Mqtt, Recording, Settings
from bwv_device.verification.second_verifier import Judge
from bwv_device.verification.vault_report import verify
from hal.ports import SECOND_NS
from hal.simulated.disk import TEARS, PowerCut
from hal.simulated.slots import SimulatedSlots, numbers
from hal.simulated.store import Fate, StoreRequest
from sim.custody.witness import WorldWitness
from sim.custody.witnessed_store import WitnessedStore
from sim.random_streams import Draws
from sim.world.custody_workers import BenchClock, BenchCustody
from sim.world.mqtt_operator import command_key
from sim.world.test_keys import BenchAgency
from sim.world.world import World, stub_media

FIRST = "1.0.0"
STEPS, CALM_S = 30, 420
ILL_FATES = (Fate.LOST, Fate.UNANSWERED, Fate.CORRUPTED)


class Made(NamedTuple):
    """A release, and what is wrong with it: "" for nothing."""

    release: str
    flaw: str
    sha256: str


RELEASES = (("1.1.0", ""), ("1.2.0", "blind"), ("1.3.0", "unsigned"), ("1.4.0", ""),
            ("1.5.0", "unseen"))  # fmt: skip


@dataclass
class UpdatesOutcome:
    """What the seeds came to."""

    seeds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def run(seeds: Iterable[int]) -> UpdatesOutcome:
    outcome = UpdatesOutcome()
    for seed in seeds:
        played = DrawnUpdate(seed)
        played.play()
        outcome.seeds += 1
        outcome.counts.update(played.counts)
        outcome.failures += [f"seed {seed}: {failure}" for failure in played.failures]
    return outcome


def settings() -> Settings:
    return replace(
        Settings(),
        recording=Recording(pre_event_s=0, segment_s=10),
        dock=Dock(store="bench", greeting_wait_s=5, poll_ms=500, resend_s=20),
        mqtt=Mqtt(broker="bench"),
    )


class DrawnUpdate:
    """One camera, its store with a witness, and what a seed does to them."""

    def __init__(self, seed: int) -> None:
        self.seed, self._draws = seed, Draws(seed, "updates")
        self.failures: list[str] = []
        self.counts: Counter[str] = Counter()
        self._agency = agency = BenchAgency()
        self.world = World(
            settings(), agency.device, agency.recipients, media=stub_media(100_000, 10),
            seed=f"updates {seed}", roots=[agency.root],
        )  # fmt: skip
        self.slots = SimulatedSlots(self.world.disk, FIRST, read_bundle)
        self.world.slots = self.slots
        self.slots.torn = self._torn
        self.world.prepare = self._prepare
        clock = BenchClock(self.world.loop)
        self._witness = WorldWitness("ombudsman.example/w1", clock)
        self._custody = WitnessedStore(agency, self.world.uplink.store, clock, [self._witness])
        self._intake = BenchCustody(self.world, agency)
        self._intake.start()
        self._desk, self._counter = command_key(agency), 0
        self._kept = [FIRST]
        self._cut_install = False
        self.made = self._publish()

    def _publish(self) -> list[Made]:
        made = []
        with tempfile.TemporaryDirectory() as name:
            for release, flaw in RELEASES:
                file = Path(name) / "bundle"
                head = f"{'nobody' if flaw == 'unsigned' else 'agency'} {release}\n".encode()
                file.write_bytes(head + bytes(PIECE + self._draws.below(PIECE)))
                ada = self._custody.session("Ada", "custodian")
                ada.index.catch_up()
                sha256 = software.publish(ada, file, release).sha256
                if flaw != "unseen":
                    self._custody.publish()
                    ada = self._custody.session("Ada", "custodian")
                    ada.check()
                    software.offer(ada, release)
                made.append(Made(release, flaw, sha256))
        return made

    # --- the course ---------------------------------------------------------------------------

    def play(self) -> None:
        self.world.boot()
        self._go_on(3)
        for _ in range(STEPS):
            self._step()
        self._calm()
        self._judge()

    def _step(self) -> None:
        draws, world = self._draws, self.world
        kind = draws.below(100)
        if kind < 25:
            self._ask(draws.pick(self.made))
        elif kind < 45:
            world.put_in_dock(not world.dock.docked())
        elif kind < 55 and not world.dock.docked():
            self._record()
        elif kind < 70:
            self._plan_a_cut()
        elif kind < 80:
            ill = draws.between(0, 400)
            fates = draws.stream(f"fates {draws.below(10**6)}")
            world.uplink.fate = lambda request: _fate(fates, ill, request)
        elif kind < 84:
            self._cut_install = True
        self._go_on(draws.spread(2, 60))

    def _go_on(self, seconds: int) -> None:
        """A second at a time: the machine is restarted where an update asks for it, and switched on
        again a while after its power went."""
        for _ in range(seconds):
            try:
                self.world.run(seconds=1)
                self._notice()
                if self.world.restart_machine():
                    self.counts["restarts"] += 1
            except PowerCut:
                self._power_is_gone()

    def _power_is_gone(self) -> None:
        self.counts["power cuts"] += 1
        self.world.restart = None
        self.world.disk.cut_before = self.world.disk.cut_during = -1
        self.world.power_cut(self._draws.pick(TEARS))
        try:
            self.world.boot()
            self._notice()
        except PowerCut:
            self._power_is_gone()

    def _plan_a_cut(self) -> None:
        disk = self.world.disk
        at = disk.count + self._draws.spread(1, 60)
        if self._draws.chance(500):
            disk.cut_before = at
        else:
            disk.cut_during = at

    def _torn(self) -> None:
        """Half of a slot is written."""
        if self._cut_install:
            self._cut_install = False
            self.counts["slots torn"] += 1
            raise PowerCut

    def _prepare(self, world: World) -> None:
        release = self.slots.running().release
        if any(made.release == release and made.flaw == "blind" for made in self.made):
            assert world.camera is not None
            world.camera.start = lambda sink: None  # type: ignore[method-assign]

    def _ask(self, made: Made) -> None:
        self._counter += 1
        now_s = BenchClock(self.world.loop).utc().utc_ns // SECOND_NS
        fields: dict[str, Any] = {
            "device": self.world.identity.device, "command": "update",
            "arguments": {"release": made.release, "sha256": made.sha256},
            "counter": self._counter, "id": f"n{self._counter}",
            "issued_s": now_s, "expires_s": now_s + 600,
        }  # fmt: skip
        topics = prefix(self.world.settings.device.agency, self.world.identity.device)
        data = statement.make(self._desk, COMMAND_PURPOSE, fields)
        self.world.broker.send(f"{topics}/command", data)

    def _record(self) -> None:
        try:
            self.world.press_record_twice()
            self._go_on(self._draws.spread(3, 20))
            self.world.hold_record()
        except (PowerCut, AssertionError):  # nobody holds a camera that is off
            if self.world.agent is None:
                return
            self._power_is_gone()

    def _calm(self) -> None:
        """No more trouble; docked, and left alone."""
        self.world.uplink.fate = lambda request: Fate.DONE
        self.world.disk.cut_before = self.world.disk.cut_during = -1
        self._cut_install = False
        self.world.put_in_dock(False)
        self._go_on(5)
        self.world.put_in_dock(True)
        self._go_on(CALM_S)

    # --- the judge ----------------------------------------------------------------------------

    def _notice(self) -> None:
        """After each second: what starts is whole, and was released; what was kept stays."""
        starts = self.slots.slots[self.slots.starts]
        known = {FIRST: "", **{made.release: made.flaw for made in self.made}}
        if starts not in known:
            self._fail(f"a slot starts that holds {starts!r}")
        elif known[starts]:
            self._fail(f"{starts} starts, which is {known[starts]}")
        elif numbers(starts) < numbers(self._kept[-1]):
            self._fail(f"{starts} starts, and {self._kept[-1]} was kept")
        elif starts != self._kept[-1]:
            self._kept.append(starts)
            self.counts["kept"] += 1

    def _judge(self) -> None:
        if self.slots.running().on_trial:
            self._fail("the trial goes on for ever")
        if self.world.agent is None or self.world.agent.state.value != "docked":
            self._fail("the camera is not in use any more")
            return
        self.world.shut_down()
        with tempfile.TemporaryDirectory() as name:
            self.world.disk.dump(Path(name) / "vault")
            report = verify(Path(name) / "vault", [self._agency.root])
            second = Judge(Path(name) / "vault", [self._agency.root]).judge()
        if second == "changed":
            self._fail("the second verifier calls the vault changed")
        if not report.ok:
            self._fail(f"the vault does not verify: {report.problems[:2]}")

    def _fail(self, text: str) -> None:
        if text not in self.failures:
            self.failures.append(text)


def read_bundle(data: bytes) -> str:
    """As RAUC judges: who signed, and the release."""
    by, _, release = data.split(b"\n")[0].decode("ascii", "replace").partition(" ")
    if by != "agency":
        raise OSError("signature verification failed")
    return release


def _fate(draws: Draws, ill: int, request: StoreRequest) -> Fate:
    return draws.pick(ILL_FATES) if draws.chance(ill) else Fate.DONE
