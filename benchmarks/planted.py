"""Negative controls: bugs planted in a copy of the source, one patch each, and the swarm on top.

    python -m benchmarks.planted                   every patch, until its first seed fails
    python -m benchmarks.planted --seeds 40        every patch, in how many of so many seeds

A patch that no seed catches, or that does not apply any more, fails.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PATCHES = ROOT / "tests" / "planted"
PACKAGES = ("bwv_device", "hal", "sim")
# Half-hour shifts, or three times three months of custody.
TRIED, TRIED_MONTHS, JOBS = 30, 3, 2


class Control(NamedTuple):
    """What the swarm made of one planted bug."""

    name: str
    title: str
    seeds: int
    caught: int
    promises: list[str]
    by: list[int]

    def __str__(self) -> str:
        by = ", ".join(self.promises) or "nothing"
        by += f"; first by seed {self.by[0]}" if self.by else ""
        return f"{self.name}: {self.title}; caught in {self.caught} of {self.seeds} seeds ({by})"


def controls(
    names: list[str], seeds: int, hours: float, *, until_failure: bool
) -> Iterator[Control]:
    """Runs the swarm over each planted bug."""
    patches = [p for p in sorted(PATCHES.glob("*.patch")) if not names or p.stem in names]
    for patch in patches:
        tried = min(seeds, hinted(patch, hours).tried) if until_failure else seeds
        yield plant(patch, tried, hours, until_failure=until_failure)


class Hint(NamedTuple):
    """A patch's second line: "seed: 7", a shift that catches it, or "months: 2 in-a-drawer", months
    of custody with these troubles."""

    command: tuple[str, ...]
    tried: int
    seed: int | None


def hinted(patch: Path, hours: float = 0.5) -> Hint:
    world, _, words = patch.read_text().splitlines()[1].partition(": ")
    seed, _, troubles = words.partition(" ")
    number = int(seed) if seed.isdecimal() else None
    if world == "months":
        return Hint(("months", "--troubles", troubles or "swarm"), TRIED_MONTHS, number)
    return Hint(("campaign", "--hours", f"{hours:g}"), TRIED, number)


def plant_hinted(patch: Path, hours: float = 0.5) -> Control:
    """The seed that caught it last; else any."""
    hint = hinted(patch, hours)
    if hint.seed is not None:
        control = plant(patch, 1, hours, until_failure=True, first=hint.seed)
        if control.caught:
            return control
    return plant(patch, hint.tried, hours, until_failure=True)


def plant_until(patch: Path, seeds: int, hours: float = 0.5) -> Control:
    """In how many of so many seeds; where none of them catches it, in which further one."""
    tried = hinted(patch, hours).tried
    control = plant(patch, min(seeds, tried), hours, until_failure=False)
    return control if control.caught else plant(patch, 4 * tried, hours, until_failure=True)


def plant(patch: Path, seeds: int, hours: float, *, until_failure: bool, first: int = 0) -> Control:
    title = patch.read_text().partition("\n")[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, folder / package)
        subprocess.run(["git", "apply", str(patch)], cwd=folder, check=True)
        summary = folder / "summary.json"
        command = [sys.executable, "-m", "sim", *hinted(patch, hours).command, "--seeds"]
        command += [f"{first}:{first + seeds}", "--jobs", str(1 if seeds == 1 else JOBS)]
        command += ["--json", str(summary)]
        command += ["--until-failure"] if until_failure else []
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True)
        return _control(patch.stem, title, json.loads(summary.read_text()))


def _control(name: str, title: str, summary: dict[str, object]) -> Control:
    failed = summary["failed"]
    assert isinstance(failed, list)
    assert isinstance(summary["seeds"], int)
    promises = Counter(
        finding.strip().partition("  ")[2].partition(":")[0]
        for seed in failed
        for finding in seed["findings"]
    )
    common = [promise for promise, _ in promises.most_common(3)]
    seeds = [seed["seed"] for seed in failed]
    return Control(name, title, summary["seeds"], len(failed), common, seeds)


def _write_hint(patch: Path, control: Control) -> None:
    """Above the patch: its title, the world and seed that caught it, the promises it broke."""
    head, _, body = patch.read_text().partition("diff --git")
    title, hint = head.splitlines()[:2]
    world, _, words = hint.partition(": ")
    troubles = words.partition(" ")[2]
    hint = f"{world}: {control.by[0]} {troubles}".rstrip()
    broke = f"breaks: {', '.join(control.promises)}"
    patch.write_text(f"{title}\n{hint}\n{broke}\ndiff --git{body}")


def table() -> str:
    """Promise, planted bugs, and how many seeds it took, as the hints say it."""
    rows: dict[str, list[str]] = {}
    for patch in sorted(PATCHES.glob("*.patch")):
        title, hint, *more = patch.read_text().partition("diff --git")[0].splitlines()
        world, _, words = hint.partition(": ")
        seed, _, troubles = words.partition(" ")
        unit = "times three months" if world == "months" else "shifts"
        took = f"{int(seed) + 1} {unit}" + (f" with {troubles}" if troubles else "")
        broken = more[0].removeprefix("breaks: ").split(", ") if more else ["not named yet"]
        for promise in broken[:1]:
            rows.setdefault(promise, []).append(f"{title} (`{patch.stem}`, {took})")
    lines = ["| promise | planted bugs, and what it took to catch them |", "|---|---|"]
    lines += [f"| `{name}` | {'<br>'.join(found)} |" for name, found in sorted(rows.items())]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, help="so many for each, all of them")
    parser.add_argument("--hours", type=float, default=0.5)
    parser.add_argument("--hint", action="store_true", help="writes the seed into the patch")
    parser.add_argument("--table", action="store_true", help="prints what the hints say")
    options = parser.parse_args()
    if options.table:
        print(table())
        return
    missed = 0
    for control in controls(
        options.names,
        options.seeds or TRIED,
        options.hours,
        until_failure=options.seeds is None,
    ):
        print(control, flush=True)
        if options.hint and control.by:
            _write_hint(PATCHES / f"{control.name}.patch", control)
        missed += not control.caught
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
