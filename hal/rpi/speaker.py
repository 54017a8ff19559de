"""Spoken notices: WAV files through ALSA's own player."""

from __future__ import annotations

import subprocess
from pathlib import Path

LONGEST_S = 20


class AplaySpeaker:
    """`hal.ports.Speaker`: `folder`/NAME.wav through `device` ("" is ALSA's default)."""

    def __init__(self, folder: Path, device: str = "") -> None:
        self._folder, self._device = folder, device

    def say(self, notice: str) -> None:
        path = self._folder / f"{Path(notice).name}.wav"
        if not path.is_file():
            raise FileNotFoundError(f"there is no spoken notice {path}")
        device = ["-D", self._device] if self._device else []
        try:
            done = subprocess.run(  # noqa: S603 - a file of ours
                ["aplay", "-q", *device, str(path)],  # noqa: S607 - from Debian's alsa-utils
                capture_output=True,
                text=True,
                timeout=LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise OSError(f"{path} was not over after {LONGEST_S} s") from None
        if done.returncode:
            raise OSError(f"aplay: {done.stderr.strip()[:200]}")
