"""The two worlds that the live panel plays: one that is moved by hand, and a drawn shift that is
watched.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from bwv_device.settings import milliseconds
from sim.live import switches
from sim.live.script import Script
from sim.scenario.acts import ACTS
from sim.scenario.language import ScenarioError, read
from sim.scenario.play import act
from sim.scenario.stage import Stage
from sim.shifts.drawn_shift import Simulation

PRESS_MS, APART_MS = 100, 150
# Sentences that move the world on until they are done: in a written scenario only.
TAKE_TIME = ("switch off", "power cut within the next {verb}")
WATCHED = "This is a drawn shift: it can be watched, not touched."


class ByHand:
    """Everything is done by whoever looks, and kept as a scenario."""

    controls = True

    def __init__(self, stage: Stage) -> None:
        self._stage, self.world = stage, stage.world
        self._script = Script(stage.world.settings, stage.world.disk.capacity_bytes)

    def run_until(self, until_ns: int) -> None:
        self._stage.run_until(until_ns)

    def do(self, sentence: str) -> None:
        """Raises `ScenarioError`."""
        understood = read(f"at 0:00 {sentence}", ACTS, [])
        words = understood.words
        if understood.phrase.form in TAKE_TIME:
            raise ScenarioError(
                f"{sentence!r} would let time run on by itself.", "Say 'switch off begins'."
            )
        if understood.phrase.form.startswith("press "):
            self._gesture(words["button"], words["times"], PRESS_MS)
        elif understood.phrase.form.startswith("hold "):
            needed_s = self._stage.needed_s(words["button"])
            self._gesture(words["button"], 1, round(words.get("span", needed_s) * 1000))
        else:
            at_ns = self.world.loop.now_ns()
            act(self._stage, understood._replace(text=sentence))
            self._script.add(at_ns, sentence)

    def _gesture(self, button: str, times: int, held_ms: int) -> None:
        """Its movements come as time goes on; each is a sentence of its own."""
        loop = self.world.loop
        down_ns = loop.now_ns()
        for _ in range(times):
            up_ns = down_ns + milliseconds(held_ms)
            loop.call_at(down_ns, partial(self.do, f"{button} goes down"))
            loop.call_at(up_ns, partial(self.do, f"{button} comes up"))
            down_ns = up_ns + milliseconds(APART_MS)

    def about(self) -> dict[str, Any]:
        return {"on": switches.on(self._stage), "crashes": len(self._stage.crashes)}

    def scenario(self) -> str:
        return self._script.text()


class Watched:
    """A shift drawn from a seed, until its end and the oracle's verdict."""

    controls = False

    def __init__(self, simulation: Simulation, duration_ns: int) -> None:
        self._simulation, self.world = simulation, simulation.world
        self._end_ns = self.world.loop.now_ns() + duration_ns
        self._findings: list[str] | None = None

    def run_until(self, until_ns: int) -> None:
        """At its end it is judged, and nothing more happens."""
        if self._findings is not None:
            return
        now_ns = self.world.loop.now_ns()
        self._simulation.go_on(min(until_ns, self._end_ns) - now_ns)
        if until_ns >= self._end_ns:
            played = self._simulation.finish()
            self._findings = [f"{f.promise}: {f.text}" for f in played.findings]

    def do(self, sentence: str) -> None:
        raise ScenarioError(WATCHED, "Start 'bwv-sim live --web' without --seed to press yourself.")

    def about(self) -> dict[str, Any]:
        return {"on": [], "findings": self._findings}

    def scenario(self) -> str:
        return ""
