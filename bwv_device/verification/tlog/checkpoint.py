"""Checkpoints and their cosignatures (https://c2sp.org/tlog-checkpoint, tlog-cosignature)."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import NamedTuple

from bwv_device.verification.tlog.merkle_tree import HASH_BYTES
from bwv_device.verification.tlog.signed_note import (
    COSIGNATURE,
    COSIGNATURE_MLDSA44,
    Note,
    NoteError,
    NoteSignature,
    SignerKey,
    VerifierKey,
    decoded,
    parse_note,
)

SIZES = range(1 << 63)
TIME_BYTES = 8
SUBTREE_LABEL = b"subtree/v1\n\x00"


class Checkpoint(NamedTuple):
    """How long a log is, and the root of its tree. Extension lines are kept, not read."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> bytes:
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode()]
        return "".join(f"{line}\n" for line in (*lines, *self.extensions)).encode()

    @classmethod
    def parse(cls, text: bytes) -> Checkpoint:
        """Raises `NoteError`."""
        lines = text.decode("utf-8").split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines):
            raise NoteError("is not a checkpoint")
        origin, size, root, *extensions = lines
        raw = decoded(root)
        if not re.fullmatch(r"0|[1-9][0-9]{0,18}", size) or int(size) not in SIZES:
            raise NoteError("has a size that is no number")
        if len(raw) != HASH_BYTES:
            raise NoteError("has a root that is no hash")
        return cls(origin, int(size), raw, tuple(extensions))


class SignedCheckpoint(NamedTuple):
    """A checkpoint that its log signed; cosignatures are judged by `cosigned`."""

    checkpoint: Checkpoint
    note: Note

    def __bytes__(self) -> bytes:
        return bytes(self.note)

    def with_signatures(self, more: Sequence[NoteSignature]) -> SignedCheckpoint:
        known = set(self.note.signatures)
        added = tuple(s for s in more if s not in known)
        return SignedCheckpoint(
            self.checkpoint, Note(self.note.text, (*self.note.signatures, *added))
        )


class Cosignature(NamedTuple):
    """A witness saw this checkpoint as the log's newest at a time, in seconds since 1970."""

    witness: str
    time_s: int


def sign(checkpoint: Checkpoint, log: SignerKey) -> SignedCheckpoint:
    """As its log signs it."""
    note = checkpoint.text + b"\n" + log.line(checkpoint.text)
    return SignedCheckpoint(checkpoint, parse_note(note))


def read_signed(data: bytes, log: VerifierKey) -> SignedCheckpoint:
    """A checkpoint that this log signed, under its own origin. Raises `NoteError`."""
    note = parse_note(data)
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != log.name:
        raise NoteError(f"is a checkpoint of {checkpoint.origin!r}")
    if not note.signed_by(log):
        raise NoteError("is not signed by the log")
    return SignedCheckpoint(checkpoint, note)


def cosign(checkpoint: Checkpoint, witness: SignerKey, time_s: int) -> bytes:
    """The witness's signature line."""
    message = _message(checkpoint, witness.name, witness.kind, time_s)
    return witness.line(message, time_s.to_bytes(TIME_BYTES, "big"))


def cosigned(
    signed: SignedCheckpoint, witnesses: Sequence[VerifierKey]
) -> dict[VerifierKey, Cosignature]:
    """Valid cosignatures, the newest of each of these keys."""
    found: dict[VerifierKey, Cosignature] = {}
    for key in witnesses:
        for signature in signed.note.signatures:
            if not signature.is_by(key):
                continue
            time_s = int.from_bytes(signature.signature[:TIME_BYTES], "big")
            message = _message(signed.checkpoint, key.name, key.kind, time_s)
            older = key in found and time_s <= found[key].time_s
            if (
                time_s in SIZES
                and not older
                and key.verifies(signature.signature[TIME_BYTES:], message)
            ):
                found[key] = Cosignature(key.name, time_s)
    return found


def _message(checkpoint: Checkpoint, name: str, kind: int, time_s: int) -> bytes:
    """What a cosigner signs, by the kind of its key."""
    if kind == COSIGNATURE:
        return b"cosignature/v1\ntime %d\n" % time_s + checkpoint.text
    if kind == COSIGNATURE_MLDSA44:
        return b"".join(
            (
                SUBTREE_LABEL,
                _short(name.encode()),
                time_s.to_bytes(TIME_BYTES, "big"),
                _short(checkpoint.origin.encode()),
                (0).to_bytes(TIME_BYTES, "big"),
                checkpoint.size.to_bytes(TIME_BYTES, "big"),
                checkpoint.root,
            )
        )
    raise NoteError("is no cosigner's key")


def _short(text: bytes) -> bytes:
    """opaque<1..2^8-1> (RFC 8446, 3.4)."""
    if not 0 < len(text) < 256:
        raise NoteError("has a name that no cosigner can have")
    return bytes([len(text)]) + text
