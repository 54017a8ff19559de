"""Negative controls: bugs planted in a copy of the source must be caught. All of them, and in how
many seeds, in `make campaign`; a quarter in `make ci`; here that each applies, one is caught."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALL = sorted((ROOT / "tests" / "planted").glob("*.patch"))
PACKAGES = ("bwv_device", "hal", "sim")
HINT = re.compile(r"seed: \d+|months: \d+( [a-z,-]+)?")


def test_there_are_at_least_twelve() -> None:
    assert len(ALL) >= 12


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source, outside any repository."""
    folder = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package)
    return folder


@pytest.mark.parametrize("patch", ALL, ids=lambda path: path.stem)
def test_each_still_applies(patch: Path, source: Path) -> None:
    subprocess.run(["git", "apply", "--check", str(patch)], cwd=source, check=True)
    title, hint, *_ = patch.read_text().splitlines()
    assert title
    assert HINT.fullmatch(hint), "make campaign's hint: which world and seed catch it"


@pytest.mark.parametrize(
    ("name", "promise"),
    [
        ("sync-left-out", "verifies"),
        pytest.param("light-left-on", "honest light", marks=pytest.mark.ci),
        pytest.param("pre-event-sound-leaks", "pre-event audio", marks=pytest.mark.ci),
    ],
)
def test_is_caught(name: str, promise: str) -> None:
    command = [sys.executable, "-m", "benchmarks.planted", name, "--hours", "0.2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "caught in 1 of" in done.stdout
    assert promise in done.stdout
