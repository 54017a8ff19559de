"""Cuts the power of a key desk at drawn operations on its store, while witnesses are away at times
and others write. No key may come out for which no line counts, or that witnesses have not seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from bwv_device.custody.history import standing
from bwv_device.custody.key_desk.key_desk import KeyDesk
from bwv_device.custody.key_desk.view_request import digest_of, make_request
from bwv_device.custody.key_desk.viewing_policy import ViewingPolicy
from bwv_device.errors import CustodyError
from bwv_device.formats import age, statement
from bwv_device.formats.grammar.statements import Grant
from bwv_device.keys import viewing_files
from bwv_device.settings import Dock, Recording, Settings
from hal.ports import Stored
from hal.simulated.power_dock_and_place import SeededEntropy
from hal.simulated.store import MemoryStore
from sim.custody.witness import WorldWitness
from sim.custody.witnessed_store import WitnessedStore
from sim.random_streams import Draws
from sim.world.custody_workers import BenchClock, BenchCustody
from sim.world.test_keys import FOUNDED, BenchAgency
from sim.world.world import World, stub_media

PERSON = "Ada"
ASKS = 4


class DeskKilled(BaseException):
    """The desk's machine is without power at this instant."""


class CutStore(MemoryStore):
    """Ends its user before or after the operation with a number; lets others write in front of
    one."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__()
        self.objects = objects
        self.count = 0
        self.cut, self.afterwards = 0, False
        self.others: dict[int, list[tuple[str, bytes]]] = {}

    def put(self, key: str, data: bytes) -> None:
        self._before()
        super().put(key, data)
        self._after()

    def read(self, key: str, limit: int) -> bytes:
        self._before()
        data = super().read(key, limit)
        self._after()
        return data

    def entries(self, prefix: str, after: str = "") -> Iterator[Stored]:
        self._before()
        return super().entries(prefix, after)

    def stat(self, key: str) -> Stored:
        self._before()
        return super().stat(key)

    def _before(self) -> None:
        self.count += 1
        for key, data in self.others.pop(self.count, ()):
            self.objects.setdefault(key, data)
        if self.count == self.cut and not self.afterwards:
            raise DeskKilled

    def _after(self) -> None:
        if self.count == self.cut and self.afterwards:
            raise DeskKilled


@dataclass
class DeskCutsOutcome:
    """What a sweep came to."""

    cuts: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class KeyDeskSweep:
    """One delivery, and a person who asks for one of two recordings again and again."""

    def __init__(self) -> None:
        self.agency = BenchAgency()
        self.world = World(
            replace(Settings(), recording=Recording(pre_event_s=0, segment_s=10),
                    dock=Dock(store="bench", greeting_wait_s=5, poll_ms=500, resend_s=20)),
            self.agency.device, self.agency.recipients, media=stub_media(100_000, 10),
            seed="key desk", roots=[self.agency.root],
        )  # fmt: skip
        self._clock = BenchClock(self.world.loop)
        self.witness = WorldWitness("ombudsman.example/w1", self._clock)
        store = self.world.uplink.store
        self.custody = WitnessedStore(self.agency, store, self._clock, [self.witness])
        self._deliver()
        self.custody.publish()
        self.objects = dict(store.objects)
        self.notebook = dict(self.witness.notebook.logs)
        (made,) = viewing_files(self.agency.files, PERSON, SeededEntropy(PERSON), FOUNDED).values()
        lines = made.decode().splitlines()
        identity = age.parse_identity(lines[-1])
        assert isinstance(identity, age.X25519Identity)
        self.identity = identity
        self.key_pem = "".join(f"{line[2:]}\n" for line in lines[1:-1]).encode()
        self.operations = _Course(self, 0, DeskCutsOutcome(), 0).asked

    def _deliver(self) -> None:
        world = self.world
        custody = BenchCustody(world, self.agency)
        custody.start()
        world.boot()
        world.run(seconds=2)
        for _ in range(2):
            world.press_record_twice()
            world.run(seconds=2)
            world.hold_record()
            world.run(seconds=2)
        world.put_in_dock(True)
        world.run(seconds=40)
        custody.working = False

    def run(self, seeds: Iterable[int]) -> DeskCutsOutcome:
        """Each seed has a cut of its own: every operation of the desk comes in turn, before it is
        done and after."""
        outcome = DeskCutsOutcome()
        for seed in seeds:
            failures = _Course(self, seed, outcome, self.operations).failures
            outcome.failures += [f"seed {seed}: {failure}" for failure in failures]
        return outcome


class _Course:
    """What a seed does to one desk."""

    def __init__(
        self, sweep: KeyDeskSweep, seed: int, outcome: DeskCutsOutcome, operations: int
    ) -> None:
        """`operations`: of a course that is not cut; 0 for none."""
        self._sweep, self._draws = sweep, Draws(seed, "key desk")
        self._outcome, self._operations = outcome, operations
        self.asked = 0
        self.failures: list[str] = []
        self._grants: list[Grant] = []
        self._custody = custody = sweep.custody
        self._store = CutStore(dict(sweep.objects))
        custody.store = self._store
        custody.log = custody.new_log()
        sweep.witness.notebook.logs = dict(sweep.notebook)
        self._request = self._asked()
        if operations:
            self._draw_others()
        # Of the desk's own operations: what others do in between does not count.
        self._cut, self._afterwards = 0, False
        if operations:
            self._cut, self._afterwards = 1 + seed // 2 % operations, seed % 2 == 1
        desk = self._desk()
        for _ in range(ASKS):
            desk = self._ask(desk)
            sweep.witness.away = self._draws.below(3) == 0
            custody.publish()
        sweep.witness.away, self._cut = False, 0
        custody.publish()
        self._ask(self._desk())
        if not self._grants:
            self.failures.append("in the end the person got no key")
        self._judge()

    def _asked(self) -> bytes:
        ada = self._custody.session(PERSON, "custodian")
        ada.index.catch_up()
        (row, *_) = ada.index.rows("SELECT * FROM recordings ORDER BY id")
        files = ada.index.rows("SELECT segment FROM files WHERE recording = ?", row["id"])
        return make_request(
            ada.signer, store=ada.index.store_id, recording=row["id"],
            segments=[file["segment"] for file in files], key_pem=self._sweep.key_pem,
            reason="a complaint", case="", nonce=f"{self._draws.below(1 << 62):032x}",
            utc_ns=ada.now_ns(),
        )  # fmt: skip

    def _draw_others(self) -> None:
        """A line that somebody else writes just then."""
        if self._draws.below(2):
            return
        before = dict(self._store.objects)
        other = self._custody.session("Rob", "custodian")
        other.index.catch_up()
        (row, *_) = other.index.rows("SELECT * FROM recordings ORDER BY id DESC")
        other.hold(row["id"], "evidence", case="12/26")
        new = [(k, v) for k, v in self._store.objects.items() if k not in before]
        self._store.objects = before
        self._store.count = 0
        self._store.others[1 + self._draws.below(self._operations)] = new
        self._outcome.counts["others"] += 1

    def _desk(self) -> KeyDesk:
        session = self._custody.session("key desk", "keydesk")
        agency = self._sweep.agency
        return KeyDesk(session, [agency.root], agency.identities, ViewingPolicy())

    def _ask(self, desk: KeyDesk) -> KeyDesk:
        """What comes out of it; a new desk where it was cut off."""
        began = self._store.count
        self._store.cut = began + self._cut - self.asked if self._cut > self.asked else 0
        self._store.afterwards = self._afterwards
        try:
            answer = desk.answer(self._request)
        except DeskKilled:
            self._outcome.cuts += 1
            self._cut = 0
            return self._desk()
        except CustodyError as error:
            self.failures.append(f"it was refused: {error}")
            return desk
        finally:
            self.asked += self._store.count - began
            self._store.cut = 0
        if answer.grant:
            self._outcome.counts["keys"] += 1
            self._given(answer.grant)
        else:
            self._outcome.counts["not yet"] += 1
        return desk

    def _given(self, data: bytes) -> None:
        """Judged at this very moment, by somebody who reads the store for the first time."""
        grant = statement.of_role(data, Grant, ("keydesk",), [self._sweep.agency.root]).value
        self._grants.append(grant)
        reader = self._custody.session("Ann", "auditor")
        reader.check()
        found = reader.index.rows("SELECT n FROM views WHERE request = ?", digest_of(self._request))
        if [row["n"] for row in found] != [grant.line]:
            self.failures.append("a key came out, and no line counts")
        seen = standing.seen(reader.index)
        if not any(one.size >= grant.line and one.utc_s for one in seen):
            self.failures.append("a key came out before witnesses had seen the line")

    def _judge(self) -> None:
        reader = self._custody.session("Ann", "auditor")
        reader.index.catch_up()
        if len(reader.index.rows("SELECT 1 FROM views")) != 1:
            self.failures.append("one request is not one line")
        for grant in self._grants:
            for granted in grant.headers:
                header = age.parse_header(granted.header.encode())
                if len(age.open_file_key(header, [self._sweep.identity])) != age.FILE_KEY_LENGTH:
                    self.failures.append("a header does not open")
