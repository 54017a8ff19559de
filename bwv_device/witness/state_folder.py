"""A witness's memory: one small file a log, written whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bwv_device.errors import VaultError
from bwv_device.files import writable_folder
from bwv_device.formats.grammar.forms import Hex
from bwv_device.verification.tlog.merkle_tree import HASH_BYTES
from bwv_device.witness.witness import LogState


class StateFolder:
    """`bwv_device.witness.witness.WitnessMemory` in a folder. Several processes may share it."""

    def __init__(self, folder: Path) -> None:
        writable_folder(folder)
        self._folder = folder

    def newest(self, origin: str) -> LogState | None:
        """Raises `VaultError` where the file can't be read: what was seen must not be forgotten."""
        path = self._path(origin)
        try:
            text = path.read_text("ascii")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise VaultError(f"{path} can't be read: {error}.", "Restore it.") from None
        size, _, root = text.removesuffix("\n").partition(" ")
        if not size.isdecimal() or not Hex(2 * HASH_BYTES).fits(root):
            raise VaultError(f"{path} is damaged.", "Restore it.")
        return LogState(int(size), bytes.fromhex(root))

    def replace(self, origin: str, old: LogState | None, new: LogState) -> bool:
        with self._alone(origin):
            if self.newest(origin) != old:
                return False
            path = self._path(origin)
            part = path.with_suffix(".part")
            with part.open("w") as file:
                file.write(f"{new.size} {new.root.hex()}\n")
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return True

    @contextmanager
    def _alone(self, origin: str) -> Iterator[None]:
        lock = os.open(self._path(origin).with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _path(self, origin: str) -> Path:
        return self._folder / f"{hashlib.sha256(origin.encode()).hexdigest()}.log"
