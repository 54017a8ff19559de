"""Trace digests of five seeds. A change of behaviour changes them, and is looked at:

make golden      writes tests/simulation/golden.toml anew; the commit says why
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from sim.shifts.drawn_shift import Shift, play

GOLDEN = Path(__file__).with_name("golden.toml")
SEEDS = (1, 2, 3, 5, 8)
DURATION_S = 600


def digest(seed: int) -> str:
    return play(Shift(seed, DURATION_S)).digest


def kept() -> dict[str, str]:
    digests: dict[str, str] = tomllib.loads(GOLDEN.read_text())["digests"]
    return digests


def main() -> None:
    rows = [f'{seed} = "{digest(seed)}"' for seed in SEEDS]
    head = (
        "# Trace digests of ten-minute swarm shifts by seed; make golden writes them.\n[digests]\n"
    )
    GOLDEN.write_text(head + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
