"""An officer's shift, drawn from a seed: patrols, incidents, hasty presses, odd dockings."""

from __future__ import annotations

from collections.abc import Iterator

from hal.ports import SECOND_NS
from sim.random_streams import Draws
from sim.world.world import World

MS = 1_000_000


class Officer:
    """Acts on the world's loop, one thing after another, until `rest`."""

    def __init__(self, world: World, draws: Draws, quiet: int = 1) -> None:
        """`quiet` times as long between one thing and the next."""
        self._world, self._draws, self._quiet = world, draws, quiet
        self._fingers = draws.stream("fingers")
        self._thirds = draws.stream("third presses")
        self._resting = False
        self._bouncing = False
        self._off_until_ns = -1

    def start(self) -> None:
        day = self._day()
        self._world.loop.post(lambda: self._next(day))

    def rest(self) -> None:
        """Hands off, from now on."""
        self._resting = True

    def bounce(self, on: bool) -> None:
        """The contacts chatter at every movement."""
        self._bouncing = on

    # --- the day ------------------------------------------------------------------------------

    def _next(self, day: Iterator[int]) -> None:
        if not self._resting:
            wait_ns = next(day)
            self._world.loop.call_at(self._world.loop.now_ns() + wait_ns, lambda: self._next(day))

    def _day(self) -> Iterator[int]:
        """Acts; yields how long until the next."""
        draws = self._draws
        while True:
            yield draws.wait_ns(60 * self._quiet)
            kind = draws.below(100)
            if kind < 70:
                yield from self._incident()
            elif kind < 82:
                yield from self._visit_dock()
            elif kind < 88:
                yield from self._fiddle()
            elif kind < 94:
                yield from self._switch_off()

    def _incident(self) -> Iterator[int]:
        draws = self._draws
        yield self._press("record", draws.pick((2, 2, 2, 2, 3, 4)))
        left_ns = draws.spread(3, 400) * SECOND_NS
        while left_ns > 0:
            wait_ns = min(left_ns, draws.wait_ns(25))
            yield wait_ns
            left_ns -= wait_ns
            yield from self._while_recording()
        if draws.chance(120):
            return  # forgotten
        if draws.chance(60):
            yield from self._visit_dock()
            return
        yield self._hold("record", self._world.settings.buttons.stop_hold_ms + 100)
        if draws.chance(150):
            yield draws.spread(1, 5) * SECOND_NS // 5
            yield self._press("record", 2)
            yield draws.spread(2, 30) * SECOND_NS
            yield self._hold("record", self._world.settings.buttons.stop_hold_ms + 100)

    def _while_recording(self) -> Iterator[int]:
        kind = self._draws.below(100)
        if kind < 40:
            yield self._press("marker", 1)
        elif kind < 55:
            yield self._press("marker", 2)
        elif kind < 65:
            yield self._hold("marker", self._world.settings.buttons.flag_hold_ms + 100)
        elif kind < 72:
            yield self._mute()
        elif kind < 77:
            yield self._hold("record", self._fingers.between(300, 2800))  # not long enough
        elif kind < 82:
            yield self._press("record", 1)
        elif kind < 86:
            hold_ms = self._world.settings.buttons.covert_hold_ms + 200
            self._hold("marker", hold_ms)
            yield self._hold("record", hold_ms)
            if self._draws.chance(250):
                yield self._draws.spread(1, 20) * SECOND_NS
                yield from self._visit_dock()

    def _visit_dock(self) -> Iterator[int]:
        self._dock(True)
        yield self._draws.spread(1, 200) * SECOND_NS
        if self._draws.chance(300):
            yield self._press("record", 2)
            yield self._draws.spread(1, 10) * SECOND_NS
        self._dock(False)
        yield self._draws.spread(1, 20) * SECOND_NS // 2

    def _fiddle(self) -> Iterator[int]:
        """Presses that mean nothing now."""
        for _ in range(self._draws.between(1, 6)):
            button = self._draws.pick(("record", "marker"))
            yield self._press(button, self._draws.between(1, 5))
            yield self._draws.between(50, 3000) * MS

    def _switch_off(self) -> Iterator[int]:
        if self._world.agent:
            self._world.happened("the officer switches off")
            self._world.agent.stop()
        yield self._draws.spread(5, 120) * SECOND_NS

    # --- movements ----------------------------------------------------------------------------

    def _dock(self, docked: bool) -> None:
        self._world.put_in_dock(docked)

    def _press(self, button: str, times: int) -> int:
        """How long it takes."""
        at_ns = 0
        for _ in range(times):
            held_ns = self._fingers.between(60, 200) * MS
            self._touch(button, at_ns, held_ns)
            at_ns += held_ns + self._fingers.between(60, 300) * MS
        self._world.happened(f"{button} pressed {times} times")
        return at_ns

    def _mute(self) -> int:
        """Three presses; at times the third goes on, while somebody must not be heard."""
        if not self._thirds.chance(400):
            return self._press("marker", 3)
        at_ns = self._press("marker", 2)
        held_ns = self._thirds.between(700, 20_000) * MS
        self._touch("marker", at_ns, held_ns)
        self._world.happened(f"and held for {held_ns // MS} ms")
        return at_ns + held_ns + 100 * MS

    def _hold(self, button: str, held_ms: int) -> int:
        self._touch(button, 0, held_ms * MS)
        self._world.happened(f"{button} held for {held_ms} ms")
        return held_ms * MS + 100 * MS

    def _touch(self, button: str, in_ns: int, held_ns: int) -> None:
        loop = self._world.loop
        down_ns = loop.now_ns() + in_ns
        for at_ns, pressed in ((down_ns, True), (down_ns + held_ns, False)):
            self.move(at_ns, button, pressed)

    def move(self, at_ns: int, button: str, pressed: bool) -> None:
        """A finger goes down on a button, or off it."""
        self._edge(at_ns, button, pressed)
        if self._bouncing:
            self._chatter(at_ns, button, pressed)

    def _chatter(self, at_ns: int, button: str, pressed: bool) -> None:
        """The contact opens and closes some times before it rests."""
        for _ in range(self._fingers.between(1, 4)):
            for level in (not pressed, pressed):
                at_ns += self._fingers.between(500, 4000) * 1000
                self._edge(at_ns, button, level)

    def _edge(self, at_ns: int, button: str, pressed: bool) -> None:
        self._world.loop.call_at(at_ns, lambda: self._world.touch(button, pressed))
