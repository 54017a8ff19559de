"""Coverage-guided fuzzing of every parser with atheris.

    python -m benchmarks.fuzz --seconds 60                 all of them, together so long
    python -m benchmarks.fuzz vault --seconds 1800 --keep  one; new inputs that reach more are kept

An input fails a parser that ends in an undocumented error, needs more than a second, or more than
256 MiB. What was found lies in .cache/fuzz.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FUZZ = ROOT / "tests" / "fuzz"
FOUND = ROOT / ".cache" / "fuzz"
TARGET_NAMES = sorted(folder.name for folder in (FUZZ / "corpus").iterdir())
LIMITS = ("-timeout=1", "-rss_limit_mb=256", "-print_final_stats=1")
JOBS = 2


class Fuzzed(NamedTuple):
    name: str
    runs: int
    peak_mib: int
    failure: str


def fuzz(name: str, seconds: int, *, keep: bool) -> Fuzzed:
    """One parser for so long, in a process of its own."""
    new = FOUND / name
    new.mkdir(parents=True, exist_ok=True)
    corpus = FUZZ / "corpus" / name
    folders = [str(corpus)] if keep else [str(new), str(corpus)]
    command = [sys.executable, "-m", "benchmarks.fuzz_target", name, *folders]
    command += [f"-max_total_time={seconds}", f"-artifact_prefix={FOUND}/{name}-", *LIMITS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    runs = re.search(r"stat::number_of_executed_units: (\d+)", done.stderr)
    peak = re.search(r"stat::peak_rss_mb: +(\d+)", done.stderr)
    failure = "" if done.returncode == 0 else _why(done.stdout + done.stderr)
    return Fuzzed(name, int(runs[1]) if runs else 0, int(peak[1]) if peak else 0, failure)


def _why(output: str) -> str:
    telling = [
        line
        for line in output.splitlines()
        if re.search(r"Error|Exception|ERROR|Test unit written", line)
    ]
    return " | ".join(telling[:4]) or output[-300:]


def run(names: list[str], seconds: int, *, keep: bool = False) -> list[Fuzzed]:
    """All of them on two cores, together for about `seconds` of each core."""
    share = max(5, seconds * JOBS // len(names)) if len(names) > 1 else seconds
    with ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(lambda name: fuzz(name, share, keep=keep), names))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", choices=[*TARGET_NAMES, []])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--each", type=int, help="so long for each of them")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    names = options.names or TARGET_NAMES
    seconds = options.each * len(names) // JOBS if options.each else options.seconds
    results = run(names, seconds, keep=options.keep)
    for result in results:
        verdict = result.failure or "nothing found"
        print(f"fuzzed {result.name}: {result.runs} inputs, {result.peak_mib} MiB, {verdict}")
    sys.exit(any(result.failure or not result.runs for result in results))


if __name__ == "__main__":
    main()
