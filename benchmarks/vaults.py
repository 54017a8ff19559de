"""`bwv verify` against openssl, `bwv export` against age, on a vault of some hundred megabytes."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import material
from benchmarks.goal import Line, at_most, cpu_of, plain
from bwv_device import keys
from sim.world.test_keys import BenchAgency

SECONDS = 600


def run(pairs: int = 7) -> Iterator[Line]:
    bwv = Path(sys.executable).with_name("bwv")
    with tempfile.TemporaryDirectory(dir=material.CACHE) as name:
        folder = Path(name)
        vault, out = folder / "vault", folder / "out"
        subprocess.run(
            [sys.executable, "-m", "benchmarks.recording_process", str(material.units()),
             str(vault), "flat", str(SECONDS)],
            check=True, capture_output=True,
        )  # fmt: skip
        agency = BenchAgency(recipient_type="X25519")
        for file, content in agency.files.items():
            (folder / file).write_bytes(content)
        hybrid = BenchAgency(recipient_type="mlkem768x25519")
        (folder / "hybrid.txt").write_bytes(hybrid.files[keys.IDENTITY])
        (folder / keys.ROOT).write_bytes(hybrid.files[keys.ROOT])
        segments = sorted((vault / "footage").iterdir())
        size = sum(path.stat().st_size for path in segments)
        yield plain("vault for verify and export", f"{size / 1e6:.0f} MB")
        start_s = statistics.median(cpu_of([bwv, "verify", "--help"]) for _ in range(5))
        verify, export = [], []
        go_age = Path(".cache/tools/bin/age")
        for _ in range(pairs):
            ours = cpu_of([bwv, "verify", vault, "--root", folder / keys.ROOT]) - start_s
            verify.append(ours / cpu_of(["openssl", "dgst", "-sha256", *segments]))
            shutil.rmtree(out, ignore_errors=True)
            identity = folder / "hybrid.txt"
            ours = cpu_of([bwv, "export", vault, "--identity", identity, "--out", out]) - start_s
            peer = cpu_of(
                *([go_age, "-d", "-i", identity, "-o", folder / "peer", s] for s in segments)
            )
            export.append(ours / peer)
        yield plain("start of the command itself, left out", f"{start_s:.2f} s")
        yield at_most("`bwv verify`, × `openssl dgst -sha256`", statistics.median(verify), 1.1)
        yield at_most("`bwv export` (verifies too), × `age -d`", statistics.median(export), 0.7)
