"""Power cuts and bit flips in numbers.

    python -m benchmarks.campaign --sampled    a few minutes, in CI
    python -m benchmarks.campaign --full       every point and every bit; hours
    python -m benchmarks.campaign --cuts N --flips N

Prints the counts, writes docs/reliability.md unless sampled; exits 1 on any failure.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from sim import bitflips, powercuts

BITRATES = (300_000, 1_000_000, 4_000_000, 8_000_000)
JOBS, SLICES = 2, 8
BOUND_MS = 1200
SAMPLED_CUTS, SAMPLED_FLIPS = 2400, 20_000
PAGE = Path("docs/reliability.md")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sampled", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--cuts", type=int, help="how many power cuts; 0 for every one")
    parser.add_argument("--flips", type=int, help="how many bit flips; 0 for every bit")
    options = parser.parse_args()
    cuts = 0 if options.full else SAMPLED_CUTS if options.cuts is None else options.cuts
    flips = 0 if options.full else SAMPLED_FLIPS if options.flips is None else options.flips
    began, lines, ok = time.monotonic(), [], True
    with ProcessPoolExecutor(JOBS, mp_context=get_context("spawn")) as pool:
        for text, good in (*_cuts(pool, cuts), *_flips(pool, flips)):
            print(text, flush=True)
            lines.append(text)
            ok = ok and good
    took = f"{time.monotonic() - began:.0f} s"
    print(took)
    if not options.sampled:
        PAGE.write_text(_page(lines, took))
    print(f"{int(ok)} passed, {int(not ok)} failed")
    sys.exit(not ok)


def _cuts(pool: ProcessPoolExecutor, count: int) -> Iterator[tuple[str, bool]]:
    total, verbs = 0, Counter[str]()
    for bitrate in BITRATES:
        share = count // len(BITRATES)
        jobs = [pool.submit(_cut_slice, bitrate, number, share) for number in range(SLICES)]
        outcomes = [job.result() for job in jobs]
        points = sum(outcome.points for outcome in outcomes)
        failures = [failure for outcome in outcomes for failure in outcome.failures]
        worst_ms = max(outcome.worst_loss_ms for outcome in outcomes)
        total += points
        for outcome in outcomes:
            verbs += outcome.by_verb
        good = not failures and worst_ms <= BOUND_MS
        yield (
            f"power cuts at {bitrate / 1e6:g} Mbit/s: {points} distinct (operation, tear) points, "
            f"{len(failures)} failures, worst loss {worst_ms} ms (bound {BOUND_MS} ms)",
            good,
        )
        for failure in failures[:5]:
            yield f"  {failure}", False
    by_verb = ", ".join(f"{verb} {number}" for verb, number in sorted(verbs.items()))
    yield f"power cuts in all: {total} ({by_verb})", True


def _cut_slice(bitrate: int, number: int, count: int) -> powercuts.Outcome:
    sweep = powercuts.Sweep(bitrate)
    points = list(sweep.points())
    chosen = powercuts.sample(points, count) if count else points
    return sweep.run(chosen[number::SLICES])


def _flips(pool: ProcessPoolExecutor, count: int) -> Iterator[tuple[str, bool]]:
    jobs = [pool.submit(_flip_slice, number, count) for number in range(SLICES)]
    outcomes = [job.result() for job in jobs]
    tried = sum(outcome.tried for outcome in outcomes)
    unnoticed = [flip for outcome in outcomes for flip in outcome.unnoticed]
    which = "every bit of a small vault" if not count else "sampled, half of them in the ledger"
    yield f"bit flips: {tried} ({which}), {len(unnoticed)} unnoticed", not unnoticed
    for flip in unnoticed[:5]:
        yield f"  {flip}", False


def _flip_slice(number: int, count: int) -> bitflips.Outcome:
    memory = Path("/dev/shm")  # a file system in memory, where there is one
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name, "vault")
        root = bitflips.small_vault(folder)
        flips: Iterable[bitflips.Flip] = bitflips.every(folder)
        if count:
            flips = bitflips.sampled(folder, count // SLICES, seed=number)
        else:
            flips = islice(flips, number, None, SLICES)
        return bitflips.run(folder, root, flips)


def _page(lines: list[str], took: str) -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    )
    rows = "\n".join(f"- {line}" for line in lines)
    return (
        "# Reliability\n\n"
        f"The last `make campaign`, at commit {done.stdout.strip()}, in {took}. A point is a disk "
        "operation of a short life (two recordings, a still, a marker) and what the cut leaves of "
        "what was not synced: bytes none, part, all or zeros; names with or without. After each "
        "the camera boots, recovers, stops; the vault must verify, everything acknowledged must be "
        "there, every picture must be the camera's, and none missing in the middle.\n\n"
        f"{rows}\n"
    )


if __name__ == "__main__":
    main()
