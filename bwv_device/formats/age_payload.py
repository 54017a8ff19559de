"""The age v1 payload, written chunk by chunk and read back as far as it is whole.

Writing gives control over each 64 KiB chunk, which the loss bound needs and no library offers.
The file key lives only in the writer's memory; a chunk is sealed exactly once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bwv_device.errors import SealedFileError
from bwv_device.formats import age
from hal.ports import Entropy

CHUNK = 64 * 1024
TAG = 16
NONCE = 16
FINAL = b"\x01"
MORE = b"\x00"


class Seal:
    """Plaintext in, sealed whole chunks out; the rest waits in memory until `finish`."""

    def __init__(self, recipients: Sequence[age.Recipient], entropy: Entropy) -> None:
        file_key = entropy.token(age.FILE_KEY_LENGTH)
        self.header = age.write_header(file_key, recipients, entropy)
        self.nonce = entropy.token(NONCE)
        self._cipher = ChaCha20Poly1305(age.payload_key(file_key, self.nonce))
        self._rest = b""
        self.chunks = 0

    @property
    def unsealed(self) -> int:
        """Bytes that wait for a chunk to fill."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Every chunk that `data` completes, sealed. One byte always stays for the final chunk."""
        rest = self._rest
        if len(rest) + len(data) <= CHUNK:
            self._rest = rest + data
            return []
        # Only the chunk that the rest belongs to is put together; the others are sealed in place.
        view, first = memoryview(data), CHUNK - len(rest)
        sealed = [self._seal(rest + view[:first], MORE)]
        last = first + (len(data) - first - 1) // CHUNK * CHUNK
        sealed += [self._seal(view[at : at + CHUNK], MORE) for at in range(first, last, CHUNK)]
        self._rest = bytes(view[last:])
        return sealed

    def flush(self) -> bytes:
        """The waiting bytes as a chunk of their own: only where they fill one exactly."""
        if len(self._rest) != CHUNK:
            raise ValueError("only a whole chunk can be sealed before the end")
        rest, self._rest = self._rest, b""
        return self._seal(rest, MORE)

    def finish(self) -> bytes:
        """The final chunk. The seal is used up."""
        if self.chunks and not self._rest:
            raise ValueError("the final chunk would be empty")
        return self._seal(self._rest, FINAL)

    def _seal(self, chunk: bytes | memoryview, last: bytes) -> bytes:
        nonce = self.chunks.to_bytes(11, "big") + last
        self.chunks += 1
        return self._cipher.encrypt(nonce, chunk, None)


class ChunkCipher:
    """Opens chunks by their number; `ended` tells whether the final one was among them."""

    def __init__(
        self, header: age.Header, nonce: bytes, identities: Sequence[age.Identity]
    ) -> None:
        if len(nonce) != NONCE:
            raise SealedFileError("The file ends within its header.")
        file_key = age.open_file_key(header, identities)
        self._cipher = ChaCha20Poly1305(age.payload_key(file_key, nonce))
        self.ended = False

    def open_into(
        self, counter: int, sealed: bytes | memoryview, into: memoryview, *, is_last: bool
    ) -> None:
        """`into` is as long as the chunk in clear. `is_last` is a guess, which saves time. Raises
        `SealedFileError`."""
        nonce = counter.to_bytes(11, "big")
        for end in (FINAL, MORE) if is_last else (MORE, FINAL):
            try:
                self._cipher.decrypt_into(nonce + end, sealed, None, into)
            except InvalidTag:
                continue
            if end == MORE and len(into) != CHUNK:
                raise SealedFileError(f"Chunk {counter} is short without being the final one.")
            if end == FINAL and not into and counter:
                raise SealedFileError("The final chunk is empty.")
            self.ended = end == FINAL
            return
        raise SealedFileError(f"Chunk {counter} does not open: it was cut or altered.")


class Opener:
    """Reads a sealed file; `ended` tells whether its final chunk was there."""

    def __init__(self, source: BinaryIO, identities: Sequence[age.Identity]) -> None:
        head = source.read(age.HEADER_LIMIT)
        self.header = age.parse_header(head)
        self._source = source
        source.seek(len(self.header.raw))
        self._cipher = ChunkCipher(self.header, source.read(NONCE), identities)

    @property
    def ended(self) -> bool:
        return self._cipher.ended

    def chunks(self) -> Iterator[bytes]:
        """Each whole chunk, opened. Raises `SealedFileError` at the first that does not open."""
        counter = 0
        sealed = self._source.read(CHUNK + TAG)
        while sealed:
            following = self._source.read(CHUNK + TAG)
            yield self._open(counter, sealed, is_last=not following)
            if self.ended and following:
                raise SealedFileError("There is something behind the final chunk.")
            counter += 1
            sealed = following
        if not self.ended:
            raise SealedFileError("The file ends before its final chunk.")

    def whole_chunks(self) -> Iterator[bytes]:
        """As `chunks`, but a file that was cut (by a power loss, say) ends quietly."""
        try:
            yield from self.chunks()
        except SealedFileError:
            return

    def _open(self, counter: int, sealed: bytes, *, is_last: bool) -> bytes:
        chunk = bytearray(max(0, len(sealed) - TAG))
        self._cipher.open_into(counter, sealed, memoryview(chunk), is_last=is_last)
        return bytes(chunk)
