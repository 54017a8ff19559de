"""The recording path without the encoder, against `ffmpeg -c copy | age`."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import material
from benchmarks.goal import Line, at_most, cpu_of, interleaved, plain

FLAT_S, PACED_S, PAIRS = 60, 20, 7
FRAGMENTED = "frag_keyframe+empty_moov+default_base_moof"


class Measured:
    """Our process and the peers, on one clip."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._units = {s: material.units(s) for s in (FLAT_S, PACED_S)}
        self._clips = {s: material.clip(s) for s in (FLAT_S, PACED_S)}
        recipient = subprocess.run(
            ["age-keygen"], capture_output=True, text=True, check=True
        ).stdout
        self._recipient = next(
            line.split()[-1] for line in recipient.splitlines() if "public key" in line
        )
        # A process's own start is not the recording path: ours is left out by measuring from
        # within, the peers' by subtracting what they take to do nothing.
        starts = [cpu_of(["ffmpeg", "-version"], ["age", "--version"]) for _ in range(7)]
        self.peer_start_s = statistics.median(starts)
        self.runs: list[dict[str, float]] = []

    def ours(self, mode: str, seconds: int, *, signed: bool = True) -> float:
        vault = self._folder / "vault"
        shutil.rmtree(vault, ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.recording_process", str(self._units[seconds]),
             str(vault), mode, str(seconds), "500", *([] if signed else ["unsigned"])],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        result = json.loads(done.stdout)
        if mode != "buffer" and result["bytes"] < result["payload"]:
            raise RuntimeError(f"the recorder did not record everything: {result}")
        self.runs.append(result)
        return float(result["cpu_s"])

    def peer(self, seconds: int, *, paced: bool = False, digest: str = "") -> float:
        """`digest` is a command that reads both ends of the sealing, as ours keeps both digests."""
        pace = "-re" if paced else ""
        out = self._folder / "peer.age"
        seal = f"age -r {self._recipient}"
        before = after = ""
        if digest:  # through named pipes, so that the digests' CPU is waited for and counted
            one, two = self._folder / "one", self._folder / "two"
            before = f"rm -f {one} {two}; mkfifo {one} {two}; "
            before += "".join(f"{digest} <{pipe} & " for pipe in (one, two))
            seal, after = f"tee {one} | {seal} | tee {two}", "; wait"
        command = (
            f"{before} ffmpeg -v error {pace} -i {self._clips[seconds]} -c copy -f mp4 -movflags "
            f"{FRAGMENTED} -frag_duration 500000 pipe:1 | {seal} >{out}{after}"
        )
        return max(0.001, cpu_of(shell=command) - self.peer_start_s)


def run(pairs: int = PAIRS) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as name:
        measured = Measured(Path(name))
        ours, peer, ratio = interleaved(
            lambda: measured.ours("flat", FLAT_S), lambda: measured.peer(FLAT_S), pairs
        )
        yield plain("flat out, CPU s per recorded minute: ours / peer", f"{ours:.3f} / {peer:.3f}")
        bare = statistics.median(measured.ours("flat", FLAT_S, signed=False) for _ in range(pairs))
        yield at_most(
            "signing the video of a recorded minute, CPU", max(0.0, ours - bare) * 1000, 60, " ms"
        )
        yield at_most("recording path flat out, × `ffmpeg | age`", ratio, 1.0)
        ours, _, ratio = interleaved(
            lambda: measured.ours("flat", FLAT_S),
            lambda: measured.peer(FLAT_S, digest="sha256sum"),
            pairs,
        )
        yield at_most("recording path flat out, × pipe with two sha256sum", ratio, 0.45)
        openssl = statistics.median(
            measured.peer(FLAT_S, digest="openssl dgst -sha256") for _ in range(3)
        )
        yield plain("the same, × pipe with two openssl digests", f"{ours / openssl:.3g}")
        measured.runs.clear()
        ours, peer, ratio = interleaved(
            lambda: measured.ours("paced", PACED_S),
            lambda: measured.peer(PACED_S, paced=True),
            pairs,
        )
        yield plain(f"in real time, CPU s per {PACED_S} s: ours / peer", f"{ours:.3f} / {peer:.3f}")
        yield at_most("recording path in real time, video signed, × `ffmpeg | age`", ratio, 0.55)
        signed_runs = list(measured.runs)
        _, _, ratio = interleaved(
            lambda: measured.ours("paced", PACED_S, signed=False),
            lambda: measured.peer(PACED_S, paced=True),
            pairs,
        )
        yield at_most("the same, video not signed, × `ffmpeg | age`", ratio, 0.5)
        measured.runs = signed_runs
        worst = max(run["worst_ms"] for run in measured.runs) / 1000
        middle = statistics.median(run["p999_ms"] for run in measured.runs) / 1000
        yield at_most("unit to durable in the same runs, 99.9th percentile", middle, 1.2, " s")
        yield plain("unit to durable in the same runs, worst of all", f"{worst:.3f} s")
        buffering = statistics.median(measured.ours("buffer", PACED_S) for _ in range(3))
        yield at_most("buffering only, × recording", buffering / ours, 0.25)
