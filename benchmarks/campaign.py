"""Everything that earns trust by number: power cuts, a real ext4, system calls, drawn shifts,
planted bugs, bit flips, fuzzing, a soak.

    python -m benchmarks.campaign --sampled        a few minutes, in CI
    python -m benchmarks.campaign --scale 1        hours; goes on where it was interrupted
    python -m benchmarks.campaign --scale 0.2      a part of the full counts
    python -m benchmarks.campaign --only shifts    one stage

Work is cut into slices. What a slice came to is kept in .cache/campaign under the commit, so that
an interrupted campaign goes on. Prints the counts, writes docs/reliability.md unless sampled; exits
1 on any failure.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

from benchmarks import stages
from benchmarks.stages import Slice, Stage, Took

JOBS = 2
PAGE = Path("docs/reliability.md")
KEPT = Path(".cache/campaign")


class Journal:
    """Outcomes of slices, one a line, for one commit and one size."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, Took] = {}
        if path and path.exists():
            for line in path.read_text().splitlines():
                row = json.loads(line)
                self._known[row.pop("slice")] = Took(**row)

    def known(self, part: Slice) -> Took | None:
        return self._known.get(part.name)

    def keep(self, part: Slice, took: Took) -> None:
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(json.dumps({"slice": part.name, **asdict(took)}) + "\n")
                file.flush()
                os.fsync(file.fileno())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sampled", action="store_true")
    parser.add_argument("--scale", type=float, help="this part of the full counts")
    parser.add_argument("--only", action="append", choices=[s.name for s in stages.sampled()])
    options = parser.parse_args()
    scale = None if options.sampled else options.scale or 1.0
    chosen = stages.sampled() if scale is None else stages.full(scale)
    if options.only:
        chosen = [stage for stage in chosen if stage.name in options.only]
    journal = Journal(None if scale is None else KEPT / f"{_commit()}-{scale:g}.jsonl")
    began, lines, ok = time.monotonic(), list[str](), True
    aside = ThreadPoolExecutor(1)
    beside = {s.name: aside.submit(_run, s, journal) for s in chosen if s.aside}
    for stage in chosen:
        took = beside[stage.name].result() if stage.aside else _run(stage, journal)
        for text in [took.line(), *(f"  {failure}" for failure in took.failures[:5])]:
            print(text, flush=True)
            lines.append(text)
        ok = ok and not took.failures
    seconds = time.monotonic() - began
    print(f"{seconds:.0f} s")
    if scale is not None and not options.only:
        PAGE.write_text(_page(lines, scale))
    print(f"{int(ok)} passed, {int(not ok)} failed")
    sys.exit(not ok)


def _run(stage: Stage, journal: Journal) -> Took:
    """Every slice that is not known yet; those that need the machine for themselves one by one."""
    total = Took(stage.name)
    waiting = []
    for part in stage.slices:
        known = journal.known(part)
        if known:
            total.add(known)
        else:
            waiting.append(part)
    with ProcessPoolExecutor(stage.jobs or JOBS, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(_work, stage.name, part): part for part in waiting}
        for done in as_completed(running):
            took = done.result()
            journal.keep(running[done], took)
            total.add(took)
    return total


def _work(stage: str, part: Slice) -> Took:
    """A slice that breaks off is a failure of its own, and stops no other."""
    try:
        return part.work(*part.arguments)
    except Exception as error:  # noqa: BLE001  whatever it was, it is told
        traceback.print_exc()
        return Took(stage, failures=[f"{part.name} broke off: {type(error).__name__}: {error}"])


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _page(lines: list[str], scale: float) -> str:
    rows = "\n".join(f"- {line}" if not line.startswith(" ") else f"  {line}" for line in lines)
    size = f"This is a small part ({scale:g}) of `make campaign`, which takes hours."
    if scale == 1:
        size = "The counts are the full ones."
    return (
        "# Reliability\n\n"
        f"The last campaign, at commit {_commit()}, on two cores. {size} "
        "`make ci` runs a sample of the same on each change.\n\n"
        f"{rows}\n\n{stages.EXPLAINED}"
    )


if __name__ == "__main__":
    main()
