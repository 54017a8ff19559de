"""A file of footage, read once: digested, and opened on the way where somebody can open it.

What is opened is therefore what was judged: there is no second reading in which other bytes could
stand there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from bwv_device.errors import SealedFileError
from bwv_device.formats import age
from bwv_device.formats.age_payload import CHUNK, NONCE, TAG, ChunkCipher
from bwv_device.verification.footage_claims import Claim

SEALED_CHUNK = CHUNK + TAG
# What stays in the processor's cache between digest and cipher.
CHUNKS_A_BLOCK = 8

# Gives the place for so many bytes of plaintext.
Room = Callable[[int], memoryview]


class FileDigests(NamedTuple):
    """Of a whole file: its length, the bytes where its header stands, SHA-256 of what the ledger
    attested while it was written, and of everything."""

    length: int
    head: bytes
    attested: str
    whole: str
    trouble: str = ""  # why it could not be read to its end


class FootageReading:
    """One reading of one file, from its beginning to its end."""

    def __init__(self, path: Path, claim: Claim) -> None:
        # Not through a link, nor waiting for a pipe, that took the file's place meanwhile.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._file = open(os.open(path, flags), "rb", buffering=0)  # noqa: SIM115
        self.size = os.fstat(self._file.fileno()).st_size
        self._head_length = len(claim.head)
        self._attested_length = 0 if claim.settled == "sealed" else claim.attested_length
        self._attested = claim.attested_sha256 if claim.settled == "sealed" else ""
        self._block = memoryview(bytearray(CHUNKS_A_BLOCK * SEALED_CHUNK))
        self._head = b""
        self._length = 0
        self._digest = hashlib.sha256()
        self._plaintext = hashlib.sha256()
        self.plaintext_length = 0
        # Places where chunks do not open, and others behind them do.
        self.gaps = 0
        self.trouble = ""
        self._opening: Iterator[int] | None = None
        self._room: Room = self._scratch
        self._cipher: ChunkCipher | None = None
        self._in_gap = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def unlocked(self) -> bool:
        """Whether somebody's key opened its header."""
        return self._cipher is not None

    @property
    def opened_whole(self) -> bool:
        """Whether each chunk opened, the final one among them."""
        return bool(self._cipher and self._cipher.ended) and not self.gaps and not self._in_gap

    @property
    def plaintext_sha256(self) -> str:
        """Of what was opened so far."""
        return self._plaintext.hexdigest()

    def digests(self) -> FileDigests:
        """Reads on to the end; opens on, too, whatever became of what was opened so far."""
        self._room = self._scratch
        with suppress(SealedFileError):
            for _ in self._opening or ():
                pass
        while self._read(self._block):
            pass
        whole = self._digest.hexdigest()
        return FileDigests(self._length, self._head, self._attested or whole, whole, self.trouble)

    def opened(self, identities: Sequence[age.Identity], room: Room) -> Iterator[int]:
        """The length of each chunk that was opened into `room(length)`, and 0 where one or several
        do not open: each is sealed on its own, a damaged one costs itself. Raises
        `SealedFileError` where the header does not open."""
        self._room, self._opening = room, self._chunks(identities)
        return self._opening

    def _chunks(self, identities: Sequence[age.Identity]) -> Iterator[int]:
        self._cipher, filled = self._header(identities)
        counter = 0
        while filled:
            for at in range(0, filled, SEALED_CHUNK):
                sealed = self._block[at : min(at + SEALED_CHUNK, filled)]
                is_last = self._length - filled + at + len(sealed) >= self.size
                into = self._room(max(0, len(sealed) - TAG))
                try:
                    self._cipher.open_into(counter, sealed, into, is_last=is_last)
                except SealedFileError:
                    was_in_gap, self._in_gap = self._in_gap, True
                    if not was_in_gap:
                        yield 0
                else:
                    self.gaps += self._in_gap
                    self._in_gap = False
                    self._plaintext.update(into)
                    self.plaintext_length += len(into)
                    if into:
                        yield len(into)
                counter += 1
            filled = self._fill(0)

    def _scratch(self, length: int) -> memoryview:
        """Where nobody looks at what is opened."""
        return memoryview(bytearray(length))

    def _header(self, identities: Sequence[age.Identity]) -> tuple[ChunkCipher, int]:
        """Leaves the first chunks at the start of the block, and says how many bytes they are."""
        filled = self._fill(0)
        header = age.parse_header(bytes(self._block[: min(filled, age.HEADER_LIMIT)]))
        start = len(header.raw) + NONCE
        nonce = bytes(self._block[len(header.raw) : min(start, filled)])
        cipher = ChunkCipher(header, nonce, identities)
        self._block[: filled - start] = self._block[start:filled]
        return cipher, self._fill(filled - start)

    def _fill(self, filled: int) -> int:
        """How many bytes the block holds, behind `filled` that it held before."""
        while filled < len(self._block) and (length := self._read(self._block[filled:])):
            filled += length
        return filled

    def _read(self, into: memoryview) -> int:
        try:
            length = self._file.readinto(into) or 0
        except OSError as error:  # a bad place of the card: what came before it counts
            self.trouble, length = str(error.strerror), 0
        data = into[:length]
        if len(self._head) < self._head_length:
            self._head += bytes(data[: self._head_length - len(self._head)])
        left = self._attested_length - self._length
        if not self._attested and 0 < left <= length:
            self._digest.update(data[:left])
            self._attested = self._digest.hexdigest()
            data = data[left:]
        self._digest.update(data)
        self._length += length
        return length
