"""Negative controls of tests: bugs planted in a copy of the source that a named test must find.

    python -m benchmarks.planted_by_test [NAME ...]

The second line of a patch names the test. A patch that it does not find, or that does not apply any
more, fails; so does a test that fails without it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.planted import PACKAGES, ROOT

PATCHES = ROOT / "tests" / "planted_by_test"
BESIDE = ("tests", "pyproject.toml")


class Found(NamedTuple):
    """What the test said without the bug, and with it."""

    name: str
    title: str
    test: str
    clean: bool
    caught: bool

    @property
    def problem(self) -> str:
        if not self.clean:
            return f"{self.name}: {self.test} fails without the bug"
        return "" if self.caught else f"{self.name}: {self.test} does not find it"


def plant(patch: Path) -> Found:
    title, second = patch.read_text().split("\n")[:2]
    test = second.removeprefix("caught by: ")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in (*PACKAGES, *BESIDE):
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copyfile
            copy(ROOT / part, folder / part)
        clean = _passes(folder, test)
        subprocess.run(["git", "apply", str(patch)], cwd=folder, check=True)
        return Found(patch.stem, title, test, clean, caught=not _passes(folder, test))


def _passes(folder: Path, test: str) -> bool:
    """Raises `RuntimeError` where the test did not run at all."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{test}: {done.stdout.decode()[-500:]}")
    return done.returncode == 0


def main() -> None:
    missed = 0
    for patch in sorted(PATCHES.glob("*.patch")):
        if sys.argv[1:] and patch.stem not in sys.argv[1:]:
            continue
        found = plant(patch)
        print(
            f"{found.name}: {found.title}; {found.problem or f'found by {found.test}'}", flush=True
        )
        missed += bool(found.problem)
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
