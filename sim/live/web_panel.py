"""A simulated camera in real time for the live panel: moves the world, does what browsers ask for,
and tells the page what comes of it.

The world knows nothing of the page. It moves in steps of real time; what is done in it happens at a
time of its own, which the scenario keeps, so that the same again gives the same.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from bwv_device.live_panel.acts import ActError, Button, Rate, Report, Sentence, Step, from_table
from bwv_device.live_panel.camera_view import CameraView
from hal.ports import AccessUnit
from hal.simulated.disk import Operation
from hal.simulated.panel import Shown
from sim.live.vault_mirror import VaultMirror
from sim.world.world import World

MS = 1_000_000
TICK_S = 0.01
STATUS_NS = 200 * MS
# After a pause of this process the world does not rush to catch up.
LONGEST_STEP_NS = 250 * MS
# A world that is slower than asked must still hear its buttons.
SLICE_NS = 20 * MS
ASKED_LIMIT = 1000
RATES = (1, 2, 5, 10, 30, 60)
# Faster than this, pictures between keyframes are left out, and of keyframes some.
SMOOTH_RATE, KEYFRAMES_PER_S = 2, 20


class Played(Protocol):
    """A world that is moved from outside."""

    world: World
    controls: bool

    def run_until(self, until_ns: int) -> None: ...

    def do(self, sentence: str) -> None:
        """Raises `BwvError` where it can't be done now."""
        ...

    def about(self) -> dict[str, Any]:
        """What the page shows besides the camera."""
        ...

    def scenario(self) -> str: ...


class Page(Protocol):
    """`bwv_device.live_panel.page_process.PageProcess`."""

    def tell(self, content: Mapping[str, Any]) -> None: ...

    def show(self, units: list[AccessUnit]) -> None: ...


class Inbox:
    """What browsers ask for, from any thread; with a limit, and what is left out is counted."""

    def __init__(self) -> None:
        self._tables: queue.Queue[dict[str, Any]] = queue.Queue(ASKED_LIMIT)
        self.left_out = 0

    def put(self, table: dict[str, Any]) -> None:
        try:
            self._tables.put_nowait(table)
        except queue.Full:
            self.left_out += 1

    def waits(self) -> bool:
        return not self._tables.empty()

    def take(self, wait_s: float) -> Iterator[dict[str, Any]]:
        """Waits for the first; then all that are there."""
        try:
            yield self._tables.get(timeout=wait_s)
            while True:
                yield self._tables.get_nowait()
        except queue.Empty:
            return


