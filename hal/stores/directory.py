"""A plain directory as evidence store: a disk of this machine, or a share that only custody mounts.

Objects are files. A new one is written under another name, synced, and linked to its own, so that
it is there whole or not at all and nothing is ever overwritten. Wants hard links (ext4, XFS, btrfs,
NFS); retention and holds are for the file system's administrator to break, as `retain` says.

Nobody but the owner may write below the root (docs/decisions/0022). No link is followed on any way
that a key describes: each folder is opened from the one above it, and what is no plain file is not
there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hal.ports import Body, Stored, StoreError, StoreTrouble

BLOCK = 1 << 20
# Names that no key has: keys' parts never begin with a dot.
INCOMING, HIDDEN = ".incoming", ".hidden"
PART = re.compile(r"[A-Za-z0-9_@-][A-Za-z0-9._@ -]{0,200}")
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
OTHERS_MAY_WRITE = 0o022

TROUBLES = {
    errno.ENOSPC: StoreTrouble.FULL,
    errno.EDQUOT: StoreTrouble.FULL,
    errno.ENOENT: StoreTrouble.MISSING,
    errno.ENOTDIR: StoreTrouble.MISSING,
    errno.ELOOP: StoreTrouble.MISSING,
    errno.EISDIR: StoreTrouble.MISSING,
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
        self._made: set[tuple[str, ...]] = set()

    # --- what a camera may --------------------------------------------------------------------

    def create(self, key: str, body: Body) -> None:
        with _troubles(key):
            folders, name = _parts(key)
            if self._is_there(folders, name) or self._is_there((HIDDEN, *folders), name):
                raise FileExistsError(errno.EEXIST, "exists already")
            incoming = uuid.uuid4().hex
            with self._folder((INCOMING,), make=True) as aside:
                try:
                    _write(aside, incoming, body)
                    with self._folder(folders, make=True) as folder:
                        os.link(incoming, name, src_dir_fd=aside, dst_dir_fd=folder,
                                follow_symlinks=False)  # fmt: skip
                        os.fsync(folder)
                finally:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(incoming, dir_fd=aside)

    def read(self, key: str, limit: int) -> bytes:
        with _troubles(key), self._open(*_parts(key)) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise StoreError(StoreTrouble.REFUSED, f"{key} is longer than {limit} bytes")
        return data

    # --- what custody may ---------------------------------------------------------------------

    def entries(self, prefix: str, after: str = "") -> Iterator[Stored]:
        with _troubles(prefix):
            self._present()
            folders = tuple(prefix.split("/")[:-1])
            yield from self._walk(folders, prefix, after)

    def stat(self, key: str) -> Stored:
        with _troubles(key), self._open(*_parts(key)) as file:
            return Stored(key, os.fstat(file.fileno()).st_size, "")

    def written_utc_s(self, key: str) -> int:
        """The inode's change time: its owner can set the other times as he likes."""
        with _troubles(key), self._open(*_parts(key)) as file:
            return int(os.fstat(file.fileno()).st_ctime)

    def versions(self, key: str) -> list[Stored]:
        try:
            return [self.stat(key)]
        except StoreError as error:
            if error.trouble is StoreTrouble.MISSING:
                return []
            raise

    def blocks(self, stored: Stored) -> Iterator[bytes]:
        with _troubles(stored.key):
            folders, name = _parts(stored.key)
            if not self._is_there(folders, name):
                folders = (HIDDEN, *folders)
            with self._open(folders, name) as file:
                while block := file.read(BLOCK):
                    yield block

    def retain(self, stored: Stored, until_utc_s: int) -> bool:
        return False

    def hold(self, stored: Stored, on: bool) -> bool:
        return False

    def hide(self, key: str) -> None:
        folders, name = _parts(key)
        self._move(key, name, folders, (HIDDEN, *folders))

    def unhide(self, key: str) -> None:
        folders, name = _parts(key)
        self._move(key, name, (HIDDEN, *folders), folders)

    def free(self, key: str) -> None:
        self.erase(key)

    def erase(self, key: str) -> None:
        with _troubles(key):
            folders, name = _parts(key)
            for place in (folders, (HIDDEN, *folders)):
                with contextlib.suppress(FileNotFoundError), self._folder(place) as folder:
                    os.unlink(name, dir_fd=folder)
                    os.fsync(folder)

    # --- inside -------------------------------------------------------------------------------

    def _present(self) -> None:
        """Raises `TRANSIENT` where the root is not there, `DENIED` where others may write it."""
        try:
            status = os.stat(self._root)
        except OSError:
            status = None
        if status is None or not stat.S_ISDIR(status.st_mode):
            raise StoreError(
                StoreTrouble.TRANSIENT, f"the store {self._root} is not there: is it mounted?"
            )
        if status.st_mode & OTHERS_MAY_WRITE or status.st_uid not in (os.geteuid(), 0):
            raise StoreError(
                StoreTrouble.DENIED,
                f"others than its owner may write the store {self._root}: chmod 700 it, and let "
                "cameras upload by S3",
            )

    @contextlib.contextmanager
    def _folder(self, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
        """A descriptor of a folder below the root, opened one by one. Made durable with everything
        above it, once. `NotADirectoryError` where a link or a file stands on the way."""
        self._present()
        at = os.open(self._root, FOLDER)
        try:
            for depth, part in enumerate(parts, 1):
                if make and parts[:depth] not in self._made:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=at)
                    os.fsync(at)
                try:
                    below = os.open(part, FOLDER | os.O_NOFOLLOW, dir_fd=at)
                except FileNotFoundError:
                    self._made.discard(parts[:depth])
                    raise
                os.close(at)
                at = below
                if make:
                    self._made.add(parts[:depth])
            yield at
        finally:
            os.close(at)

    @contextlib.contextmanager
    def _open(self, folders: tuple[str, ...], name: str) -> Iterator[BinaryIO]:
        """A plain file; a link, a pipe or a folder is not there."""
        with self._folder(folders) as folder:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=folder)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FileNotFoundError(errno.ENOENT, "is no plain file")
            yield file

    def _is_there(self, folders: tuple[str, ...], name: str) -> bool:
        """Under this name, whatever it is."""
        try:
            with self._folder(folders) as folder:
                os.stat(name, dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def _move(self, key: str, name: str, source: tuple[str, ...], target: tuple[str, ...]) -> None:
        with _troubles(key), self._folder(target, make=True) as to:
            try:
                with self._folder(source) as out_of:
                    os.rename(name, name, src_dir_fd=out_of, dst_dir_fd=to)
                    os.fsync(to)
                    os.fsync(out_of)
            except FileNotFoundError:
                if not self._is_there(target, name):
                    raise

    def _walk(self, parts: tuple[str, ...], prefix: str, after: str) -> Iterator[Stored]:
        try:
            with self._folder(parts) as folder, os.scandir(folder) as found:
                # In the order of keys, where "a/b" stands behind "a-b": folders sort with their
                # slash.
                entries = sorted(filter(_is_ours, found), key=_order)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            name = "/".join((*parts, entry.name))
            if entry.is_dir(follow_symlinks=False):
                below = name + "/"
                if (below.startswith(prefix) or prefix.startswith(below)) and (
                    below > after or after.startswith(below)
                ):
                    yield from self._walk((*parts, entry.name), prefix, after)
            elif name.startswith(prefix) and name > after:
                with contextlib.suppress(StoreError):  # hidden meanwhile
                    yield self.stat(name)


def _parts(key: str) -> tuple[tuple[str, ...], str]:
    """Folders and name of a key, if it is one."""
    parts = key.split("/")
    if not all(PART.fullmatch(part) for part in parts):
        raise StoreError(StoreTrouble.REFUSED, f"invalid key {key!r}")
    return tuple(parts[:-1]), parts[-1]


def _write(folder: int, name: str, body: Body) -> None:
    digest = hashlib.sha256()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, 0o400, dir_fd=folder), "wb") as file:
        for offset in range(0, body.length, BLOCK):
            block = body.read(offset, BLOCK)
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        length = file.tell()
    if (length, digest.hexdigest()) != (body.length, body.sha256):
        raise StoreError(StoreTrouble.REFUSED, "the bytes do not have the digest given")


def _is_ours(entry: os.DirEntry[str]) -> bool:
    """A folder or a plain file whose name can be part of a key."""
    plain = entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
    return plain and PART.fullmatch(entry.name) is not None


def _order(entry: os.DirEntry[str]) -> str:
    return entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name


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
