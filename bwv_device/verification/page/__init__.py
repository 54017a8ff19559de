"""The page that goes out with a package: `source/`, built by `scripts/build-verify-page`."""

from __future__ import annotations

from pathlib import Path

NAME = "START-HERE.html"


def page() -> bytes:
    """The whole page, the same bytes in every package."""
    return Path(__file__).with_name(NAME).read_bytes()
