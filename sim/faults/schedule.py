"""Decides which faults a shift has, and when each strikes, from streams of their own."""

from __future__ import annotations

from collections.abc import Sequence

from sim.faults.strike import Kind, Promise, Repair, Strike
from sim.faults.table import BY_NAME, KINDS
from sim.random_streams import Draws
from sim.world.observations import Trouble, Witness
from sim.world.officer import Officer
from sim.world.world import World


def swarm(draws: Draws) -> list[str]:
    """Each fault is in about half of all seeds; those that may only be detected in few."""
    names = []
    for kind in KINDS:
        chosen = draws.stream(kind.name)
        if chosen.chance(450 if kind.promise is Promise.SURVIVED else 60):
            names.append(kind.name)
    return names


class Faults:
    """Lets the chosen kinds strike, each at times from a stream of its own, until `calm`."""

    def __init__(
        self, world: World, officer: Officer, witness: Witness, draws: Draws, names: Sequence[str]
    ) -> None:
        self._world, self._officer, self._witness = world, officer, witness
        self._streams = {name: draws.stream(name) for name in names}
        self._calm = False
        self._repairs: list[Repair] = []
        self._until_ns: dict[str, int] = {}
        self.strikes: dict[str, int] = {}

    def on(self, name: str) -> bool:
        return name in self._streams and not self._calm

    def ways(self) -> set[str]:
        """What things are like now, by the faults that do not strike."""
        return {name for name in self._streams if self.on(name) and not BY_NAME[name].strike}

    def stream(self, name: str) -> Draws:
        return self._streams[name]

    def start(self) -> None:
        for name in self._streams:
            if BY_NAME[name].strike:
                self._later(BY_NAME[name])

    def calm(self) -> None:
        """Everything is put right, and nothing more happens."""
        self._calm = True
        self._world.disk.lies = False
        repairs, self._repairs = self._repairs, []
        for repair in repairs:
            repair()
        self._witness.calm()

    def _later(self, kind: Kind) -> None:
        loop = self._world.loop
        wait_ns = self._streams[kind.name].wait_ns(kind.mean_s)
        loop.call_at(loop.now_ns() + wait_ns, lambda: self._strike(kind))

    def _strike(self, kind: Kind) -> None:
        if self._calm or kind.strike is None:
            return
        self._later(kind)
        now_ns = self._world.loop.now_ns()
        if self._world.agent is None or now_ns < self._until_ns.get(kind.name, 0):
            return  # one of a kind at a time
        self._count(kind, now_ns, 0)
        struck = kind.strike(
            Strike(self._world, self._officer, self._witness, self._streams[kind.name])
        )
        if struck is None:
            return
        lasts_ns, repair = struck
        self._until_ns[kind.name] = now_ns + lasts_ns
        self._witness.troubles[-1] = Trouble(kind.name, now_ns, now_ns + lasts_ns)
        self._repairs.append(repair)

        def put_right() -> None:
            if repair in self._repairs:
                self._repairs.remove(repair)
                repair()

        self._world.loop.call_at(now_ns + lasts_ns, put_right)

    def _count(self, kind: Kind, now_ns: int, lasts_ns: int) -> None:
        self.strikes[kind.name] = self.strikes.get(kind.name, 0) + 1
        self._world.happened(f"fault: {kind.name}")
        self._witness.troubles.append(Trouble(kind.name, now_ns, now_ns + lasts_ns))
