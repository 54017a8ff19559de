"""What the recording process loads before it is ready: CPU and memory over bare Python."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.goal import Line, at_most

MEASURE = """
import json, resource
{body}
usage = resource.getrusage(resource.RUSAGE_SELF)
pages = int(open("/proc/self/statm").read().split()[1])
print(json.dumps([usage.ru_utime + usage.ru_stime, pages * resource.getpagesize() / 2**20]))
"""

RECORDER = """
import bwv_device.commands.run
from bwv_device import config
from pathlib import Path
config.load(Path("config.toml"))
import bwv_device.camera.agent, hal.host, hal.keystore
"""


def run() -> Iterator[Line]:
    bare = [_measure("") for _ in range(7)]
    ours = [_measure(RECORDER) for _ in range(7)]
    cpu_ms = 1000 * (_median(ours, 0) - _median(bare, 0))
    memory = _median(ours, 1) - _median(bare, 1)
    yield at_most("recorder's imports and configuration, CPU over Python", cpu_ms, 260, " ms")
    yield at_most("the same, memory over Python", memory, 55, " MiB")


def _measure(body: str) -> list[float]:
    code = MEASURE.format(body=body)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    measured: list[float] = json.loads(done.stdout)
    return measured


def _median(rows: list[list[float]], column: int) -> float:
    return statistics.median(row[column] for row in rows)
