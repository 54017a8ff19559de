"""Keeps ledger heads that cameras published, in a folder. Intake checks ledgers against them.

There are two files per camera. `<device>.json` is the newest signed head with the certificate:
whoever has the root can check it again. `<device>.heads` has all of them, a line each, and only
grows: a newer branch of a ledger must not push out what an older one said. Proof of a fork is kept
beside them, and never overwritten.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bwv_device.fleet.roster import NAME, Seen
from hal.ports import SECOND_NS

EVERY_NS = 60 * SECOND_NS


class Records:
    """The newest head of each camera; written now and then, and when a camera leaves."""

    def __init__(self, folder: Path, every_ns: int = EVERY_NS) -> None:
        self._folder, self._every_ns = folder, every_ns
        folder.mkdir(parents=True, exist_ok=True)
        self._written: dict[str, tuple[int, int]] = {}  # device → number, when
        self._certificates: dict[str, str] = {}  # device → that of the last line

    def keep(self, seen: Seen, now_ns: int) -> None:
        if not seen.head or not NAME.fullmatch(seen.device):
            return
        number, at_ns = self._written.get(seen.device, (0, -self._every_ns))
        due = now_ns - at_ns >= self._every_ns or seen.online is False
        if seen.head["number"] <= number or not due:
            return
        said: dict[str, Any] = {"head": seen.head}
        if self._certificates.get(seen.device) != seen.certificate:
            said["certificate"] = seen.certificate
        self._append(f"{seen.device}.heads", said)
        self._certificates[seen.device] = seen.certificate
        self._write(f"{seen.device}.json", {"head": seen.head, "certificate": seen.certificate})
        self._written[seen.device] = (seen.head["number"], now_ns)

    def keep_fork(self, seen: Seen) -> None:
        name = f"{seen.device}.forked.json"
        if seen.fork and NAME.fullmatch(seen.device) and not (self._folder / name).exists():
            self._write(name, {**seen.fork._asdict(), "certificate": seen.certificate})

    def all(self) -> Iterator[dict[str, Any]]:
        """What an earlier watch kept. A file that can't be read is no reason not to watch."""
        for path in sorted(self._folder.glob("*.json")):
            if path.name.endswith(".forked.json"):
                continue
            try:
                kept = json.loads(path.read_bytes())
                head, certificate = dict(kept["head"]), str(kept["certificate"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
            yield {"head": head, "certificate": certificate}

    def _append(self, name: str, content: dict[str, Any]) -> None:
        """A line of its own, also behind one that a power cut tore."""
        with (self._folder / name).open("a+b") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
            torn = file.read(1) not in (b"", b"\n")
            file.write(b"\n" * torn + json.dumps(content).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _write(self, name: str, content: dict[str, Any]) -> None:
        path, new = self._folder / name, self._folder / f".{name}.new"
        with new.open("w") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        directory = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
