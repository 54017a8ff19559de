"""The measured process: recorder, journal and real disk, fed from memory, flat out or in real time.

    python -m benchmarks.recording_process UNITS VAULT MODE SECONDS [SYNC_MS [unsigned]]

`MODE` is flat, paced, buffer, or empty: the same loop and feeder, and nobody who takes the units.

Prints JSON: CPU seconds after start-up, how old each picture was when it became durable, and how
often the disk was synced.
"""

from __future__ import annotations

import json
import pickle
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bwv_device.backends.realtime_loop import RealLoop
from bwv_device.camera.recording.recorder import Recorder, RecorderObserver
from bwv_device.camera.recording.recording import RecordingRequest
from bwv_device.camera.vault.recovery import Recovered
from bwv_device.camera.vault.vault_lane import VaultLane, VaultObserver
from bwv_device.formats.vault_layout import FOOTAGE
from bwv_device.settings import Recording, Settings
from hal.host import HostClock, HostDisk, HostEntropy
from hal.ports import SECOND_NS, AccessUnit, Anchor, Track
from sim.world.test_keys import BenchAgency

BATCH_NS = SECOND_NS // 4

# Flat out the disk sets the pace: below what would count as overflow.
BACKLOG_BYTES = 12 << 20


class _Fixed:
    """A capture device that only tells its format: units come from the feeder."""

    def __init__(self, form: object) -> None:
        self.format = form

    def request_keyframe(self) -> None:
        return


class _CountingDisk(HostDisk):
    """How often it was asked to sync: a peer is to do the same."""

    syncs = 0

    def sync(self, path: str) -> None:
        self.syncs += 1
        super().sync(path)


class _Board:
    """The parts of a board that recorder and vault_lane touch."""

    def __init__(self, vault: Path, agency: BenchAgency, video: object, audio: object) -> None:
        self.clock, self.entropy = HostClock(), HostEntropy()
        self.disk = _CountingDisk(vault)
        self.camera, self.microphone = _Fixed(video), _Fixed(audio)
        self.identity = agency.device


def main() -> None:
    units_file, vault, mode, seconds = sys.argv[1:5]
    fragment_ms = int(sys.argv[5]) if len(sys.argv) > 5 else 500
    video, audio, units = pickle.loads(Path(units_file).read_bytes())
    agency = BenchAgency(recipient_type="mlkem768x25519")
    loop = RealLoop(HostClock())
    board = _Board(Path(vault), agency, video, audio)
    recording = Recording(
        fragment_ms=fragment_ms, pre_event_s=120, pre_event_audio=True,
        sign_video="unsigned" not in sys.argv[6:],
    )  # fmt: skip
    settings = Settings(recording=recording)
    run = _Run(loop, units, mode, int(seconds))
    vault_lane = run.vault_lane = VaultLane(board, loop, {}, run)  # type: ignore[arg-type]
    run.recorder = Recorder(board, loop, vault_lane, settings, agency.recipients, run)  # type: ignore[arg-type]
    loop.post(lambda: vault_lane.open("power cut"))
    loop.run()
    print(json.dumps({**run.result(Path(vault)), "syncs": board.disk.syncs}))


class RecordingEars(RecorderObserver, VaultObserver):
    """Takes a fault for the end of the measurement, and wants to know of nothing."""

    def recording_ended(self) -> None:
        return

    def keyframe(self, unit: AccessUnit) -> None:
        return

    def storage_fault(self, part: str, error: Exception) -> None:
        raise error

    def vault_failed(self, error: Exception) -> None:
        raise error

    def noted(self, kind: str, fields: Mapping[str, Any], at: Anchor) -> None:
        return


class _Run(RecordingEars):
    """Feeds the recorder, and hears what comes of it."""

    recorder: Recorder
    vault_lane: VaultLane

    def __init__(
        self,
        loop: RealLoop,
        units: list[AccessUnit],
        mode: str,
        seconds: int,
    ) -> None:
        self._loop, self._units = loop, units
        self._mode, self._seconds = mode, seconds
        self._ages: list[int] = []
        self._ends: deque[int] = deque()  # of pictures that are not durable yet
        self._room = threading.Semaphore(8)
        self.cpu_s = self.wall_s = 0.0
        self._payload = 0

    def vault_opened(self, recovered: Recovered) -> None:
        self._start_ns = time.monotonic_ns()
        batches = self._batches()
        self._payload = sum(len(unit.data) for batch in batches for unit in batch)
        self._cpu, self._wall = time.process_time(), time.monotonic()
        if self._records:
            self.recorder.start(RecordingRequest("start", "bench", self._loop.now_ns()))
        threading.Thread(target=self._feed, args=(batches,), daemon=True).start()

    @property
    def _records(self) -> bool:
        return self._mode in ("flat", "paced")

    def _feed(self, batches: list[list[AccessUnit]]) -> None:
        """Batches of 250 ms; in real time at their time, flat out as the recorder takes them."""
        for number, batch in enumerate(batches, 1):
            if self._mode == "flat":
                self._room.acquire()
                while self.recorder.undurable_bytes > BACKLOG_BYTES:
                    threading.Event().wait(0.002)
            else:
                due_ns = self._start_ns + number * BATCH_NS
                threading.Event().wait(max(0, due_ns - time.monotonic_ns()) / 1e9)
            self._loop.post(partial(self._take, batch))
        self._loop.post(self._finish)

    def _take(self, batch: list[AccessUnit]) -> None:
        if self._mode != "empty":
            self._ends += [unit.end_ns for unit in batch if unit.track is Track.VIDEO]
            self.recorder.take(batch)
        self._room.release()

    def _batches(self) -> list[list[AccessUnit]]:
        length_ns = max(u.end_ns for u in self._units if u.track is Track.VIDEO)
        batches: list[list[AccessUnit]] = [[] for _ in range(self._seconds * 4)]
        # Flat out the clip was captured before now: nothing may come from the future.
        back_ns = self._seconds * SECOND_NS if self._mode == "flat" else 0
        for turn in range(self._seconds * SECOND_NS // length_ns + 1):
            for unit in self._units:
                at_ns = unit.pts_ns + turn * length_ns
                if at_ns // BATCH_NS < len(batches):
                    moved = unit._replace(pts_ns=self._start_ns - back_ns + at_ns)
                    batches[at_ns // BATCH_NS].append(moved)
        return batches

    def _finish(self) -> None:
        if self._records:
            self.recorder.stop("stop")
        else:
            self._end()

    def _end(self) -> None:
        self.cpu_s = time.process_time() - self._cpu
        self.wall_s = time.monotonic() - self._wall
        self.vault_lane.finish(self._loop.stop)

    def recording_ended(self) -> None:
        self._end()

    def durable(self, video_until_ns: int) -> None:
        """How old each picture is that became durable just now."""
        now_ns = time.monotonic_ns()
        while self._ends and self._ends[0] <= video_until_ns:
            self._ages.append(now_ns - self._ends.popleft())

    def result(self, vault: Path) -> dict[str, Any]:
        footage = (vault / FOOTAGE).iterdir() if (vault / FOOTAGE).is_dir() else []
        return {
            "cpu_s": self.cpu_s,
            "wall_s": self.wall_s,
            "ages_ms": [age_ns / 1e6 for age_ns in self._ages],
            "bytes": sum(path.stat().st_size for path in footage),
            "payload": self._payload,
        }


if __name__ == "__main__":
    main()
