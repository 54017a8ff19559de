"""Many seeds on some processes; what came of them as JUnit XML and JSON."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from junitparser import Failure, JUnitXml, TestCase, TestSuite

from bwv_device import __version__
from hal.child_process import serve_parent
from sim.shifts.drawn_shift import Shift, play

T = TypeVar("T")
R = TypeVar("R")
# Seeds handed out at a time for each process: enough to keep it busy.
AHEAD = 2


class Result(NamedTuple):
    """What came of one seed, small enough to travel between processes."""

    shift: Shift
    findings: list[str]
    digest: str
    strikes: dict[str, int]
    counts: dict[str, int]


def run(shifts: Iterable[Shift], jobs: int) -> Iterator[Result]:
    """Plays shifts on `jobs` processes; results come as they are ready."""
    return on_processes(play_one, shifts, jobs)


def on_processes(work: Callable[[T], R], items: Iterable[T], jobs: int) -> Iterator[R]:
    """Results come as they are ready; items are taken as they are needed."""
    waiting = iter(items)
    with ProcessPoolExecutor(jobs, get_context("spawn"), serve_parent) as pool:
        running: set[Future[R]] = {
            pool.submit(work, item) for item in islice(waiting, jobs * AHEAD)
        }
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for item in islice(waiting, len(done)):
                    running.add(pool.submit(work, item))
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def play_one(shift: Shift) -> Result:
    played = play(shift)
    findings = [str(finding) for finding in played.findings]
    return Result(shift, findings, played.digest, played.strikes, played.counts)


def commit() -> str:
    """The commit of the source that runs, or the version where it is installed."""
    here = Path(__file__).parent
    asked = subprocess.run(  # noqa: S603
        ["git", "-C", str(here), "describe", "--always", "--dirty"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or f"version {__version__}"


def summary(results: list[Result]) -> dict[str, Any]:
    """Totals, and each seed that failed."""
    strikes, counts = Counter[str](), Counter[str]()
    for result in results:
        strikes.update(result.strikes)
        counts.update(result.counts)
    return {
        "commit": commit(),
        "seeds": len(results),
        "virtual_hours": sum(result.shift.duration_s for result in results) / 3600,
        "failed": [
            {"seed": result.shift.seed, "findings": result.findings}
            for result in results
            if result.findings
        ],
        "strikes": dict(sorted(strikes.items())),
        "totals": dict(sorted(counts.items())),
    }


def write_summary(results: list[Result], path: Path) -> None:
    path.write_text(json.dumps(summary(results), indent=2) + "\n")


def write_junit(results: list[Result], commands: dict[int, str], path: Path) -> None:
    """A test case for each seed; a failure carries the command that repeats it."""
    suite = TestSuite("bwv-sim campaign")
    for result in results:
        case = TestCase(f"seed {result.shift.seed}", "bwv-sim")
        if result.findings:
            failure = Failure(result.findings[0])
            failure.text = "\n".join([*result.findings, commands[result.shift.seed]])
            case.result = [failure]
        suite.add_testcase(case)
    xml = JUnitXml()
    xml.add_testsuite(suite)
    xml.write(str(path), pretty=True)
