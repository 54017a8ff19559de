"""A camera's day, delivered; and a custody whose days pass when they are told."""

from __future__ import annotations

from typing import Any

from bwv_device.custody.search import Wanted, find
from bwv_device.custody.session import CustodySession
from hal.ports import SECOND_NS
from sim.world.custody_workers import BenchCustody
from sim.world.test_keys import BenchAgency
from support.camera_bench import make_camera

DAY_NS = 86_400 * SECOND_NS
DOCK = {"store": "bench", "poll_ms": 500, "greeting_wait_s": 5, "resend_s": 20}


class Day:
    """A camera with some recordings, delivered; and a custody whose days pass when they are
    told."""

    def __init__(self, agency: BenchAgency, recordings: int = 2, *, dock: bool = True) -> None:
        self.agency = agency
        self.camera = make_camera(
            agency,
            dock=DOCK,
            video={"bitrate_kbps": 200},
            recording={"segment_s": 10, "pre_event_s": 0},
        )
        self.camera.run(seconds=2)
        self.custody = BenchCustody(self.camera, agency)
        self.custody.start()
        for _ in range(recordings):
            self.record()
        if dock:
            self.deliver()

    def record(self, *, flag: bool = False) -> None:
        it = self.camera
        it.press_record_twice()
        it.run(seconds=4)
        if flag:
            it.press("marker", held_ms=2100)
        it.hold_record()
        it.run(seconds=2)

    def deliver(self) -> None:
        self.camera.put_in_dock(True)
        self.camera.run(seconds=40)
        assert self.camera.disk.names("footage") == []

    def days(self, count: float) -> None:
        self.custody.clock.ahead_ns += int(count * DAY_NS)

    def desk(self, name: str, role_name: str) -> CustodySession:
        return self.custody.session(name, role_name)

    @property
    def custodian(self) -> CustodySession:
        return self.desk("Ada", "custodian")

    @property
    def retention(self) -> CustodySession:
        return self.desk("retention service", "retention")

    def names(self) -> list[str]:
        return [row["id"] for row in find(self.custodian, Wanted())]

    def footage(self) -> list[str]:
        return sorted(k for k in self.custody.store.objects if k.startswith("footage/"))


def lines(session: CustodySession, kind: str) -> list[dict[str, Any]]:
    session.index.catch_up()
    return list(session.index.lines("kind = ?", kind))
