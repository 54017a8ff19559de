"""Cuts the power at every disk operation of a short recording, with every kind of tear.

After each cut the camera boots, recovers and is switched off; then the vault must verify,
everything acknowledged must be there and open, and the footage lost must stay within the bound.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from bwv_device.formats.media.h264 import split_keyframe
from bwv_device.formats.media.mp4_film import read_film
from bwv_device.settings import Recording, Settings
from bwv_device.verification.export import export
from bwv_device.verification.vault_report import survey
from hal.ports import SECOND_NS, Track
from hal.simulated.capture import StubVideo
from hal.simulated.disk import TEARS, PowerCut, SimulatedDisk, Tear
from hal.simulated.power_dock_and_place import MARKER
from sim.oracle.signed_groups import without_statements
from sim.random_streams import Draws
from sim.world.test_keys import BenchAgency
from sim.world.world import World, stub_media

# The press comes so late that the pre-event buffer holds something, the stop so late that a segment
# was cut and a second recording began.
PRESS_S = 4
FPS = 30


class PowerCutPoint(NamedTuple):
    """Where the power goes: before or within operation `number`, and what the cut leaves: one fate
    for all files, or with a `seed` a drawn one for each."""

    number: int
    within: bool
    tear: Tear | None
    seed: int = 0


@dataclass
class PowerCutOutcome:
    """What a sweep came to."""

    points: int = 0
    by_verb: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    worst_loss_ms: int = 0


def settings() -> Settings:
    """Short segments, so that a short recording has several."""
    return replace(Settings(), recording=Recording(pre_event_s=3, segment_s=10))


def script(world: World) -> Iterator[None]:
    """A short life: a recording with a marker and a still, a pause, another recording."""
    world.boot()
    yield from _run(world, PRESS_S)
    world.press_record_twice()
    yield from _run(world, 6)
    world.press_marker()
    world.press_marker(times=2)
    yield from _run(world, 6)
    world.hold_record()
    yield from _run(world, 1)
    world.press_record_twice()
    yield from _run(world, 3)
    world.shut_down()
    yield


def _run(world: World, seconds: float) -> Iterator[None]:
    world.run(seconds=seconds)
    yield


class Sweep:
    """One camera, one bitrate; plays the script again for each point."""

    def __init__(self, bitrate_bps: int, disk: Callable[[], SimulatedDisk] = SimulatedDisk) -> None:
        self._bitrate_bps, self._disk = bitrate_bps, disk
        self._agency = BenchAgency()
        whole = self._world()
        for _ in script(whole):
            pass
        self.operations = list(whole.disk.operations)

    def points(self) -> Iterator[PowerCutPoint]:
        """Every distinct point: within an operation only where that differs from before it."""
        for operation in self.operations:
            for tear in TEARS:
                yield PowerCutPoint(operation.number, False, tear)
                if operation.verb == "append":
                    yield PowerCutPoint(operation.number, True, tear)

    def drawn_points(self, seeds: Iterable[int]) -> Iterator[PowerCutPoint]:
        """For each seed one operation, and fates of which no two need be alike."""
        for seed in seeds:
            draws = Draws(seed, "point")
            operation = draws.pick(self.operations)
            within = operation.verb == "append" and draws.chance(500)
            yield PowerCutPoint(operation.number, within, None, seed)

    def run(self, points: Iterable[PowerCutPoint]) -> PowerCutOutcome:
        outcome = PowerCutOutcome()
        for point in points:
            outcome.points += 1
            outcome.by_verb[self.operations[point.number].verb] += 1
            lost_ms, failures = self.cut(point)
            outcome.worst_loss_ms = max(outcome.worst_loss_ms, lost_ms)
            outcome.failures += [f"{point}: {failure}" for failure in failures]
        return outcome

    def cut(self, point: PowerCutPoint) -> tuple[int, list[str]]:
        """Milliseconds of footage lost, and what went wrong."""
        world = self._world()
        if point.within:
            world.disk.cut_during = point.number
        else:
            world.disk.cut_before = point.number
        try:
            for _ in script(world):
                pass
            return 0, ["the cut never came"]
        except PowerCut:
            pass
        acknowledged = _acknowledged(world.disk)
        taken = _Taken(world)
        if point.tear is None:
            world.power_off()
            world.disk.cut_anyhow(Draws(point.seed, "tear").below)
        else:
            world.power_cut(point.tear)
        failures = _check_acknowledged(world.disk, acknowledged)
        world.boot()
        world.run(seconds=2)
        world.shut_down()
        with tempfile.TemporaryDirectory() as folder:
            world.disk.dump(Path(folder, "vault"))
            found, more = self._examine(Path(folder))
        lost_ms, missing = taken.compare(found)
        return lost_ms, failures + more + missing

    def _examine(self, folder: Path) -> tuple[dict[int, bytes], list[str]]:
        """Verifies and opens; returns the pictures found, by their number."""
        surveyed = survey(folder / "vault", [self._agency.root])
        report, films, _ = export(surveyed, self._agency.identities, folder / "out")
        failures = list(report.problems)
        if not report.complete:
            failures.append(f"not complete: {report.remarks} {report.segments}")
        failures += [
            f"{path.name} holds the marker in clear"
            for path in (folder / "vault").rglob("*")
            if path.is_file() and MARKER in path.read_bytes()
        ]
        found: dict[int, bytes] = {}
        for item in films:
            for unit in read_film(item.path.read_bytes()):
                if unit.track is Track.VIDEO:
                    picture = without_statements(unit.data)[1]
                    found[StubVideo.number_of(picture)] = picture
        return found, failures

    def _world(self) -> World:
        agency = self._agency
        media = stub_media(self._bitrate_bps)
        return World(settings(), agency.device, agency.recipients, media=media, disk=self._disk())


class _Taken:
    """What the camera had promised to keep when the power went."""

    def __init__(self, world: World) -> None:
        assert world.agent is not None
        recorder = world.agent.parts.recorder
        self._video = StubVideo(FPS, world.media.video.format.bitrate_bps)
        self._until_ns: int | None = None
        self._pressed_ns = 0
        if recorder.recording is not None:
            now_ns = world.loop.now_ns()
            self._until_ns = now_ns if recorder.until_ns is None else recorder.until_ns
            self._pressed_ns = recorder.recording.request.at_ns

    def compare(self, found: dict[int, bytes]) -> tuple[int, list[str]]:
        """How much of the recording in progress is missing at its end, in milliseconds, and what is
        wrong with what is there. Finished recordings are covered by their digests."""
        numbers = sorted(found)
        failures = [
            f"picture {number} is not what the camera gave"
            for number in numbers
            if found[number] != self._sample(number)
        ]
        failures += [
            f"pictures {a} to {b} are missing in the middle"
            for a, b in pairwise(numbers)
            if b != a + 1 and b % FPS != 0  # a recording starts at a keyframe
        ]
        if self._until_ns is None:
            return 0, failures
        newest_ns = (numbers[-1] + 1) * SECOND_NS // FPS if numbers else 0
        # Nothing was promised of what was only in memory at the press.
        reach_ns = max(newest_ns, self._pressed_ns)
        return max(0, self._until_ns - reach_ns) // 1_000_000, failures

    def _sample(self, number: int) -> bytes:
        second, index = divmod(number, FPS)
        data = self._video.gop(second)[index]
        return split_keyframe(data)[1] if index == 0 else data


def _acknowledged(disk: SimulatedDisk) -> dict[str, bytes]:
    """Every ledger byte that was synced: the camera had the right to rely on it."""
    return {path: data for path, data in disk.durable_files() if path.startswith("ledger/")}


def _check_acknowledged(disk: SimulatedDisk, acknowledged: dict[str, bytes]) -> list[str]:
    present = dict(disk.files())
    return [
        f"{path}: acknowledged bytes are gone"
        for path, data in acknowledged.items()
        if not present.get(path, b"").startswith(data)
    ]


def sample(points: Sequence[PowerCutPoint], count: int) -> list[PowerCutPoint]:
    """`count` points spread evenly over all."""
    step = max(1, len(points) // count)
    return list(points[::step])
