"""Measures a fleet at a real broker: rate, latency, cost, and losses when the broker restarts or
the cameras' process is killed.
"""

from __future__ import annotations

import datetime
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bwv_device import keys
from bwv_device.errors import BrokerError
from hal.host import HostEntropy
from sim.fleet.camera import AGENCY
from sim.fleet.camera_process import SEED, Orders, Told, spread_s, work
from sim.fleet.subscriber import HeardAll, Key, listen
from sim.servers.mosquitto import HOST, Mosquitto
from sim.world.test_keys import BenchAgency

READY_S = 300
Tell = Callable[[str], None]


@dataclass
class Drilled:
    """What came of it. `lost`: acknowledged to a camera and never heard, or a hole in the numbers
    of events."""

    devices: int
    seconds: float
    sent: int = 0
    arrivals: int = 0
    lost: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    waiting: int = 0
    dropped: int = 0
    connections: int = 0
    connect_cpu_ms: float = 0
    back_s: float = 0
    recordings: int = 0
    rate_per_s: float = 0
    p50_ms: float = 0
    p99_ms: float = 0
    worst_ms: float = 0
    cpu_ms_per_camera_s: float = 0
    mqtt_cpu_ms_per_camera_s: float = 0
    kib_per_camera: float = 0
    broker_cpu_percent: float = 0
    broker_kib_per_camera: float = 0
    lag_ms: float = 0
    restarts: int = 0
    kills: int = 0
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.lost and not self.dropped and not self.waiting


