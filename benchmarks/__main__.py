"""Runs every benchmark, prints one line per goal, writes docs/benchmarks.md.

python -m benchmarks [NAME …]
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import (
    circular_output,
    custody,
    custody_month,
    desk_player,
    long_boot,
    long_shift,
    material,
    pre_event,
    recording,
    start_up,
    vaults,
)
from benchmarks.goal import Line

SUITES = {
    "start-up": start_up.run,
    "recording path": recording.run,
    "pre-event": pre_event.run,
    "pre-event, beside picamera2": circular_output.run,
    "verify and export": vaults.run,
    "upload": custody.upload,
    "a borough's day": custody.borough,
    "100,000 recordings": custody.catalogue,
    "a month of London": custody_month.everything,
    "the desk's player": desk_player.run,
    "weeks in one boot": long_boot.run,
    "long shift": long_shift.run,
    "the agent's memory": long_shift.agent_memory,
    "scene": long_shift.scene,
}
PAGE = Path("docs/benchmarks.md")
CODE = ("--", "benchmarks", "bwv_device", "hal", "sim")
WHERE = """
In the recording path a peer's start and the reading of its clip are left out, as ours gets its
pictures from memory, and the peer's file is synced about as often as our disk. `ffmpeg | age` alone
hashes nothing; ours keeps a digest of the film and one of the sealed bytes, and signs the video:
the fair peer is the pipe with two digests. Debian's `sha256sum` takes several times as long as
`openssl dgst` does: both are printed.
"""


def main() -> None:
    sections = _written()
    for name in sys.argv[1:] or list(SUITES):
        print(f"\n{name}", flush=True)
        began, lines = time.monotonic(), []
        for line in SUITES[name]():
            print(line, flush=True)
            lines.append(line)
        sections[name] = _section(lines, time.monotonic() - began)
        PAGE.write_text(_page(sections))


def _written() -> dict[str, str]:
    """The page's sections as they stand, by their names: a run may be of some only."""
    parts = PAGE.read_text().split("\n## ")[1:] if PAGE.is_file() else []
    return {name: rows.strip() for name, _, rows in (part.partition("\n") for part in parts)}


def _section(lines: list[Line], took_s: float) -> str:
    dirty = " with uncommitted changes" if _git("status", "--porcelain", "-uno", *CODE) else ""
    where = f"{platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores"
    word = {True: "reached", False: "**missed**", None: ""}
    return "\n".join(
        [
            f"Commit {_git('rev-parse', '--short', 'HEAD')}{dirty}, {where}, {took_s:.0f} s.",
            "",
            "| what | figure | goal | |",
            "|---|---:|---|---|",
            *(f"| {x.what} | {x.figure} | {x.goal} | {word[x.reached]} |" for x in lines),
        ]
    )


def _page(sections: dict[str, str]) -> str:
    footage = "real footage, looped and scaled" if material.CLIP.exists() else "a drawn picture"
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Written by `make bench`; each section names the commit that was measured. Material: "
            f"{footage} to 1080p30 at 8 Mbit/s with AAC, where no other is named. CPU is user + "
            "system. Ratios are medians of interleaved pairs in one run. Never measured on a Pi.",
            WHERE.rstrip(),
            *(f"\n## {name}\n\n{sections[name]}" for name in SUITES if name in sections),
            "",
        ]
    )


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