class WebPanel:
    """`turn` again and again, in one thread."""

    def __init__(
        self,
        played: Played,
        page: Page,
        inbox: Inbox,
        mirror: VaultMirror,
        folder: Path,
        now_ns: Callable[[], int],
        rate: int = 1,
        stand_still: Callable[[bool], None] = lambda still: None,
        report: Callable[[], None] = lambda: None,
    ) -> None:
        """Before the world's first boot. `now_ns` is real time; `stand_still` tells the scene
        whether time runs faster than its pictures can be made."""
        self._played, self._page, self._mirror, self._folder = played, page, mirror, folder
        self._real_ns, self._report, self._stand_still = now_ns, report, stand_still
        self._inbox = inbox
        self.rate, self.paused = rate, False
        stand_still(rate > SMOOTH_RATE)
        self._before_ns = self._told_ns = now_ns()
        self._pace: deque[tuple[int, int]] = deque(maxlen=10)
        self._look_due = self._looking = self._reporting = False
        self._keyframes = 0
        self._scenario = ""
        self._view = CameraView(self._told)
        world = played.world
        self._observe, world.disk.observe = world.disk.observe, self._disk_did
        self._prepare, world.prepare = world.prepare, self._before_boot
        self._happened, world.on_happening = world.on_happening, self._world_did

    def turn(self, wait_s: float = TICK_S) -> None:
        """Waits for an act, or for the next tick, and brings the world up to now."""
        for table in self._inbox.take(wait_s):
            self._advance()
            self._act(table)
        self._advance()
        if self._real_ns() - self._told_ns >= STATUS_NS:
            self.tell_status()

    def tell_status(self) -> None:
        self._told_ns = self._real_ns()
        if self._look_due and not self._looking:
            self._look()
        if (scenario := self._played.scenario()) != self._scenario:
            self._scenario = scenario
            beside = self._folder / "scenario.toml.new"
            beside.write_text(scenario)
            beside.replace(self._folder / "scenario.toml")
        self._page.tell({"kind": "status", **self._camera_state(), **self._world_state()})

    # --- time ---------------------------------------------------------------------------------

    def _advance(self) -> None:
        now_ns = self._real_ns()
        elapsed_ns, self._before_ns = now_ns - self._before_ns, now_ns
        if self.paused:
            return
        loop = self._played.world.loop
        until_ns = loop.now_ns() + min(elapsed_ns, LONGEST_STEP_NS) * self.rate
        while loop.now_ns() < until_ns:
            before_ns = loop.now_ns()
            self._played.run_until(min(until_ns, before_ns + SLICE_NS * self.rate))
            # A finger does not wait for a slow world; a shift that is over moves no more.
            if self._inbox.waits() or loop.now_ns() == before_ns:
                return

    def _set_rate(self, rate: int) -> None:
        self.paused = rate == 0
        self.rate = rate or self.rate
        self._stand_still(self.rate > SMOOTH_RATE)

    def _reached(self) -> float:
        """How much faster than real time it went of late."""
        self._pace.append((self._real_ns(), self._played.world.loop.now_ns()))
        (real_0, world_0), (real_1, world_1) = self._pace[0], self._pace[-1]
        return (world_1 - world_0) / (real_1 - real_0) if real_1 > real_0 else 0.0

    # --- acts ---------------------------------------------------------------------------------

    def _act(self, table: dict[str, Any]) -> None:
        if table.get("act") == "looked":
            self._looking = False
            return
        try:
            act = from_table(table)
        except ActError:
            return  # the page's own process parses; this is another version of it
        if isinstance(act, Rate):
            self._set_rate(act.rate)
        elif isinstance(act, Step):
            self._played.run_until(self._played.world.loop.now_ns() + act.ms * MS)
        elif isinstance(act, Report):
            self._make_report()
        elif isinstance(act, Button | Sentence):
            self._do(act)
        else:
            self._look(whole=True)
        self.tell_status()

    def _do(self, act: Button | Sentence) -> None:
        if isinstance(act, Sentence):
            sentence = act.text
        else:
            sentence = f"{act.button} {'goes down' if act.pressed else 'comes up'}"
        try:
            self._played.do(sentence)
        except Exception as error:  # noqa: BLE001 - one sentence must not end everybody's camera
            self._event(str(error))

    def _make_report(self) -> None:
        """The world stands still meanwhile; the page does not."""
        if self._reporting:
            return
        self._reporting = True
        was_paused, self.paused = self.paused, True
        self._page.tell({"kind": "report", "ready": False, "text": "The report is being made …"})

        def make() -> None:
            try:
                self._report()
                told = {"ready": True, "text": "The report is ready."}
            except Exception as error:  # noqa: BLE001 - told to whoever asked
                told = {"ready": False, "text": f"There is no report: {error}"}
            self._page.tell({"kind": "report", **told})
            self._reporting = False
            self._inbox.put({"act": "rate", "rate": 0 if was_paused else self.rate})

        threading.Thread(target=make, name="report", daemon=True).start()

    def _look(self, *, whole: bool = False) -> None:
        if self._looking:
            self._look_due = True
            return
        self._look_due, self._looking = False, True
        self._mirror.update(whole=whole)
        self._page.tell({"kind": "look"})

    # --- what is told -------------------------------------------------------------------------

    def _camera_state(self) -> dict[str, Any]:
        world = self._played.world
        if world.agent is None:
            return {"state": "off"}
        return self._view.state(world.agent, world.time.now_ns())

    def _world_state(self) -> dict[str, Any]:
        world = self._played.world
        return {
            "time_ms": world.loop.now_ns() // MS,
            "rate": self.rate,
            "paused": self.paused,
            "reached": round(self._reached(), 1),
            "free_bytes": world.disk.free_bytes(),
            "true_utc_ms": world.clock.truth_utc_ns() // MS,
            "in_dock": world.dock.docked(),
            "left_out": self._inbox.left_out,
            **self._played.about(),
        }

    def _event(self, text: str) -> None:
        at_ms = self._played.world.loop.now_ns() // MS
        self._page.tell({"kind": "event", "at_ms": at_ms, "text": text})

    def _told(self, content: Mapping[str, Any]) -> None:
        if content["kind"] == "look":
            self._look_due = True
        else:
            self._page.tell(content)

    def _before_boot(self, world: World) -> None:
        self._prepare(world)
        self._view.booted()
        assert world.panel
        assert world.camera
        world.panel.watched = self._shown
        witness = world.camera.witness

        def seen(captured: list[AccessUnit], handed: list[AccessUnit]) -> None:
            witness(captured, handed)
            self._show(handed)

        world.camera.witness = seen

    def _shown(self, output: str, shown: Shown) -> None:
        self._page.tell(
            {
                "kind": "level",
                "output": output,
                "level": shown.level.value,
                "pattern": shown.pattern,
                "at_ms": shown.at_ns // MS,
            }
        )

    def _show(self, units: list[AccessUnit]) -> None:
        if self.rate <= SMOOTH_RATE:
            self._page.show(units)
            return
        every = max(1, self.rate // KEYFRAMES_PER_S)
        for unit in units:
            if unit.keyframe:
                self._keyframes += 1
                if self._keyframes % every == 0:
                    self._page.show([unit])

    def _disk_did(self, operation: Operation, data: bytes) -> None:
        self._observe(operation, data)
        self._played.world.disk.operations.clear()  # hours of them would cost memory
        if operation.verb == "append" and operation.path.startswith("ledger/"):
            self._view.ledger_grew(data)

    def _world_did(self, happening: Any) -> None:
        self._happened(happening)
        self._event(happening.what)
