"""Runs the covering tests on each mutant, in copies of the project, one a processor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.mutants.covering import ROOT, SUITES, Covering

EXPLAINED = ROOT / "tests" / "mutants" / "equivalent.toml"
COSMIC_RAY = ROOT / ".cache" / "cosmic-ray" / "bin" / "python"
# A test that takes so much longer than it did hangs.
PATIENCE_FACTOR, PATIENCE_S, SUITES_S = 6, 90, 900
KILLED, HANGS, EXPLAINED_WORD, SURVIVED = "killed", "hangs", "equivalent", "survived"
# pytest's exit codes: a test failed, or could not even be collected.
FAILED = (1, 2, 3, 4)


class Mutant(NamedTuple):
    """One change: a line of a module `before` and `after` it, and the module's whole source."""

    module: str
    line: int
    before: str
    after: str
    operator: str
    source: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}  {self.before}  ->  {self.after}"


class Verdict(NamedTuple):
    """`by`: the test that failed; or why it changes nothing."""

    mutant: Mutant
    word: str
    by: str = ""


def drawn(modules: Sequence[str], seed: int, count: int) -> list[Mutant]:
    """By cosmic-ray, in its own environment."""
    script = Path(__file__).with_name("drawing.py")
    command = [str(COSMIC_RAY), str(script), "--seed", str(seed), "--count", str(count), *modules]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [Mutant(**json.loads(line)) for line in done.stdout.splitlines()]


def explained() -> dict[tuple[str, str, str], str]:
    """Mutants that change nothing, by module and line before and after: why."""
    said = tomllib.loads(EXPLAINED.read_text())["mutant"]
    return {(m["module"], m["before"], m["after"]): m["why"] for m in said}


def judge(
    mutants: Sequence[Mutant],
    covering: Covering,
    jobs: int,
    *,
    everything: bool = False,
) -> Iterator[Verdict]:
    """As they come. `everything`: what survives the covering tests faces all suites."""
    why = explained()
    with TemporaryDirectory() as name, ThreadPoolExecutor(jobs) as pool:
        copies: Queue[Path] = Queue()
        for number in range(jobs):
            copies.put(_copy(Path(name) / str(number)))
        there = _collected(copies.queue[0])

        def one(mutant: Mutant) -> Verdict:
            folder = copies.get()
            try:
                tests = [
                    test for test in covering.of(mutant.module, mutant.line) if test[0] in there
                ]
                if not tests:
                    raise RuntimeError(f"no test is known for {mutant}: run 'cover'")
                return _one(mutant, tests, folder, why, everything=everything)
            finally:
                copies.put(folder)

        yield from pool.map(one, mutants)


def _copy(folder: Path) -> Path:
    """The project without what was built, fetched or drawn."""
    left_out = shutil.ignore_patterns(".git", ".venv", ".cache", "screens", ".mypy_cache",
                                      ".ruff_cache", ".pytest_cache", ".hypothesis")  # fmt: skip
    shutil.copytree(ROOT, folder, ignore=left_out, symlinks=True)
    for module in (*ROOT.glob("bwv_device/**/*.py"),):
        # No compiled file may stand for another text of the same second and length.
        shutil.rmtree(folder / module.relative_to(ROOT).parent / "__pycache__", ignore_errors=True)
    return folder


def _collected(folder: Path) -> set[str]:
    """Names of all tests that there are, without parameters, and of their files."""
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "--no-header", *SUITES]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    names = {line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line}
    return names | {name.partition("::")[0] for name in names}


def _one(
    mutant: Mutant,
    tests: Sequence[tuple[str, float]],
    folder: Path,
    why: Mapping[tuple[str, str, str], str],
    *,
    everything: bool,
) -> Verdict:
    if reason := why.get((mutant.module, mutant.before, mutant.after)):
        return Verdict(mutant, EXPLAINED_WORD, reason)
    place = folder / mutant.module
    whole = place.read_text()
    place.write_text(mutant.source)
    try:
        names = [name for name, _ in tests]
        verdict = _run(mutant, folder, names, sum(seconds for _, seconds in tests))
        if verdict.word == SURVIVED:
            files = dict.fromkeys(name.partition("::")[0] for name in names)
            verdict = _run(mutant, folder, [*files], SUITES_S / 4)
        if verdict.word == SURVIVED and everything:
            verdict = _run(mutant, folder, SUITES, SUITES_S)
        return verdict
    finally:
        place.write_text(whole)


def _run(mutant: Mutant, folder: Path, tests: Sequence[str], seconds: float) -> Verdict:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "--tb=no"]
    command += ["-p", "no:cacheprovider", "-k", "not golden and not digest and not vector", *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.setdefault("BWV_TOOLS", str(ROOT / ".cache" / "tools"))
    environment["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder / ".hypothesis")
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            said, _ = process.communicate(timeout=PATIENCE_S + PATIENCE_FACTOR * seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            return Verdict(mutant, HANGS)
    if process.returncode in FAILED:
        return Verdict(mutant, KILLED, _first_failure(said))
    if process.returncode != 0:
        raise RuntimeError(f"pytest ended with {process.returncode}: {said[-500:]}")
    return Verdict(mutant, SURVIVED)


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.communicate()


def _first_failure(said: str) -> str:
    lines = [line for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return lines[0].split(" ")[1] if lines else "it can't be imported"


def summary(verdicts: Sequence[Verdict], about: Mapping[str, Any]) -> str:
    """As text for docs/mutants.md: figures, then what survived, then what was explained."""
    words = (KILLED, HANGS, EXPLAINED_WORD, SURVIVED)
    rows = ["| module | mutants | " + " | ".join(words) + " |", "|---|---|" + "---|" * len(words)]
    for module in sorted({v.mutant.module for v in verdicts}):
        of_it = [v.word for v in verdicts if v.mutant.module == module]
        counts = " | ".join(str(of_it.count(word)) for word in words)
        rows.append(f"| `{module}` | {len(of_it)} | {counts} |")
    every = [v.word for v in verdicts]
    counts = " | ".join(str(every.count(word)) for word in words)
    rows.append(f"| all | {len(every)} | {counts} |")
    said = ", ".join(f"{name} {value}" for name, value in about.items())
    parts = [f"Last run: {said}.", "\n".join(rows)]
    for word, title in ((SURVIVED, "Survived"), (EXPLAINED_WORD, "Equivalent")):
        found = [v for v in verdicts if v.word == word]
        if found:
            lines = [f"- `{v.mutant}`" + (f": {v.by}" if v.by else "") for v in found]
            parts += [f"## {title}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"
