"""A plain directory as evidence store: a disk of this machine, a USB disk, an NFS share.

Objects are files. A new one is written under another name, synced, and linked to its own, so that
it is there whole or not at all and nothing is ever overwritten. Wants hard links (ext4, XFS, btrfs,
NFS); retention and holds are for the file system's administrator to break, as `retain` says.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

from hal.ports import Body, Stored, StoreError, StoreTrouble

BLOCK = 1 << 20
# Names that no key has: keys' parts never begin with a dot.
INCOMING, HIDDEN = ".incoming", ".hidden"
KEY = re.compile(r"[A-Za-z0-9_@-][A-Za-z0-9._@ -]{0,200}(/[A-Za-z0-9_@-][A-Za-z0-9._@ -]{0,200})*")

TROUBLES = {
    errno.ENOSPC: StoreTrouble.FULL,
    errno.EDQUOT: StoreTrouble.FULL,
    errno.ENOENT: StoreTrouble.MISSING,
    errno.ENOTDIR: StoreTrouble.MISSING,
    errno.EEXIST: StoreTrouble.EXISTS,
    errno.EACCES: StoreTrouble.DENIED,
    errno.EPERM: StoreTrouble.DENIED,
    errno.EROFS: StoreTrouble.DENIED,
    errno.EOPNOTSUPP: StoreTrouble.DENIED,
    errno.EFBIG: StoreTrouble.REFUSED,
    errno.ENAMETOOLONG: StoreTrouble.REFUSED,
}


class DirectoryStore:
    """`hal.ports.EvidenceStore` over the directory `root`, which must exist: a share that is not
    mounted must not look like an empty store."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: set[Path] = set()

    # --- what a camera may --------------------------------------------------------------------

    def create(self, key: str, body: Body) -> None:
        with _troubles(key):
            target = self._path(key)
            if target.exists() or self._hidden(key).exists():
                raise FileExistsError(errno.EEXIST, "exists already")
            incoming = self._folder(self._root / INCOMING) / uuid.uuid4().hex
            try:
                self._write(incoming, body)
                os.link(incoming, self._folder(target.parent) / target.name)
            finally:
                incoming.unlink(missing_ok=True)
            _sync(target.parent)

    def read(self, key: str, limit: int) -> bytes:
        with _troubles(key), self._path(key).open("rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise StoreError(StoreTrouble.REFUSED, f"{key} is longer than {limit} bytes")
        return data

    # --- what custody may ---------------------------------------------------------------------

    def entries(self, prefix: str, after: str = "") -> Iterator[Stored]:
        with _troubles(prefix):
            self._present()
            folder, _, _ = prefix.rpartition("/")
            yield from self._walk(
                self._root / folder, f"{folder}/" if folder else "", prefix, after
            )

    def stat(self, key: str) -> Stored:
        with _troubles(key):
            return Stored(key, self._path(key).stat().st_size, "")

    def versions(self, key: str) -> list[Stored]:
        try:
            return [self.stat(key)]
        except StoreError as error:
            if error.trouble is StoreTrouble.MISSING:
                return []
            raise

    def blocks(self, stored: Stored) -> Iterator[bytes]:
        with _troubles(stored.key):
            path = self._path(stored.key)
            path = path if path.exists() else self._hidden(stored.key)
            with path.open("rb") as file:
                while block := file.read(BLOCK):
                    yield block

    def retain(self, stored: Stored, until_utc_s: int) -> bool:
        return False

    def hold(self, stored: Stored, on: bool) -> bool:
        return False

    def hide(self, key: str) -> None:
        self._move(key, self._path(key), self._hidden(key))

    def unhide(self, key: str) -> None:
        self._move(key, self._hidden(key), self._path(key))

    def free(self, key: str) -> None:
        self.erase(key)

    def erase(self, key: str) -> None:
        with _troubles(key):
            self._present()
            for path in (self._path(key), self._hidden(key)):
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
                    _sync(path.parent)

    # --- inside -------------------------------------------------------------------------------

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise StoreError(StoreTrouble.REFUSED, f"invalid key {key!r}")
        return self._root / key

    def _hidden(self, key: str) -> Path:
        return self._root / HIDDEN / key

    def _present(self) -> None:
        if not self._root.is_dir():
            raise StoreError(
                StoreTrouble.TRANSIENT, f"the store {self._root} is not there: is it mounted?"
            )

    def _folder(self, folder: Path) -> Path:
        """Makes a folder durable with everything above it, once."""
        self._present()
        if folder in self._made and folder.is_dir():
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        for above in (folder, *folder.parents):
            _sync(above)
            if above == self._root:
                break
        self._made.add(folder)
        return folder

    def _write(self, path: Path, body: Body) -> None:
        digest = hashlib.sha256()
        with path.open("xb") as file:
            for offset in range(0, body.length, BLOCK):
                block = body.read(offset, BLOCK)
                digest.update(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            length = file.tell()
        if (length, digest.hexdigest()) != (body.length, body.sha256):
            raise StoreError(StoreTrouble.REFUSED, "the bytes do not have the digest given")
        path.chmod(0o440)

    def _move(self, key: str, source: Path, target: Path) -> None:
        with _troubles(key):
            self._folder(target.parent)
            if not source.exists() and target.exists():
                return
            os.rename(source, target)
            _sync(target.parent)
            _sync(source.parent)

    def _walk(self, folder: Path, key: str, prefix: str, after: str) -> Iterator[Stored]:
        try:
            # In the order of keys, where "a/b" stands behind "a-b": folders sort with their slash.
            entries = sorted(os.scandir(folder), key=_order)
        except FileNotFoundError:
            return
        for entry in entries:
            name = key + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                below = name + "/"
                if (below.startswith(prefix) or prefix.startswith(below)) and (
                    below > after or after.startswith(below)
                ):
                    yield from self._walk(Path(entry.path), below, prefix, after)
            elif name.startswith(prefix) and name > after:
                with contextlib.suppress(FileNotFoundError):  # hidden meanwhile
                    yield Stored(name, entry.stat().st_size, "")


def _order(entry: os.DirEntry[str]) -> str:
    return entry.name + "/" if entry.is_dir() else entry.name


def _sync(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextlib.contextmanager
def _troubles(key: str) -> Iterator[None]:
    """The kernel's errors in the words of the port."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        trouble = TROUBLES.get(error.errno or 0, StoreTrouble.TRANSIENT)
        raise StoreError(trouble, f"{key}: {error.strerror or error}") from error
