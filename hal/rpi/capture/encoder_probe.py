"""Finds out which encoder this board has from what the kernel reports; no device is opened."""

from __future__ import annotations

from pathlib import Path

HARDWARE = "h264_v4l2m2m"
SOFTWARE = "libx264"
# The name of the hardware encoder of Pi 4, Zero 2 W and older; a Pi 5 has none.
ENCODER_NAME = "bcm2835-codec-encode"


def encoders(sys: Path = Path("/sys")) -> list[str]:
    """H.264 encoders of this board, the best first. The software is always there."""
    names = [_text(name) for name in sys.glob("class/video4linux/video*/name")]
    return [HARDWARE, SOFTWARE] if ENCODER_NAME in names else [SOFTWARE]


def model(proc: Path = Path("/proc")) -> str:
    """ "Raspberry Pi 4 Model B Rev 1.4", or "" elsewhere."""
    return _text(proc / "device-tree" / "model").rstrip("\0")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
