"""Custody lines of recordings that no camera made: for stores of any size."""

from __future__ import annotations

import hashlib
from typing import Any

from hal.ports import SECOND_NS

FIRST_NS = 10**18


def content(camera: int, number: int) -> bytes:
    """Of a recording's only file: no two are the same."""
    return f"{camera} {number}".encode()


def drawn_docking(
    camera: int, count: int, first_ns: int = FIRST_NS, apart_ns: int = SECOND_NS
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `docking` and the `intake` line of a camera that brings `count` recordings of a minute,
    each of one file with the bytes of `content`."""
    device, files, recordings, took = f"cam-{camera:05d}", [], [], []
    for number in range(count):
        name = f"00000001-{number + 1:04d}"
        start_ns = first_ns + (camera * count + number) * apart_ns
        data = content(camera, number)
        digest = hashlib.sha256(data).hexdigest()
        segment = f"{name}-0001.mp4.age"
        files.append({"segment": segment, "length": len(data), "sha256": digest, "recording": name})
        took.append({"segment": segment, "sha256": digest, "version": "", "replicas": [],
                     "late": False, "key": f"footage/{device}/{segment}/{digest}"})  # fmt: skip
        markers = [{"marker": "informed", "at_ns": start_ns}] if number % 50 == 0 else []
        recordings.append({
            "recording": name, "officer": f"PC {camera}", "trigger": "start",
            "start_ns": start_ns, "end_ns": start_ns + 60 * SECOND_NS, "error_ns": 0,
            "latest_ns": start_ns + 60 * SECOND_NS, "flagged": False, "markers": markers,
        })  # fmt: skip
    docking = {
        "device": device, "nonce": f"{camera:032x}", "files": files, "recordings": recordings,
        "anchor": {"boot": 1, "number": 1, "digest": "0" * 64}, "pieces": [], "battery": 50,
        "start": {"number": 0, "digest": "0" * 64}, "length": 1, "clock": "ntp",
    }  # fmt: skip
    return docking, {"device": device, "files": took}
