"""What the world observed of a camera: all that the oracle may use, and nothing from inside the
agent.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

from hal.ports import SECOND_NS, AccessUnit, Track
from hal.simulated.disk import Operation
from hal.simulated.panel import OUTPUTS, Shown
from hal.simulated.power_dock_and_place import MARKER
from sim.world.world import World

# By this file a camera tries its disk; it holds no footage.
PROBE = "footage/probe"
# What waits for the disk is in memory a second time, sealed, so far.
SEALED_LIMIT = 4 << 20


class Trouble(NamedTuple):
    """A fault that was there from one time to another."""

    name: str
    from_ns: int
    to_ns: int


class Synced(NamedTuple):
    """A file of footage was synced, so many bytes long."""

    at_ns: int
    path: str
    length: int


class Gauge(NamedTuple):
    """The battery's charge from one look to another."""

    from_ns: int
    to_ns: int
    percent: int
    charging: bool


@dataclass(slots=True)
class BootLife:
    """One agent from its start to its end. Numbers are those that the pictures carry."""

    started_ns: int
    origin_ns: int
    ended_ns: int = -1
    how: str = ""
    captured: list[list[int]] = field(default_factory=list)  # [first, last] of runs without a hole
    handed: list[list[int]] = field(default_factory=list)  # the same of what came to the agent
    spoiled: list[int] = field(default_factory=list)  # captured, and not handed over as they were
    keyframes: list[int] = field(default_factory=list)  # handed over as they were
    ledgers: list[str] = field(default_factory=list)


class Witness:
    """Hears devices, disk and panel of a world. Must be there before the first boot."""

    def __init__(self, world: World) -> None:
        self._world, self._fps = world, world.media.video.format.fps
        self.lives: list[BootLife] = []
        self.troubles: list[Trouble] = []
        self.footage_synced: list[Synced] = []
        self._lengths: dict[str, int] = {}
        self.in_clear: list[str] = []
        self.removed: list[str] = []  # and the evidence store does not hold it
        self.overfull: list[str] = []
        self.gauges: list[Gauge] = []
        self._grown = False
        self._tail: dict[str, bytes] = {}
        world.disk.observe = self._disk_did
        world.prepare = self._before_start

    @property
    def life(self) -> BootLife:
        return self.lives[-1]

    def ended(self, how: str) -> None:
        """The agent is gone."""
        if self.lives and self.life.ended_ns < 0:
            self.life.ended_ns, self.life.how = self._world.loop.now_ns(), how

    def troubled(self, *names: str) -> list[Trouble]:
        return [trouble for trouble in self.troubles if trouble.name in names]

    def calm(self) -> None:
        """No fault lasts beyond now."""
        now_ns = self._world.loop.now_ns()
        self.troubles = [t._replace(to_ns=min(t.to_ns, now_ns)) for t in self.troubles]

    def shown(self, output: str) -> list[Shown]:
        """Everything an output showed, over all boots."""
        assert output in OUTPUTS
        return self._world.shown_so_far(output)

    def look(self) -> None:
        """Once in a while: whether every queue keeps to its limit, and what the battery holds."""
        self._look_at_battery()
        agent = self._world.agent
        if agent is None:
            return
        settings = self._world.settings.recording
        second = self._world.media.video.format.bitrate_bps // 8 * 5 // 4
        limit = (settings.queue_limit_mib << 20) + second * (settings.pre_event_s + 3)
        sizes = {
            "footage waiting for the disk": (agent.parts.recorder.undurable_bytes, limit),
            "sealed footage waiting for the disk": (
                agent.parts.recorder.sealed_bytes,
                SEALED_LIMIT + 3 * second,
            ),
            "pre-event buffer": (
                agent.parts.recorder.prebuffer_bytes,
                (settings.pre_event_limit_mib << 20) + second,
            ),
        }
        self.overfull += [
            f"{what}: {size} bytes, limit {limit}"
            for what, (size, limit) in sizes.items()
            if size > limit
        ]

    def _look_at_battery(self) -> None:
        power, now_ns = self._world.power, self._world.loop.now_ns()
        shown = (power.percent(), power.charging)
        if self.gauges and self.gauges[-1][2:] == shown:
            self.gauges[-1] = self.gauges[-1]._replace(to_ns=now_ns)
        else:
            self.gauges.append(Gauge(now_ns, now_ns, *shown))

    # --- inside -------------------------------------------------------------------------------

    def _before_start(self, world: World) -> None:
        self.lives.append(BootLife(world.loop.now_ns(), world.time.origin_ns))
        assert world.camera
        world.camera.witness = self._camera_gave

    def _camera_gave(self, captured: list[AccessUnit], handed: list[AccessUnit]) -> None:
        life = self.life
        first = self._number(captured[0])
        last = first + len(captured) - 1
        _extend(life.captured, first, last)
        if handed:
            _extend(life.handed, first, last)
        if handed is captured:
            life.keyframes += [n for n, unit in enumerate(captured, first) if unit.keyframe]
            return
        whole = {id(unit) for unit in handed}
        for number, unit in enumerate(captured, first):
            if id(unit) not in whole:
                life.spoiled.append(number)
            elif unit.keyframe:
                life.keyframes.append(number)

    def _number(self, unit: AccessUnit) -> int:
        assert unit.track is Track.VIDEO
        pts_ns = unit.pts_ns + self.life.origin_ns
        return (pts_ns * self._fps + SECOND_NS // 2) // SECOND_NS

    def _disk_did(self, operation: Operation, data: bytes) -> None:
        path = operation.path
        if path == PROBE:
            return
        if operation.verb == "append":
            self._look_for_marker(path, data)
            if path.startswith("footage/"):
                self._grown = True
                self._lengths[path] = self._lengths.get(path, 0) + operation.length
        elif operation.verb == "sync" and path.startswith("footage/") and self._grown:
            self._grown = False
            synced = Synced(self._world.loop.now_ns(), path, self._lengths.get(path, 0))
            self.footage_synced.append(synced)
        elif operation.verb == "create":
            self._lengths[path] = 0
        elif operation.verb == "remove":
            self._removed(path)
        if operation.verb == "create" and path.startswith("ledger/"):
            name = path.rpartition("/")[2]
            for life in self.lives:
                if name in life.ledgers:  # a power cut took that one away again
                    life.ledgers.remove(name)
            self.life.ledgers.append(name)

    def _removed(self, path: str) -> None:
        """At this moment the evidence store must hold the same bytes."""
        content = self._world.disk.read(path)
        name = path.rpartition("/")[2].removesuffix(".part")
        digest = hashlib.sha256(content).hexdigest()
        key = f"footage/{self._world.identity.device}/{name}/{digest}"
        if self._world.uplink.store.objects.get(key) != content:
            self.removed.append(path)

    def _look_for_marker(self, path: str, data: bytes) -> None:
        """Also where it stands across two writes."""
        around = self._tail.get(path, b"") + data
        if MARKER in around:
            self.in_clear.append(path)
        self._tail[path] = around[-len(MARKER) :]


def _extend(runs: list[list[int]], first: int, last: int) -> None:
    """One run more, or the last one longer."""
    if runs and runs[-1][1] == first - 1:
        runs[-1][1] = last
    else:
        runs.append([first, last])
