"""picamera2's own CircularOutput2 beside our pre-event buffer: cost of a picture, and what is on
the disk when the power goes, and after a stop.

Both get the same pictures with the same times: 30 a second, 4 Mbit/s, half a minute of buffer; a
press after 60 s, a stop 30 s later. The peer's half runs in the virtual rig's root, where picamera2
is real.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

TREE = Path(__file__).parents[1]
sys.path.append(str(TREE))

from hal.ports import SECOND_NS, AccessUnit, Track  # noqa: E402
from hal.simulated.capture import StubVideo  # noqa: E402

FPS, BUFFER_S, PRESS_S, STOP_S, END_S = 30, 30, 60, 90, 91
ROUNDS = 7


def pictures() -> list[AccessUnit]:
    video = StubVideo(FPS, 4_000_000)
    step_ns = SECOND_NS // FPS
    return [
        AccessUnit(Track.VIDEO, number * step_ns, step_ns, number % FPS == 0, data)
        for second in range(END_S)
        for number, data in enumerate(video.gop(second), second * FPS)
    ]


def in_root() -> None:
    """The peer's half; prints JSON."""
    from picamera2.outputs import CircularOutput2, Output

    from bwv_device.camera.recording.pre_event_buffer import PreEventBuffer

    class Written(Output):  # type: ignore[misc]
        """Remembers which pictures came out, by their place in the stream."""

        def __init__(self) -> None:
            super().__init__()
            self.numbers: list[int] = []

        def outputframe(self, frame, keyframe=True, timestamp=None, packet=None, audio=False):  # type: ignore[no-untyped-def]
            self.numbers.append(packet)

    units = pictures()
    peer_us, ours_us = [], []
    for _ in range(ROUNDS):
        output = CircularOutput2(buffer_duration_ms=BUFFER_S * 1000)
        output.start()
        began = time.process_time()
        for unit in units:
            output.outputframe(unit.data, unit.keyframe, unit.pts_ns // 1000, None)
        peer_us.append((time.process_time() - began) / len(units) * 1e6)
        buffer = PreEventBuffer(BUFFER_S * SECOND_NS, 64 << 20, audio=False)
        began = time.process_time()
        for at in range(0, len(units), FPS // 4):
            buffer.extend(units[at : at + FPS // 4])
        ours_us.append((time.process_time() - began) / len(units) * 1e6)
    output, written, behind = CircularOutput2(buffer_duration_ms=BUFFER_S * 1000), Written(), []
    output.start()
    for number, unit in enumerate(units):
        at_s = unit.pts_ns / SECOND_NS
        if number == PRESS_S * FPS:
            output.open_output(written)
        if number == STOP_S * FPS:
            output.close_output()
        output.outputframe(unit.data, unit.keyframe, unit.pts_ns // 1000, number)
        if PRESS_S + 2 < at_s < STOP_S:
            newest = written.numbers[-1] if written.numbers else PRESS_S * FPS - BUFFER_S * FPS
            behind.append(at_s - newest / FPS)
    last = written.numbers[-1] / FPS
    print(json.dumps({
        "peer_us": statistics.median(peer_us), "ours_us": statistics.median(ours_us),
        "ratio": statistics.median(a / b for a, b in zip(ours_us, peer_us, strict=True)),
        "peer_behind_s": max(behind), "peer_tail_lost_s": STOP_S - last,
        "peer_before_press_s": PRESS_S - written.numbers[0] / FPS,
    }))  # fmt: skip


def run() -> Iterator[object]:
    """Lines for docs/benchmarks.md. Ours behind: from the sync lines of a simulated recording."""
    from benchmarks.goal import at_most, plain

    rig = TREE / "tests" / "rig" / "virtual"
    root = TREE / ".cache" / "rig-root"
    subprocess.run([rig / "make-root", root], check=True, capture_output=True)
    done = subprocess.run(
        [rig / "in-root", root, "/rig/camera-python", "/src/benchmarks/circular_output.py"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    peer = json.loads(done.stdout.splitlines()[-1])
    behind_s, lost_s = _ours()
    yield at_most("a picture into the buffer, × CircularOutput2", peer["ratio"], 1.0)
    yield plain("the same", f"{peer['ours_us']:.2f} to {peer['peer_us']:.2f} µs")
    yield at_most("recording: newest picture on the disk is behind by", behind_s, 1.2, " s")
    yield plain("the same, CircularOutput2", f"{peer['peer_behind_s']:.1f} s")
    yield at_most("lost at a stop", lost_s, 0.034, " s")
    yield plain("the same, CircularOutput2", f"{peer['peer_tail_lost_s']:.1f} s")


def _ours() -> tuple[float, float]:
    """How far behind what is durable ever was, and how much before the stop the film ends."""
    sys.path.append(str(TREE / "tests"))
    from support.camera_bench import make_camera

    from sim.world.test_keys import BenchAgency

    it = make_camera(BenchAgency())
    it.run(seconds=PRESS_S)
    it.press_record_twice()
    it.run(seconds=STOP_S - PRESS_S)
    it.hold_record()
    it.run(seconds=2)
    opened, stopped = it.ledger("open")[0], it.ledger("state")[-2]
    # A segment's end is durable with its `seal`, which is no `sync`.
    durable = [(line["t"], line["video_until_ns"]) for line in it.ledger("sync")]
    durable += [(line["t"], line["end_pts_ns"]) for line in it.ledger("seal")]
    steps = sorted(step for step in durable if step[0] > opened["t"] + 2 * SECOND_NS)
    behind = [at - until for (_, until), (at, _) in pairwise(steps)]
    end_ns = it.ledger("seal")[-1]["end_pts_ns"]
    return max(behind) / SECOND_NS, max(0, stopped["t"] - end_ns) / SECOND_NS


if __name__ == "__main__":
    in_root()
