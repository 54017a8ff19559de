"""Converts H.264 with start codes (annex B), as encoders produce it, for `AccessUnit`."""

from __future__ import annotations

import re

START_CODE = re.compile(b"\x00\x00\x01")


def from_annex_b(data: bytes) -> bytes:
    """An access unit between start codes, rewritten with four-byte lengths."""
    starts = [match.end() for match in START_CODE.finditer(data)]
    ends = [start - 3 for start in starts[1:]] + [len(data)]
    units = [data[start:end].rstrip(b"\x00") for start, end in zip(starts, ends, strict=True)]
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units if unit)
