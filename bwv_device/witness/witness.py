"""What a witness does (https://c2sp.org/tlog-witness): it cosigns a log only if it continues what
the witness has seen of it before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from bwv_device.verification.tlog.checkpoint import (
    SIZES,
    Checkpoint,
    SignedCheckpoint,
    cosign,
    read_signed,
)
from bwv_device.verification.tlog.merkle_tree import HASH_BYTES, PROOF_LIMIT, proves_consistency
from bwv_device.verification.tlog.signed_note import (
    NOTE_LIMIT,
    NoteError,
    SignerKey,
    VerifierKey,
    decoded,
    parse_note,
)
from hal.ports import SECOND_NS, Clock

REQUEST_LIMIT = NOTE_LIMIT + 64 * 64
TEXT, SIZE = "text/plain; charset=utf-8", "text/x.tlog.size"


class LogState(NamedTuple):
    """What was seen of a log last."""

    size: int
    root: bytes


class WitnessMemory(Protocol):
    """What a witness must never forget."""

    def newest(self, origin: str) -> LogState | None: ...

    def replace(self, origin: str, old: LogState | None, new: LogState) -> bool:
        """Durable when it returns. False where it is not `old` any more: somebody was faster."""
        ...


class Reply(NamedTuple):
    status: int
    body: bytes
    kind: str = TEXT


class _RefusedError(Exception):
    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Witness:
    """Cosigns with `keys` for the logs in `logs`, by their origin."""

    def __init__(
        self,
        keys: Sequence[SignerKey],
        logs: Mapping[str, VerifierKey],
        memory: WitnessMemory,
        clock: Clock,
    ) -> None:
        self._keys, self._logs = list(keys), dict(logs)
        self._memory, self._clock = memory, clock

    def add_checkpoint(self, request: bytes) -> Reply:
        """The answer to a request, whoever wrote it."""
        try:
            old, proof, note = _parse(request)
            signed = self._of_a_known_log(note)
            self._continues(signed.checkpoint, old, proof)
        except _RefusedError as refused:
            return refused.reply
        time_s = self._clock.utc().utc_ns // SECOND_NS
        return Reply(200, b"".join(cosign(signed.checkpoint, key, time_s) for key in self._keys))

    def _of_a_known_log(self, note: bytes) -> SignedCheckpoint:
        try:
            origin = Checkpoint.parse(parse_note(note).text).origin
        except NoteError as error:
            raise _refused(400, f"the checkpoint {error}") from None
        if origin not in self._logs:
            raise _refused(404, "this log is not witnessed here")
        try:
            return read_signed(note, self._logs[origin])
        except NoteError as error:
            raise _refused(403, f"the checkpoint {error}") from None

    def _continues(self, checkpoint: Checkpoint, old: int, proof: Sequence[bytes]) -> None:
        """Remembers the checkpoint, if it continues the one before."""
        if old > checkpoint.size:
            raise _refused(400, "the old size is larger than the new one")
        seen = self._memory.newest(checkpoint.origin)
        seen_size = seen.size if seen else 0
        conflict = _RefusedError(Reply(409, b"%d\n" % seen_size, SIZE))
        if old != seen_size:
            raise conflict
        if seen is not None and seen.size:
            if seen.size == checkpoint.size and seen.root != checkpoint.root:
                raise conflict
            if not proves_consistency(old, checkpoint.size, proof, seen.root, checkpoint.root):
                raise _refused(422, "the proof of consistency does not hold")
        elif proof:
            raise _refused(422, "there is nothing to be consistent with")
        new = LogState(checkpoint.size, checkpoint.root)
        if new != seen and not self._memory.replace(checkpoint.origin, seen, new):
            newer = self._memory.newest(checkpoint.origin)
            raise _RefusedError(Reply(409, b"%d\n" % (newer.size if newer else 0), SIZE))


def _parse(request: bytes) -> tuple[int, list[bytes], bytes]:
    """Old size, proof, and the checkpoint's note."""
    head, empty, note = request.partition(b"\n\n")
    lines = head.split(b"\n")
    first = re.fullmatch(rb"old (0|[1-9][0-9]{0,18})", lines[0])
    if len(request) > REQUEST_LIMIT or not empty or first is None:
        raise _refused(400, "this is no request for a cosignature")
    old, proof = int(first[1]), [decoded(line.decode("ascii", "replace")) for line in lines[1:]]
    fits = len(proof) <= PROOF_LIMIT and all(len(digest) == HASH_BYTES for digest in proof)
    if not fits or old not in SIZES:
        raise _refused(400, "the proof has a line that is no hash")
    return old, proof, note


def _refused(status: int, why: str) -> _RefusedError:
    return _RefusedError(Reply(status, f"{why}\n".encode()))
