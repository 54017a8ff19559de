"""Runs the tools that pack; a failure ends the build with what they said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

# Every time stamp in the image: 2026-11-01, UTC.
EPOCH = 1793491200


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(*words: object, text: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """Its output; `text` is its input."""
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        input=text,
        env=env,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{words[0]}: {done.stderr.strip()[-2000:] or done.stdout[-2000:]}")
    return done.stdout
