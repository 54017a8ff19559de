"""72 hours without a break: the wall clock steps by ten years either way, and the card is full 20
times. Memory and open files must not grow.

The card is a real directory, so that only the agent and its world are in memory.
"""

from __future__ import annotations

import gc
import resource
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.ext4.cuts import WorldDisk
from bwv_device.formats.ledger_lines import parse_line
from bwv_device.verification.vault_report import verify
from hal.ports import SECOND_NS
from sim.world.camera_handle import Camera, make_camera
from sim.world.test_keys import BenchAgency

FILLINGS = 20
YEARS_NS = 10 * 365 * 86_400 * SECOND_NS
MEMORY = Path("/dev/shm")
ALLOWED_MIB = 25


class Soaked(NamedTuple):
    hours: float
    grown_mib: float
    grown_files: int
    recordings: int
    refusals: int
    problems: list[str]

    def __str__(self) -> str:
        return (
            f"soak: {self.hours:g} virtual hours, {FILLINGS} times full, {self.recordings} "
            f"recordings, {self.refusals} refusals; grown by {self.grown_mib:.1f} MiB (goal "
            f"{ALLOWED_MIB}) and {self.grown_files} open files; {len(self.problems)} problems"
        )

    @property
    def ok(self) -> bool:
        return not self.problems and self.grown_mib <= ALLOWED_MIB and self.grown_files <= 0


class Card(WorldDisk):
    """A directory of which the world says how much room it has."""

    room_bytes = 1 << 40

    def free_bytes(self) -> int:
        return self.room_bytes


def soak(hours: float) -> Soaked:
    agency = BenchAgency()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        card = Card(Path(name, "vault"))
        camera = make_camera(agency, boot=False, video={"bitrate_kbps": 200, "fps": 10})
        world = camera.world
        world.disk = card  # type: ignore[assignment]
        card.now_ns = world.loop.now_ns
        camera.boot()
        cycle_s = hours * 3600 / FILLINGS
        before = (0.0, 0)
        for number in range(FILLINGS):
            world.power.set(100)
            world.run(seconds=30)
            camera.press_twice()
            world.run(seconds=300)
            world.clock.step(YEARS_NS if number % 2 else -YEARS_NS)
            card.room_bytes = 1000
            world.run(seconds=60)  # the recording ends, and the next is refused
            camera.press_twice()
            world.run(seconds=20)
            card.room_bytes = 1 << 40
            for step in range(10):
                world.power.set(100 - step)
                world.run(seconds=(cycle_s - 420) / 10)
            _forget(camera)
            if number == 2:
                before = (_resident_mib(), _open_files())
        grown = (_resident_mib() - before[0], _open_files() - before[1])
        camera.switch_off()
        card.close()
        report = verify(Path(name, "vault"), [agency.root])
        kinds = [str(line["kind"]) for line in _ledger(Path(name, "vault"))]
    problems = [] if report.complete else [*report.problems[:3], *report.remarks[-2:]]
    if kinds.count("close") < FILLINGS or kinds.count("refused") < FILLINGS:
        problems.append(f"{kinds.count('close')} recordings, {kinds.count('refused')} refusals")
    if kinds.count("time") < FILLINGS:
        problems.append(f"{kinds.count('time')} steps of the clock were seen")
    return Soaked(hours, *grown, kinds.count("close"), kinds.count("refused"), problems)


def _forget(camera: Camera) -> None:
    """What the world remembers for tests is not the agent's memory."""
    world = camera.world
    assert world.panel
    world.broker.messages.clear()
    world.transitions.clear()
    world.happenings.clear()
    for history in world.panel.history.values():
        del history[:-1]
    for pin in world.panel.factory.pins.values():
        if pin is not None:
            pin.clear_states()


def _ledger(vault: Path) -> list[dict[str, object]]:
    return [
        parse_line(raw).fields
        for path in sorted((vault / "ledger").iterdir())
        for raw in path.read_bytes().splitlines()
    ]


def _resident_mib() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


if __name__ == "__main__":
    result = soak(float(sys.argv[1]) if len(sys.argv) > 1 else 72)
    print(result)
    for problem in result.problems:
        print(" ", problem)
    sys.exit(not result.ok)
