"""The camera's storage. The commit order is written here, once:

    bytes → sync → rename → sync directory → ledger line → sync

The ledger never speaks of bytes that are not on the disk. A vault lives on the disk lane: its
methods run one after another and may block.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from bwv_device.camera.vault import checkpoint
from bwv_device.camera.vault.ledger_writer import Ledger
from bwv_device.formats.vault_layout import FOOTAGE, PART, READ_BLOCK, recording_of
from hal.ports import Anchor, Disk

# A file that shows whether files can be written; no name of footage.
PROBE = "probe"
# Chunks hashed and written together, while the processor has them in its cache: a digest of cold
# memory took 2.7 times as long.
IN_CACHE = 16


class LedgerError(OSError):
    """The ledger can't be written: nothing may be acknowledged until a vault is opened anew."""


class SegmentLostError(OSError):
    """A segment met an error before; nothing may be added to it."""


class ReceiptError(ValueError):
    """A receipt that does not match the file on the camera."""


class Receipt(NamedTuple):
    """A store's word for one file, already checked: `statement` is what the ledger keeps."""

    segment: str
    length: int
    sha256: str
    statement: str


class _Open:
    """A file being written: its running digest and length."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.length = 0

    def took(self, data: bytes) -> None:
        self.digest.update(data)
        self.length += len(data)

    def attested(self) -> dict[str, Any]:
        return {"length": self.length, "sha256": self.digest.hexdigest()}


class Vault:
    """Segments and ledger of one boot, written so that a power cut at any point is harmless."""

    def __init__(self, disk: Disk, ledger: Ledger) -> None:
        self._disk, self._ledger = disk, ledger
        self._open: dict[str, _Open] = {}
        self._sealed: Counter[str] = Counter()  # segments, by recording not closed yet
        self._standing = checkpoint.Standing()
        self._unfinished: set[str] = set()  # files that were begun, also those that met an error
        self._broken = False
        self._length = 0  # of the ledger file
        self._last_sealed = ""
        self.acknowledged = ledger.head

    @property
    def anchor(self) -> Anchor:
        return self._ledger.anchor

    def begin(self, t_ns: int, fields: Mapping[str, Any]) -> None:
        """Creates this boot's ledger file with its boot line."""
        path = self._ledger.path
        self._disk.create(path)
        line = self._ledger.boot_line(t_ns, fields)
        self._disk.append(path, line)
        self._length = len(line)
        self._disk.sync(path)
        self._disk.sync(path.rpartition("/")[0])
        self._disk.sync("")
        self.acknowledged = self._ledger.head

    def note(self, kind: str, t_ns: int, fields: Mapping[str, Any]) -> Anchor:
        """One ledger line, durable when this returns. After one failure all fail: what the disk
        holds behind the last line is unknown, and no line may follow it."""
        if self._broken:
            raise LedgerError("the ledger met an error before")
        try:
            line = self._ledger.line(kind, t_ns, fields)
            self._disk.append(self._ledger.path, line)
            self._disk.sync(self._ledger.path)
        except OSError as error:
            self._broken = True
            raise LedgerError(error.errno, f"ledger: {error.strerror}") from error
        self.acknowledged = self._ledger.head
        self._length += len(line)
        self._standing.follow(kind, fields)
        return self._ledger.anchor

    def open(self, name: str, head: bytes, t_ns: int, fields: Mapping[str, Any]) -> Anchor:
        """A new segment file with its age header, then the `open` line that repeats it."""
        path = f"{FOOTAGE}/{name}{PART}"
        self._unfinished.add(name)
        self._disk.create(path)
        self._disk.append(path, head)
        self._disk.sync(path)
        self._disk.sync(FOOTAGE)
        self._disk.sync("")
        self._open[name] = _Open()
        self._open[name].took(head)
        return self.note("open", t_ns, {"segment": name, **fields})

    def append(
        self, name: str, chunks: Sequence[bytes], t_ns: int, fields: Mapping[str, Any]
    ) -> Anchor:
        """Sealed chunks; acknowledged by the `sync` line when this returns.

        A failed write or sync is never retried: the segment is lost to writing, and recovery will
        say how far it reaches.
        """
        file = self._write(name, chunks)
        self._open[name] = file
        return self.note("sync", t_ns, {"segment": name, **file.attested(), **fields})

    def seal(
        self, name: str, chunks: Sequence[bytes], t_ns: int, fields: Mapping[str, Any]
    ) -> Anchor:
        """The last chunks, the final name, and the `seal` line."""
        file = self._write(name, chunks)
        self._disk.rename(f"{FOOTAGE}/{name}{PART}", f"{FOOTAGE}/{name}")
        self._disk.sync(FOOTAGE)
        anchor = self.note("seal", t_ns, {"segment": name, **file.attested(), **fields})
        self._unfinished.discard(name)
        self._sealed[recording_of(name)] += 1
        self._last_sealed = name
        return anchor

    def close(self, recording: str, last: str, t_ns: int, fields: Mapping[str, Any]) -> Anchor:
        """The `close` line of a recording, with the number of its sealed segments. `last` is the
        segment that was to be sealed just before, or "": `SegmentLostError` where it was not.
        Where nothing is open then, a checkpoint follows."""
        if last and self._last_sealed != last:
            raise SegmentLostError(f"{last} met an error before")
        said = {"recording": recording, "segments": self._sealed[recording], **fields}
        anchor = self.note("close", t_ns, said)
        del self._sealed[recording]
        if self._unfinished or self._sealed:
            return anchor
        return self.note(checkpoint.KIND, t_ns, self._standing.line(self._length))

    def try_a_file(self) -> Anchor:
        """Whether footage can be written: a file with a byte in it, removed again."""
        path = f"{FOOTAGE}/{PROBE}"
        if PROBE in self._disk.names(FOOTAGE):
            self._disk.remove(path)
        self._disk.create(path)
        self._disk.append(path, b"\0")
        self._disk.sync(path)
        self._disk.remove(path)
        return self.anchor

    def keep(
        self, name: str, chunks: Sequence[bytes], t_ns: int, fields: Mapping[str, Any]
    ) -> Anchor:
        """A small sealed file written at once (a still), and its `still` line."""
        self._unfinished.add(name)
        self._disk.create(f"{FOOTAGE}/{name}{PART}")
        self._open[name] = _Open()
        file = self._write(name, chunks)
        self._disk.rename(f"{FOOTAGE}/{name}{PART}", f"{FOOTAGE}/{name}")
        self._disk.sync(FOOTAGE)
        anchor = self.note("still", t_ns, {"segment": name, **file.attested(), **fields})
        self._unfinished.discard(name)
        return anchor

    def wipe(self, receipt: Receipt, t_ns: int) -> Anchor:
        """Removes a file that the evidence store holds. The file is read again at this moment:
        `ReceiptError` unless the receipt speaks of exactly these bytes."""
        path = footage_path(self._disk, receipt.segment)
        if self._broken or receipt.segment in self._open:
            raise LedgerError("nothing is removed while the ledger or the file is in use")
        if file_digest(self._disk, path) != (receipt.length, receipt.sha256):
            raise ReceiptError(f"{receipt.segment} is not what the receipt speaks of")
        said = {"segment": receipt.segment, "statement": receipt.statement}
        self.note("receipt", t_ns, said)
        anchor = self.note("wipe", t_ns, {"segment": receipt.segment})
        self._disk.remove(path)
        self._disk.sync(FOOTAGE)
        return anchor

    def remove_wiped(self, name: str) -> Anchor:
        """Removes a file that a `wipe` line names, where the disk refused to at that time."""
        self._disk.remove(footage_path(self._disk, name))
        self._disk.sync(FOOTAGE)
        return self.anchor

    def _write(self, name: str, chunks: Sequence[bytes]) -> _Open:
        path, file = f"{FOOTAGE}/{name}{PART}", self._open.pop(name, None)
        if file is None:
            raise SegmentLostError(f"{name} met an error before")
        for at in range(0, len(chunks), IN_CACHE):
            together = chunks[at : at + IN_CACHE]
            for chunk in together:
                file.took(chunk)
            self._disk.append(path, *together)
        self._disk.sync(path)
        return file


def footage_path(disk: Disk, name: str) -> str:
    """Where a file lies: under its final name, or where it was cut off. `FileNotFoundError`."""
    for candidate in (f"{FOOTAGE}/{name}", f"{FOOTAGE}/{name}{PART}"):
        with suppress(FileNotFoundError):
            disk.size(candidate)
            return candidate
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def file_digest(disk: Disk, path: str) -> tuple[int, str]:
    """Length and SHA-256 of a file, as it can be read now."""
    size = disk.size(path)
    return size, part_digest(disk, path, 0, size)


def part_digest(disk: Disk, path: str, offset: int, length: int) -> str:
    """SHA-256 of some bytes of a file."""
    digest = hashlib.sha256()
    for block in read_blocks(disk, path, offset, offset + length):
        digest.update(block)
    return digest.hexdigest()


def read_blocks(disk: Disk, path: str, start: int, until: int) -> Iterator[bytes]:
    for offset in range(start, until, READ_BLOCK):
        yield disk.read(path, offset, min(READ_BLOCK, until - offset))
