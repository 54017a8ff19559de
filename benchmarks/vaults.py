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
# The command, in an interpreter that says at its end how much memory it had at most.
PEAK = """
import atexit, pathlib, re, sys
status = pathlib.Path("/proc/self/status")
peak = lambda: re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]
atexit.register(lambda: print("peak", peak()))
from bwv_device.__main__ import main
main()
"""


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
        verify, film, native = [], [], []
        go_age = Path(".cache/tools/bin/age")
        for _ in range(pairs):
            ours = cpu_of([bwv, "verify", vault, "--root", folder / keys.ROOT]) - start_s
            verify.append(ours / cpu_of(["openssl", "dgst", "-sha256", *segments]))
            identity = folder / "hybrid.txt"
            peer = cpu_of(
                *([go_age, "-d", "-i", identity, "-o", folder / "peer", s] for s in segments)
            )
            export = [bwv, "export", vault, "--identity", identity, "--out", out]
            for ratios, words in ((film, []), (native, ["--segments"])):
                shutil.rmtree(out, ignore_errors=True)
                ratios.append((cpu_of([*export, *words]) - start_s) / peer)
        shutil.rmtree(out)
        said = subprocess.run(
            [sys.executable, "-c", PEAK, *export[1:]], check=True, capture_output=True, text=True
        )
        peak_mb = int(said.stdout.rpartition("peak ")[2]) * 1024 / 1e6
        yield plain("start of the command itself, left out", f"{start_s:.2f} s")
        yield at_most("`bwv verify`, × `openssl dgst -sha256`", statistics.median(verify), 1.1)
        for form, ratios, limit in (("", film, 2.5), (" --segments", native, 1.9)):
            label = f"`bwv export{form}` (verifies too), × `age -d`"
            yield at_most(label, statistics.median(ratios), limit)
        yield at_most("`bwv export`, peak memory", peak_mb, 60, " MB")
