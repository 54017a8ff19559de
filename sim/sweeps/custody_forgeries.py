"""An insider with the log's key, the keys of all roles, a roles CA, and the store's disk writes
another past. Whoever audits has the trust list and can ask the witness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bwv_device.custody.history.verdict import judge
from bwv_device.custody.ledger import ledger
from bwv_device.custody.ledger.ledger import START, CustodyLine
from bwv_device.custody.session import CustodySession
from bwv_device.errors import BwvError
from bwv_device.formats import canonical_json, signature, statement, store_keys
from bwv_device.formats.ledger_lines import Head
from bwv_device.formats.statement import Signer
from hal.ports import SECOND_NS
from hal.simulated.store import MemoryStore
from sim.custody.witness import WorldWitness
from sim.custody.witnessed_store import WitnessedStore
from sim.random_streams import Draws
from sim.world.custody_workers import BenchClock, role
from sim.world.test_keys import BenchAgency
from sim.world.virtual_loop import VirtualLoop

PEOPLE = (("Ada", "custodian"), ("Ben", "custodian"), ("Dora", "disclosure"), ("in", "intake"))
LINES = 24


class Forgery(NamedTuple):
    """What was done, and by which sentence it was found out; "" where it was not."""

    what: str
    found: str


class Forger:
    """One honest history, forged again and again."""

    def __init__(self, seed: int = 1) -> None:
        self._draws = Draws(seed, "forgeries")
        self._agency, self._clock = BenchAgency(), BenchClock(VirtualLoop())
        self._witness = WorldWitness("ombudsman.example/w1", self._clock)
        self._it = WitnessedStore(self._agency, MemoryStore(), self._clock, [self._witness])
        self._signers: dict[str, Signer] = {}
        for name, role_name in PEOPLE:
            signer = role(self._agency, name, role_name)
            self._signers[_by(signer)] = signer
        self._work()
        self._honest = dict(self._store.objects)
        self._seen = dict(self._witness.notebook.logs)

    @property
    def _store(self) -> MemoryStore:
        assert isinstance(self._it.store, MemoryStore)
        return self._it.store

    def honest(self) -> str:
        """The verdict on what nobody forged: "" where it is whole."""
        return self._audit()

    def forge(self) -> Forgery:
        """One drawn forgery, as well made as it can be, and its audit."""
        self._store.objects = dict(self._honest)
        self._witness.notebook.logs = dict(self._seen)
        forge = self._draws.pick(
            (self._edit, self._edit_and_sign, self._drop, self._swap, self._insert, self._remove,
             self._sign_all_anew)
        )  # fmt: skip
        what = forge()
        if self._draws.chance(700):
            self._publish_anew()
        return Forgery(what, self._audit())

    # --- forgeries ----------------------------------------------------------------------------

    def _edit(self) -> str:
        """A field of a line, under the old signature."""
        number = self._a_number()
        line = self._line(number)
        raw = line.raw.replace(b'"utc_ns":', b'"utc_ns":1', 1)
        self._store.objects[store_keys.line(number)] = raw
        return f"line {number} is edited"

    def _edit_and_sign(self) -> str:
        number = self._a_number()
        fields = [self._line(n).fields for n in range(1, LINES + 1)]
        fields[number - 1] = {**fields[number - 1], "utc_ns": fields[number - 1]["utc_ns"] + 1}
        only = self._draws.chance(300)
        if only:
            self._put(fields[number - 1])
        else:
            self._write_all(fields)
        return f"line {number} is edited and signed{' alone' if only else ', and all behind it'}"

    def _drop(self) -> str:
        count = self._draws.between(1, LINES - 1)
        for number in range(LINES - count + 1, LINES + 1):
            del self._store.objects[store_keys.line(number)]
        kept = LINES - count
        for key in list(self._store.objects):
            if key.startswith(store_keys.CHECKPOINTS) and _size(key) > kept:
                del self._store.objects[key]
        return f"the last {count} lines are dropped"

    def _swap(self) -> str:
        first, second = sorted((self._a_number(), self._a_number()))
        if first == second:
            return self._drop()
        fields = [self._line(n).fields for n in range(1, LINES + 1)]
        fields[first - 1], fields[second - 1] = fields[second - 1], fields[first - 1]
        self._write_all(fields)
        return f"lines {first} and {second} change places"

    def _insert(self) -> str:
        """Not behind the last: whoever has a role's key may add a line."""
        number = self._draws.between(2, LINES - 1)
        fields = [self._line(n).fields for n in range(1, LINES + 1)]
        again = {**fields[self._draws.below(LINES)], "utc_ns": fields[number - 1]["utc_ns"]}
        self._write_all([*fields[:number], again, *fields[number:]])
        return f"a line is inserted behind line {number}"

    def _remove(self) -> str:
        number = self._a_number()
        fields = [self._line(n).fields for n in range(1, LINES + 1)]
        self._write_all([*fields[: number - 1], *fields[number:]])
        return f"line {number} is taken out"

    def _sign_all_anew(self) -> str:
        """The same words by other persons, whom the roles CA certifies."""
        salt = self._draws.below(1 << 30)
        new = {
            by: role(self._agency, f"{name} {salt}", role_name)
            for by, (name, role_name) in zip(self._signers, PEOPLE, strict=True)
        }
        fields = [self._line(n).fields for n in range(1, LINES + 1)]
        self._write_all(fields, new)
        return "all lines are signed anew by other persons"

    # --- the insider's tools ------------------------------------------------------------------

    def _a_number(self) -> int:
        return self._draws.between(2, LINES)

    def _line(self, number: int) -> CustodyLine:
        return ledger.parse(self._honest[store_keys.line(number)])

    def _write_all(
        self, all_fields: list[dict[str, Any]], signers: Mapping[str, Signer] | None = None
    ) -> None:
        """Numbered, linked and signed from the first line on."""
        for key in [k for k in self._store.objects if k.startswith(store_keys.LINES)]:
            del self._store.objects[key]
        head, introduced = START, set[str]()
        for fields in all_fields:
            signer = (signers or self._signers)[fields["by"]]
            said = {k: v for k, v in fields.items() if k != "certificate"}
            said |= {"n": head.number + 1, "prev": head.digest, "by": _by(signer)}
            if said["by"] not in introduced:
                introduced.add(said["by"])
                said["certificate"] = signer.certificate_pem.decode()
            head = self._put(said, signer)

    def _put(self, fields: dict[str, Any], signer: Signer | None = None) -> Head:
        signed = canonical_json.encode(fields)
        key = signer or self._signers[fields["by"]]
        said = signature.from_der(key.sign(signed)).hex().encode()
        raw = signed + b"\t" + said + b"\n"
        line = ledger.parse(raw)
        self._store.objects[store_keys.line(line.number)] = raw
        return Head(line.number, line.digest)

    def _publish_anew(self) -> None:
        """A log that fits, signed with the log's own key; the witness is asked, and is not
        believed."""
        for key in [k for k in self._store.objects if k.startswith(store_keys.LOG)]:
            del self._store.objects[key]
        try:
            self._it.new_log().publish()
        except BwvError:
            return

    # --- the audit ----------------------------------------------------------------------------

    def _audit(self) -> str:
        """By somebody who has just come, with the trust list of the agency's root."""
        session = self._it.session("Eve", "auditor", self._it.trust_list)
        try:
            session.index.catch_up()
            verdict = judge(
                session.index, self._store, session.trust(), session.now_ns(), self._it.line
            )
        except BwvError as error:
            return str(error)
        return verdict.problems[0] if verdict.problems else ""

    def _work(self) -> None:
        """Some weeks of an agency, published after every third line."""
        sessions = {name: self._it.session(name, role_name) for name, role_name in PEOPLE}
        acts: list[Callable[[int], object]] = [
            lambda n: _write(sessions["Ada"], "issue", n, officer="PC 1", version=1),
            lambda n: _write(sessions["Ben"], "revoke", n, reason=f"stolen {n}"),
            lambda n: _write(sessions["Dora"], "search", n, request="", found=[]),
            lambda n: _write(sessions["in"], "docking", n, nonce=f"{n:032x}", refused="a copy"),
        ]
        for number in range(2, LINES + 1):
            self._clock.ahead_ns += 600 * SECOND_NS
            acts[number % len(acts)](number)
            if number % 3 == 0:
                self._it.publish()
        self._it.publish()


def _write(session: CustodySession, kind: str, number: int, **fields: Any) -> None:
    session.append(lambda: (kind, {"device": f"cam-{number}", **fields}))


def _by(signer: Signer) -> str:
    return statement.fingerprint(statement.chain_of(signer.certificate_pem)[0])


def _size(key: str) -> int:
    return int(key.removeprefix(store_keys.CHECKPOINTS).partition("-")[0])


def forgeries(seed: int, count: int) -> list[Forgery]:
    """Raises `AssertionError` where the honest history is not whole."""
    forger = Forger(seed)
    honest = forger.honest()
    assert not honest, honest
    return [forger.forge() for _ in range(count)]
