"""Negative controls: bugs planted in a copy of the source must be caught. All of them, and in how
many seeds, in `make campaign`; here that each patch applies, and that three are caught."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.planted import PACKAGES, PATCHES, ROOT, plant

ALL = sorted(PATCHES.glob("*.patch"))


def test_there_are_at_least_twelve() -> None:
    assert len(ALL) >= 12


@pytest.mark.parametrize("patch", ALL, ids=lambda path: path.stem)
def test_each_still_applies(patch: Path, tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package)
    subprocess.run(["git", "apply", "--check", str(patch)], cwd=tmp_path, check=True)
    assert patch.read_text().partition("\n")[0], "the first line says what is wrong"


@pytest.mark.parametrize(
    ("name", "promise"),
    [
        ("sync-left-out", "verifies"),
        ("light-left-on", "honest light"),
        ("pre-event-sound-leaks", "pre-event audio"),
    ],
)
def test_is_caught(name: str, promise: str) -> None:
    control = plant(PATCHES / f"{name}.patch", 8, 0.2, until_failure=True)
    assert control.caught == 1
    assert promise in control.promises