class Drill:
    """Broker, subscriber and crew, each a process. `restart_at_s` and `kill_at_s` are moments of
    the measured time; latency is measured until the first of them."""

    def __init__(self, orders: Orders, tell: Tell) -> None:
        self._orders, self._tell = orders, tell
        agency = BenchAgency(SEED)
        now = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
        people = {}
        for name, role in (("ear", "auditor"), ("desk", "command")):
            files = keys.role_files(agency.files, name, role, HostEntropy(), now)
            people[name] = orders.folder / f"{name}.{role}-key.pem"
            people[name].write_bytes(next(iter(files.values())))
            people[name].chmod(0o600)
        self._certificate, self.operator = people["ear"], people["desk"]
        roles = [path.read_bytes() for path in people.values()]
        self.broker = Mosquitto(orders.folder / "broker", agency.files, AGENCY, roles)
        self._processes = multiprocessing.get_context("spawn")
        self._sent: dict[Key, int] = {}

    def run(
        self, seconds: float, restart_at_s: float | None = None, kill_at_s: float | None = None
    ) -> Drilled:
        self.broker.start()
        empty_kib = _broker(self.broker.pid)[1]
        try:
            ear, heard = self._begin(
                listen, self.broker.ports.operator, AGENCY, self._certificate, self.broker.root
            )
            crew, told = self._crew()
            self._tell(f"{self._orders.devices} cameras with keys; they connect")
            self._tell(
                f"bwv fleet watch --agency {AGENCY} --broker {HOST}:{self.broker.ports.operator} "
                f"--as {self.operator} --root {self.broker.root}"
            )
            time.sleep(spread_s(self._orders.devices) / self._orders.speed + 4)
            _ask(told, "steady")
            done = Drilled(self._orders.devices, seconds)
            done.connect_cpu_ms = 1000 * _broker(self.broker.pid)[0] / self._orders.devices
            restarted_ns = 0
            began_s, cpu_s = time.monotonic(), _broker(self.broker.pid)[0]
            moments = sorted((at, what) for at, what in
                             ((restart_at_s, "restart"), (kill_at_s, "kill")) if at)  # fmt: skip
            calm_ns = time.monotonic_ns() + round((moments[0][0] if moments else seconds) * 1e9)
            start_ns = time.monotonic_ns()
            kib = 0
            for at_s, what in moments:
                _sleep_until(began_s + at_s)
                kib = kib or _broker(self.broker.pid)[1]
                done.broker_cpu_percent = done.broker_cpu_percent or self._load(cpu_s, began_s)
                if what == "restart":
                    self._restart()
                    restarted_ns = time.monotonic_ns()
                    done.restarts += 1
                else:
                    self._tell("the cameras' process is killed")
                    crew.kill()
                    crew.join()
                    crew, told = self._crew()
                    done.kills += 1
            _sleep_until(began_s + seconds)
            kib = kib or _broker(self.broker.pid)[1]
            done.broker_cpu_percent = done.broker_cpu_percent or self._load(cpu_s, began_s)
            done.broker_kib_per_camera = (kib - empty_kib) / self._orders.devices
            self._tell("what waits goes out; the cameras stop")
            end: Told = _ask(told, "finish")
            crew.join(30)
            if restarted_ns and not done.kills:
                done.back_s = (end.last_connected_ns - restarted_ns) / 1e9
            heard.send("end")
            all_heard: HeardAll = heard.recv()
            ear.join(30)
        finally:
            self.broker.kill()
        return self._judge(done, end, all_heard, start_ns, calm_ns)

    def _judge(
        self, done: Drilled, end: Told, heard: HeardAll, start_ns: int, calm_ns: int
    ) -> Drilled:
        done.sent, done.arrivals = len(end.sent_ns), heard.arrivals
        done.lost = len(end.acknowledged - heard.first_ns.keys()) + _missing(heard.first_ns)
        done.duplicates = heard.arrivals - len(heard.first_ns) - heard.presences - heard.others
        done.out_of_order = heard.out_of_order
        done.waiting, done.dropped = end.waiting, end.dropped
        done.connections, done.recordings = end.connections, end.recordings
        done.faults, done.lag_ms = end.faults, end.lag_ms
        if not done.kills:
            calm = {key: at for key, at in end.sent_ns.items() if start_ns <= at < calm_ns}
            late = sorted((heard.first_ns[key] - at) / 1e6 for key, at in calm.items()
                          if key in heard.first_ns)  # fmt: skip
            done.rate_per_s = len(calm) / max(1e-9, (calm_ns - start_ns) / 1e9)
            if len(late) > 1:
                cuts = statistics.quantiles(late, n=100)
                done.p50_ms, done.p99_ms, done.worst_ms = cuts[49], cuts[98], late[-1]
            camera_s = done.devices * done.seconds
            done.cpu_ms_per_camera_s = 1000 * end.cpu_s / camera_s
            done.mqtt_cpu_ms_per_camera_s = 1000 * end.mqtt_cpu_s / camera_s
            done.kib_per_camera = (end.rss_kib - end.empty_rss_kib) / done.devices
        return done

    def _crew(self) -> tuple[Any, Connection]:
        return self._begin(work, self._orders, self.broker.without_process())

    def _begin(self, target: Callable[..., None], *arguments: Any) -> tuple[Any, Connection]:
        ours, theirs = self._processes.Pipe()
        process = self._processes.Process(target=target, args=(*arguments, theirs), daemon=True)
        process.start()
        if not ours.poll(READY_S):
            raise BrokerError("A process of the fleet did not start.", "Take fewer --devices.")
        ours.recv()
        return process, ours

    def _restart(self) -> None:
        self._tell("the broker restarts")
        self.broker.stop()
        time.sleep(2)
        self.broker.start()

    def _load(self, cpu_s: float, began_s: float) -> float:
        return 100 * (_broker(self.broker.pid)[0] - cpu_s) / (time.monotonic() - began_s)


def drill(orders_of: Callable[[Path], Orders], tell: Tell, **moments: Any) -> Drilled:
    """In a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fleet") as name:
        return Drill(orders_of(Path(name)), tell).run(**moments)


def _ask(pipe: Connection, order: str) -> Any:
    pipe.send(order)
    return pipe.recv()


def _missing(first_ns: dict[Key, int]) -> int:
    """Events and replies are numbered without holes from 1, in each boot."""
    numbers: dict[tuple[str, int], list[int]] = {}
    for topic, boot, number in first_ns:
        if topic.endswith(("/event", "/reply")):
            numbers.setdefault((topic, boot), []).append(number)
    return sum(max(came) - len(came) for came in numbers.values())


def _broker(pid: int) -> tuple[float, int]:
    """CPU seconds and resident KiB of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1024


def _sleep_until(when_s: float) -> None:
    time.sleep(max(0.0, when_s - time.monotonic()))
