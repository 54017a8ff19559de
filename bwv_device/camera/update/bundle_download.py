"""Brings a bundle from the evidence store onto the disk, a piece at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from bwv_device.camera.update.wanted import BUNDLE, FOLDER
from bwv_device.formats import store_keys
from bwv_device.formats.software_offer import PIECE
from bwv_device.verification.software_offer import Release
from hal.ports import Disk, StoreError, StoreTrouble

BLOCK = 1 << 20
# What footage may need meanwhile.
RESERVE = 256 << 20


class BundleError(ValueError):
    """What came is not what the offer names."""


class BundleDownload:
    """One bundle; goes on where it was left."""

    def __init__(self, disk: Disk, read: Callable[[str, int], bytes], release: Release) -> None:
        self._disk, self._read, self._release = disk, read, release

    def fits(self) -> bool:
        """Whether there is room for what is missing."""
        return self._release.length - self._have() + RESERVE < self._disk.free_bytes()

    def next_piece(self) -> bool:
        """Brings one more piece. True when the bundle is whole and durable. Raises `OSError`,
        `BundleError`."""
        have, length = self._have(), self._release.length
        if have < length:
            number = have // PIECE
            expected = min(PIECE, length - number * PIECE)
            data = self._piece(number, expected)
            if BUNDLE not in (f"{FOLDER}/{name}" for name in self._disk.names(FOLDER)):
                self._disk.create(BUNDLE)
            # What a power cut left of a piece is no whole one.
            self._disk.append(BUNDLE, data[have % PIECE :])
            return False
        self._disk.sync(BUNDLE)
        self._disk.sync(FOLDER)
        self._check()
        return True

    def _piece(self, number: int, expected: int) -> bytes:
        try:
            data = self._read(store_keys.software_piece(self._release.sha256, number), PIECE)
        except StoreError as error:
            if error.trouble is StoreTrouble.MISSING:
                raise BundleError(f"piece {number} is not in the store") from None
            raise
        if len(data) != expected:
            raise BundleError(f"piece {number} has another length")
        return data

    def _have(self) -> int:
        if "bundle" not in self._disk.names(FOLDER):
            return 0
        size = self._disk.size(BUNDLE)
        if size > self._release.length:
            self._disk.remove(BUNDLE)
            return 0
        return size

    def _check(self) -> None:
        digest = hashlib.sha256()
        for at in range(0, self._release.length, BLOCK):
            digest.update(self._disk.read(BUNDLE, at, BLOCK))
        if digest.hexdigest() != self._release.sha256:
            self._disk.remove(BUNDLE)
            self._disk.sync(FOLDER)
            raise BundleError("what came is not the bundle that the offer names")
