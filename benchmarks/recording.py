"""The recording path without the encoder, against `ffmpeg -c copy | age`.

The peer does the same work: what it takes to start and to read its clip is left out, as ours gets
its pictures from memory; and its file is synced as often as our disk is.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import material
from benchmarks.goal import Line, at_most, cpu_of, interleaved, plain

FLAT_S, PACED_S, PAIRS = 60, 20, 7
FRAGMENTED = "frag_keyframe+empty_moov+default_base_moof"


class Syncing:
    """Syncs a file that another process writes, once for every so many bytes; counts the CPU that
    this takes the kernel."""

    def __init__(self, path: Path, every_bytes: int) -> None:
        self._path, self._every_bytes = path, every_bytes
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.cpu_s, self.syncs = 0.0, 0

    def __enter__(self) -> Syncing:
        self._path.write_bytes(b"")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        file = os.open(self._path, os.O_WRONLY)
        synced = 0
        while not self._ended.wait(0.001):
            length = os.fstat(file).st_size
            if length - synced >= self._every_bytes:
                synced = length
                self._sync(file)
        self._sync(file)
        os.close(file)

    def _sync(self, file: int) -> None:
        before = time.thread_time()
        os.fdatasync(file)
        self.cpu_s += time.thread_time() - before
        self.syncs += 1


class Measured:
    """Our process and the peers, on one kind of material."""

    def __init__(self, folder: Path, kind: material.Kind = material.FULL_HD) -> None:
        self._folder = folder
        self._units = {s: material.units(s, kind) for s in (FLAT_S, PACED_S)}
        self._clips = {s: material.clip(s, kind) for s in (FLAT_S, PACED_S)}
        recipient = subprocess.run(
            ["age-keygen"], capture_output=True, text=True, check=True
        ).stdout
        self._recipient = next(
            line.split()[-1] for line in recipient.splitlines() if "public key" in line
        )
        self._left_out_s = {s: self._start_and_read_s(s) for s in (FLAT_S, PACED_S)}
        self.newest: dict[str, Any] = {}
        self.ages_ms: list[float] = []
        self.peer_syncs = 0

    def _start_and_read_s(self, seconds: int) -> float:
        read = f"ffmpeg -v error -i {self._clips[seconds]} -c copy -f null - && age --version"
        return statistics.median(cpu_of(shell=read) for _ in range(7))

    def ours(self, mode: str, seconds: int, *, signed: bool = True) -> float:
        vault = self._folder / "vault"
        shutil.rmtree(vault, ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.recording_process", str(self._units[seconds]),
             str(vault), mode, str(seconds), "500", *([] if signed else ["unsigned"])],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        self.newest = json.loads(done.stdout)
        if mode in ("flat", "paced") and self.newest["bytes"] < self.newest["payload"]:
            raise RuntimeError("the recorder did not record everything")
        if mode == "paced":
            self.ages_ms += self.newest["ages_ms"]
        return float(self.newest["cpu_s"])

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
            f"{FRAGMENTED} -frag_duration 500000 pipe:1 | {seal} >>{out}{after}"
        )
        with Syncing(out, self.newest["bytes"] // self.newest["syncs"]) as syncing:
            cpu_s = cpu_of(shell=command)
        self.peer_syncs = syncing.syncs
        return max(0.001, cpu_s + syncing.cpu_s - self._left_out_s[seconds])


def run(pairs: int = PAIRS) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as name:
        measured = Measured(Path(name))
        yield from _flat_out(measured, pairs)
        yield from _signing(Measured(Path(name), material.HD), pairs)
        yield from _in_real_time(measured, pairs)
        yield from _buffering(measured, pairs)


def _flat_out(measured: Measured, pairs: int) -> Iterator[Line]:
    ours, peer, ratio = interleaved(
        lambda: measured.ours("flat", FLAT_S), lambda: measured.peer(FLAT_S), pairs
    )
    yield plain("flat out, CPU s per recorded minute: ours / peer", f"{ours:.3f} / {peer:.3f}")
    yield plain("the same, syncs", f"{measured.newest['syncs']} / {measured.peer_syncs}")
    yield at_most("recording path flat out, × `ffmpeg | age`", ratio, 1.0)
    for digest, goal in (("sha256sum", 0.4), ("openssl dgst -sha256", None)):
        _, _, ratio = interleaved(
            lambda: measured.ours("flat", FLAT_S),
            lambda digest=digest: measured.peer(FLAT_S, digest=digest),  # type: ignore[misc]
            pairs,
        )
        what = f"recording path flat out, × pipe with two `{digest}`"
        yield at_most(what, ratio, goal) if goal else plain(what, f"{ratio:.3g}")


def _signing(measured: Measured, pairs: int) -> Iterator[Line]:
    """At 720p30 and 4 Mbit/s: what the goal speaks of."""
    signed, bare, _ = interleaved(
        lambda: measured.ours("flat", FLAT_S),
        lambda: measured.ours("flat", FLAT_S, signed=False),
        2 * pairs,
    )
    what = "signing the video of a minute at 720p30 and 4 Mbit/s, CPU"
    yield at_most(what, (signed - bare) * 1000, 60, " ms")


def _in_real_time(measured: Measured, pairs: int) -> Iterator[Line]:
    for signed, goal in ((True, 0.55), (False, 0.5)):
        ours, peer, ratio = interleaved(
            lambda signed=signed: measured.ours("paced", PACED_S, signed=signed),  # type: ignore[misc]
            lambda: measured.peer(PACED_S, paced=True),
            pairs - 2,
        )
        words = "video signed" if signed else "video not signed"
        what = f"in real time, {words}, CPU s per {PACED_S} s: ours / peer"
        yield plain(what, f"{ours:.3f} / {peer:.3f}")
        yield at_most(f"recording path in real time, {words}, × `ffmpeg | age`", ratio, goal)
    ages_ms = sorted(measured.ages_ms)
    late_s = ages_ms[len(ages_ms) * 999 // 1000] / 1000
    what = f"picture to durable, 99.9th percentile of {len(ages_ms):,}"
    yield at_most(what, late_s, 1.2, " s")
    yield plain("picture to durable, worst of them", f"{ages_ms[-1] / 1000:.3f} s")


def _buffering(measured: Measured, pairs: int) -> Iterator[Line]:
    """Beside the same loop and feeder with nobody who takes the units."""
    rounds = [
        [measured.ours(mode, PACED_S) for mode in ("empty", "buffer", "paced")]
        for _ in range(pairs // 2)
    ]
    columns = zip(*rounds, strict=True)
    empty, buffering, recording = (statistics.median(column) for column in columns)
    figure = " / ".join(f"{1000 * s / PACED_S:.2f}" for s in (empty, buffering, recording))
    yield plain("CPU ms a second: empty loop / buffering / recording", figure)
    ratio = (buffering - empty) / (recording - empty)
    yield at_most("buffering, × recording, both without the empty loop", ratio, 0.25)
