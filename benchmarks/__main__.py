"""Runs every benchmark, prints one line per goal, writes docs/benchmarks.md.

python -m benchmarks [NAME …]
"""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import (
    circular_output,
    custody,
    custody_month,
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
    "weeks in one boot": long_boot.run,
    "long shift": long_shift.run,
    "the agent's memory": long_shift.agent_memory,
    "scene": long_shift.scene,
}
PAGE = Path("docs/benchmarks.md")
WHERE = """
In the recording path a peer's start and the reading of its clip are left out, as ours gets its
pictures from memory, and the peer's file is synced about as often as our disk. `ffmpeg | age` alone
hashes nothing; ours keeps a digest of the film and one of the sealed bytes, and signs the video:
the fair peer is the pipe with two digests. Debian's `sha256sum` takes several times as long as
`openssl dgst` does: both are printed.
"""


def main() -> None:
    wanted = sys.argv[1:] or list(SUITES)
    began, sections = time.monotonic(), {}
    for name in wanted:
        print(f"\n{name}", flush=True)
        lines = []
        for line in SUITES[name]():
            print(line, flush=True)
            lines.append(line)
        sections[name] = lines
    took = time.monotonic() - began
    print(f"\n{took:.0f} s")
    if wanted == list(SUITES):
        PAGE.write_text(_page(sections, took))


def _page(sections: dict[str, list[Line]], took: float) -> str:
    commit = _git("rev-parse", "--short", "HEAD")
    dirty = " with uncommitted changes" if _git("status", "--porcelain") else ""
    footage = "real footage, looped and scaled" if material.CLIP.exists() else "a drawn picture"
    rows = []
    for name, lines in sections.items():
        rows += [f"\n## {name}\n", "| what | figure | goal | |", "|---|---:|---|---|"]
        word = {True: "reached", False: "**missed**", None: ""}
        rows += [f"| {x.what} | {x.figure} | {x.goal} | {word[x.reached]} |" for x in lines]
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"Written by `make bench` at commit {commit}{dirty}, on {platform.machine()}, Python "
            f"{platform.python_version()}, 2 cores, in {took:.0f} s; "
            f"material: {footage} to 1080p30 at 8 Mbit/s with AAC. CPU is user + system. "
            "Ratios are medians of interleaved pairs in one run. Never measured on a Pi.",
            WHERE.rstrip(),
            *rows,
            "",
        ]
    )


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
