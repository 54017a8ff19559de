"""Bodies of uploads: bytes in memory, and parts of files."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from hal.ports import Disk, StoreError, StoreTrouble


class BytesBody:
    """A small object in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)
        self.sha256 = hashlib.sha256(data).hexdigest()

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]


class FilePart(NamedTuple):
    """Some bytes of a file on a disk, whose digest is known."""

    disk: Disk
    path: str
    offset: int
    length: int
    sha256: str

    def read(self, offset: int, length: int) -> bytes:
        """If the camera can't read its own file, the link is not at fault: `REFUSED`."""
        try:
            return self.disk.read(
                self.path, self.offset + offset, min(length, self.length - offset)
            )
        except OSError as error:
            raise StoreError(
                StoreTrouble.REFUSED, f"{self.path} can't be read: {error.strerror}"
            ) from error
