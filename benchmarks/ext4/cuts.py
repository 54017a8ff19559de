"""Plays a short life of the camera on a logged ext4 and cuts the power anywhere in its writes.

python -m benchmarks.ext4.cuts --cuts 60
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.ext4.blocklog import Replay, entry_count
from benchmarks.ext4.rig import Rig, RigError, mounted
from bwv_device.errors import BwvError
from bwv_device.verification.second_verifier import Judge
from bwv_device.verification.vault_report import verify
from hal.host import HostDisk
from sim.sweeps import power_cuts
from sim.world.test_keys import BenchAgency
from sim.world.world import World, stub_media

BITRATE_BPS = 600_000
TEARS = ("all", "subset", "torn")
# Negative controls: these must fail.
PLANTED: dict[str, dict[str, Any]] = {
    "no write barriers": {"options": "barrier=0"},
    "a sync that does nothing": {"forgets": True},
}
MEMORY = Path("/dev/shm")


class WorldDisk(HostDisk):
    """A real directory in a simulated world: virtual time, real syncs. `forgets` plants a bug: it
    says that it synced, and did not."""

    def __init__(
        self,
        root: Path,
        synced: Callable[[str], None] = lambda path: None,
        *,
        forgets: bool = False,
    ) -> None:
        super().__init__(root)
        self._synced, self._forgets = synced, forgets
        self.now_ns: Callable[[], int] = lambda: 0

    def sync(self, path: str) -> None:
        if not self._forgets:
            super().sync(path)
        self._synced(path)

    def take_busy_ns(self) -> int:
        return 0


class Acknowledged(NamedTuple):
    """Behind so many log entries this much of a ledger file was on the disk, said the kernel."""

    entries: int
    path: str
    length: int


class Outcome(NamedTuple):
    cuts: int
    failures: list[str]


def run(count: int, seed: int, *, options: str = "defaults", forgets: bool = False) -> Outcome:
    """`count` cuts of one run, spread over its writes, with every kind of tear."""
    agency, draws = BenchAgency(), random.Random(seed)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name)
        rig = Rig(folder)
        acknowledged, content = _record(rig, agency, options, forgets=forgets)
        replay = Replay(rig.log, rig.base, rig.atomic_sectors())
        points = sorted(draws.randrange(1, len(replay) + 1) for _ in range(count))
        failures: list[str] = []
        for number in points:
            tear = draws.choice(TEARS)
            cut = folder / "cut.img"
            replay.cut(number, draws, cut, tear)
            found = _examine(cut, folder / "cut", agency, acknowledged, content, number)
            failures += [f"behind write {number}, {tear}: {text}" for text in found]
        if not replay.same_as(rig.image):
            failures.append("the log does not lead to the disk as it was: the rig is broken")
        replay.close()
    return Outcome(count, failures)


def _record(
    rig: Rig, agency: BenchAgency, options: str, *, forgets: bool
) -> tuple[list[Acknowledged], dict[str, bytes]]:
    """Plays the life; what the kernel acknowledged of the ledger, and its final content."""
    acknowledged: list[Acknowledged] = []
    with rig.logging(options) as mount:
        root = mount / "vault"

        def synced(path: str) -> None:
            if path.endswith(".ledger"):
                length = (root / path).stat().st_size
                acknowledged.append(Acknowledged(entry_count(rig.log), path, length))

        disk = WorldDisk(root, synced, forgets=forgets)
        world = _world(agency, disk)
        for _ in power_cuts.script(world):
            pass
        disk.close()
        content = {f"ledger/{p.name}": p.read_bytes() for p in (root / "ledger").iterdir()}
    return acknowledged, content


def _world(agency: BenchAgency, disk: WorldDisk) -> World:
    media = stub_media(BITRATE_BPS)
    return World(power_cuts.settings(), agency.device, agency.recipients, media=media, disk=disk)  # type: ignore[arg-type]


def _examine(
    image: Path,
    point: Path,
    agency: BenchAgency,
    acknowledged: list[Acknowledged],
    content: dict[str, bytes],
    number: int,
) -> list[str]:
    """Mounts, looks for what was acknowledged, boots, recovers, verifies."""
    point.mkdir(exist_ok=True)
    try:
        with mounted(image, point):
            root = point / "vault"
            failures = [
                f"{item.path}: {item.length} acknowledged bytes are not there"
                for item in acknowledged
                if item.entries <= number and not _holds(root / item.path, content, item)
            ]
            with contextlib.closing(WorldDisk(root)) as disk:
                world = _world(agency, disk)
                world.boot()
                world.run(seconds=2)
                world.shut_down()
            report = verify(root, [agency.root])
            if not report.complete:
                failures.append(f"{report.problems} {report.remarks[-2:]}")
            word = Judge(root, [agency.root]).judge()
            if word != "whole":
                failures.append(f"the second verifier says {word}")
    except (RigError, BwvError, OSError) as error:  # it can't even be mounted, or used
        return [str(error)]
    return failures[:3]


def _holds(path: Path, content: dict[str, bytes], item: Acknowledged) -> bool:
    whole = content[item.path][: item.length]
    return path.exists() and path.read_bytes()[: item.length] == whole


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cuts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    outcome = run(options.cuts, options.seed)
    print(f"{outcome.cuts} power cuts on ext4, {len(outcome.failures)} failures")
    for failure in outcome.failures[:5]:
        print(f"  {failure}")
    for name, wishes in PLANTED.items():
        planted = run(max(20, options.cuts // 4), options.seed, **wishes)
        print(f"planted, {name}: {len(planted.failures)} failures in {planted.cuts} cuts")
        if not planted.failures:
            outcome.failures.append(f"{name} was not caught")
    sys.exit(bool(outcome.failures))


if __name__ == "__main__":
    main()
