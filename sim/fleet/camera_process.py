"""A process with many cameras. It may be killed at any moment; its folder keeps their state."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from hal.mqtt.paho_link import MqttThread
from hal.ports import SECOND_NS
from sim.fleet.camera import FleetCamera, fleet_media, fleet_settings
from sim.fleet.realtime_pacing import PacedLoop
from sim.fleet.subscriber import Key
from sim.servers.mosquitto import Mosquitto
from sim.world.test_keys import BenchAgency
from sim.world.virtual_loop import VirtualLoop

# Boots are spread: a shift does not begin in one instant.
SPREAD_S = 10


def spread_s(devices: int) -> float:
    return max(1.0, min(SPREAD_S, devices / 100))


SEED = "fleet"
DRAIN_S = 40.0
ALL = 1_000_000


class Orders(NamedTuple):
    """`keep`: ledgers and outboxes on a real disk. `speed`: how fast the world runs."""

    devices: int
    state_s: int
    speed: float
    keep: bool
    folder: Path


class Told(NamedTuple):
    """What a crew knows in the end."""

    sent_ns: dict[Key, int]
    acknowledged: set[Key]
    waiting: int
    dropped: int
    connections: int
    last_connected_ns: int
    boots: int
    recordings: int
    cpu_s: float
    mqtt_cpu_s: float
    rss_kib: int
    empty_rss_kib: int
    lag_ms: float
    faults: dict[str, int]


class Crew:
    """`start`, then `run` as often as is wanted, then `finish`."""

    def __init__(self, orders: Orders, broker: Mosquitto) -> None:
        self._orders = orders
        self.paced = PacedLoop(VirtualLoop(), orders.speed)
        self._empty_rss_kib = _rss_kib()
        self.thread = MqttThread()
        agency, media = BenchAgency(SEED), fleet_media()
        settings = fleet_settings(orders.state_s)
        self.cameras = [
            FleetCamera(
                f"cam-{number:05d}", agency, settings, media, self.paced, self.thread, broker,
                orders.folder, keep=orders.keep,
            )
            for number in range(orders.devices)
        ]  # fmt: skip
        self._cpu_s = self._mqtt_cpu_s = 0.0

    def start(self) -> None:
        spread_ns = round(spread_s(self._orders.devices) * SECOND_NS)
        for number, camera in enumerate(self.cameras):
            camera.start(number * spread_ns // len(self.cameras))

    def steady(self) -> None:
        """From now on it is measured. What a thousand agents are made of does not change any more:
        looking for garbage in it again and again would be this bench's own delay."""
        gc.collect()
        gc.freeze()
        self._cpu_s, self._mqtt_cpu_s = time.process_time(), self._thread_cpu_s()
        self.paced.lag_ns = 0

    def finish(self) -> Told:
        """Cameras stop in order, and what waits goes out."""
        cpu_s = time.process_time() - self._cpu_s
        mqtt_cpu_s = self._thread_cpu_s() - self._mqtt_cpu_s
        rss_kib, lag_ns = _rss_kib(), self.paced.lag_ns
        until_s = time.monotonic() + DRAIN_S
        newest = [_newest_row(camera) for camera in self.cameras]
        while (waiting := self._waiting(newest)) and time.monotonic() < until_s:
            self.paced.run(0.5)
        for camera in self.cameras:
            camera.stop()
        self.paced.run(2.0)
        self.thread.close(10)
        faults: dict[str, int] = {}
        sent: dict[Key, int] = {}
        acknowledged: set[Key] = set()
        for camera in self.cameras:
            sent.update(camera.link.sent_ns)
            acknowledged |= camera.link.acknowledged
            for line in _lines(camera):
                if '"kind":"fault"' in line:
                    part = line.partition('"part":"')[2].partition('"')[0]
                    faults[part] = faults.get(part, 0) + 1
        return Told(
            sent,
            acknowledged,
            waiting,
            sum(camera.outbox.fill().dropped for camera in self.cameras),
            sum(camera.link.connections for camera in self.cameras),
            max(camera.link.connected_ns for camera in self.cameras),
            sum(camera.boots for camera in self.cameras),
            sum('"from":"ready"' in line and '"event":"start"' in line
                for camera in self.cameras for line in _lines(camera)),
            cpu_s,
            mqtt_cpu_s,
            rss_kib,
            self._empty_rss_kib,
            lag_ns / 1e6,
            faults,
        )  # fmt: skip

    def _waiting(self, newest: list[int]) -> int:
        """Of the messages that waited then: new ones come all the time."""
        return sum(
            sum(item.row <= row for item in camera.outbox.after(0, ALL))
            for camera, row in zip(self.cameras, newest, strict=True)
        )

    def _thread_cpu_s(self) -> float:
        ident = self.thread.ident
        return time.clock_gettime(time.pthread_getcpuclockid(ident)) if ident else 0.0


def work(orders: Orders, broker: Mosquitto, pipe: Connection) -> None:
    """A crew in a process of its own: `("run", seconds)`, `("steady",)`, `("finish",)`."""
    crew = Crew(orders, broker)
    crew.start()
    pipe.send("ready")
    verbs: dict[str, Callable[..., Any]] = {
        "steady": crew.steady,
        "finish": crew.finish,
    }
    while True:
        # Time goes on while nobody orders anything.
        crew.paced.run(3600, over=pipe.poll)
        order = pipe.recv()
        answer = verbs[order]()
        pipe.send(answer)
        if order == "finish":
            return


def _newest_row(camera: FleetCamera) -> int:
    return max((item.row for item in camera.outbox.after(0, ALL)), default=0)


def _lines(camera: FleetCamera) -> list[str]:
    disk = camera.world.disk
    return [
        line
        for name in disk.names("ledger")
        for line in disk.read(f"ledger/{name}").decode("ascii", "replace").splitlines()
    ]


def _rss_kib() -> int:
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
