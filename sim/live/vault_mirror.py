"""The simulated card's content in a real folder, for whoever verifies and plays it."""

from __future__ import annotations

from pathlib import Path

from hal.simulated.disk import SimulatedDisk


class VaultMirror:
    """Files of a vault are written at their end only, so a file of the same length is the same,
    unless storage has decayed: `update(whole=True)` reads everything."""

    def __init__(self, disk: SimulatedDisk, folder: Path) -> None:
        self._disk, self.folder = disk, folder
        self._beside = folder.with_name(folder.name + ".new")
        self._lengths: dict[str, int] = {}

    def update(self, *, whole: bool = False) -> None:
        lengths = self._disk.lengths()
        for path in self._lengths.keys() - lengths.keys():
            (self.folder / path).unlink(missing_ok=True)
        for path, length in lengths.items():
            if whole or self._lengths.get(path) != length:
                target = self.folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                self._beside.write_bytes(self._disk.read(path))
                self._beside.replace(target)
        self._lengths = lengths
