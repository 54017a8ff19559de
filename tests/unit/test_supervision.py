"""What systemd is told, and when it is told nothing any more."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from bwv_device.camera.systemd_watchdog import PATIENCE_NS, Watchdog, notifier, watchdog_ns
from hal.ports import SECOND_NS
from sim.world.virtual_loop import AgentLoop, VirtualLoop


def test_a_real_socket_hears_it(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(5)
        notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})("READY=1\nSTATUS=ready")
        assert ear.recv(100) == b"READY=1\nSTATUS=ready"


def test_an_abstract_socket_hears_it() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(f"\0bwv-test-{os.getpid()}")
        ear.settimeout(5)
        notifier({"NOTIFY_SOCKET": f"@bwv-test-{os.getpid()}"})("STOPPING=1")
        assert ear.recv(100) == b"STOPPING=1"


def test_nobody_there_is_no_trouble(tmp_path: Path) -> None:
    notifier({})("READY=1")
    notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})("READY=1")


@pytest.mark.parametrize(
    ("environment", "ns"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30 * SECOND_NS),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "many"}, 0),
        ({}, 0),
    ],
)
def test_the_interval_is_the_supervisors(environment: dict[str, str], ns: int) -> None:
    assert watchdog_ns(environment) == ns


class Bench:
    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.said: list[tuple[int, str]] = []
        self.overdue_ns = self.disk_ns = 0
        watchdog = Watchdog(
            AgentLoop(self.loop, lambda: self.disk_ns),
            lambda words: self.said.append((self.loop.now_ns(), words)),
            lambda: self.overdue_ns,
        )
        watchdog.start(30 * SECOND_NS)

    def fed(self, since_s: int) -> list[str]:
        return [words for at_ns, words in self.said if at_ns > since_s * SECOND_NS]


def test_it_is_fed_while_all_is_well() -> None:
    bench = Bench()
    bench.loop.run_until(300 * SECOND_NS)
    assert len(bench.fed(0)) >= 29
    assert set(bench.fed(0)) == {"WATCHDOG=1"}


def test_without_pictures_it_is_not_fed_and_says_why_once() -> None:
    bench = Bench()
    bench.loop.run_until(60 * SECOND_NS)
    bench.overdue_ns = PATIENCE_NS + 1
    bench.loop.run_until(120 * SECOND_NS)
    assert bench.fed(60) == ["STATUS=not so any more: pictures arrive"]
    bench.overdue_ns = 0
    bench.loop.run_until(180 * SECOND_NS)
    assert bench.fed(120)[0] == "WATCHDOG=1"


def test_a_disk_that_hangs_is_not_hidden() -> None:
    bench = Bench()
    bench.loop.run_until(60 * SECOND_NS)
    bench.disk_ns = 1000 * SECOND_NS
    bench.loop.run_until(200 * SECOND_NS)
    assert bench.fed(100) == []
    assert bench.said[-1][1] == "STATUS=not so any more: the disk's lane is alive"
