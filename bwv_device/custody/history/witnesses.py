"""Asking witnesses for their cosignature (https://c2sp.org/tlog-witness)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from bwv_device.verification.tlog.checkpoint import SignedCheckpoint, cosigned
from bwv_device.verification.tlog.signed_note import NoteError, NoteSignature, parse_signatures
from bwv_device.verification.trust_list import Witness

ADD_CHECKPOINT = "/add-checkpoint"
OK, CONFLICT, UNPROCESSABLE = 200, 409, 422
# What a witness may answer at most: some signature lines.
ANSWER_LIMIT = 64 << 10

Consistency = Callable[[int, int], Sequence[bytes]]


class WitnessAnswer(NamedTuple):
    """A status of HTTP, and the body."""

    status: int
    body: bytes


class WitnessLine(Protocol):
    """The way to witnesses. Raises `OSError` where one does not answer."""

    def post(self, url: str, body: bytes) -> WitnessAnswer: ...


class Cosigned(NamedTuple):
    """What became of asking one witness. `signatures` are verified. `contradicts`: it has seen
    another history."""

    signatures: tuple[NoteSignature, ...] = ()
    trouble: str = ""
    contradicts: bool = False


def ask(
    line: WitnessLine,
    keys: Sequence[Witness],
    signed: SignedCheckpoint,
    old: int,
    consistency: Consistency,
) -> Cosigned:
    """One witness, with all of its `keys`. `old` is how much of the log it is believed to have
    seen; it says where that is wrong, and is asked once more."""
    name, size = keys[0].key.name, signed.checkpoint.size
    answer = _post(line, keys[0], signed, old, consistency)
    if isinstance(answer, str):
        return Cosigned(trouble=f"{name} {answer}")
    seen = _size(answer.body) if answer.status == CONFLICT else None
    if seen is not None and seen > size:
        said = f"the store's ledger ends at line {size}, and {name} has seen line {seen}"
        return Cosigned((), f"{said}: its end was cut, or it is an older copy", True)
    if seen is not None and seen != old:
        old = seen
        answer = _post(line, keys[0], signed, old, consistency)
        if isinstance(answer, str):
            return Cosigned(trouble=f"{name} {answer}")
        seen = _size(answer.body) if answer.status == CONFLICT else None
    if answer.status == UNPROCESSABLE or seen == size:
        said = f"{name} has seen other lines than the first {old} of the store"
        return Cosigned((), f"{said}: they were changed, reordered or signed anew", True)
    if answer.status != OK:
        return Cosigned(trouble=f"{name} answered {answer.status}")
    return _verified(answer.body, keys, signed)


def _post(
    line: WitnessLine, witness: Witness, signed: SignedCheckpoint, old: int, proof: Consistency
) -> WitnessAnswer | str:
    hashes = proof(old, signed.checkpoint.size)
    body = b"old %d\n" % old
    body += b"".join(base64.b64encode(digest) + b"\n" for digest in hashes)
    try:
        return line.post(witness.url.rstrip("/") + ADD_CHECKPOINT, body + b"\n" + bytes(signed))
    except OSError as error:
        return f"does not answer: {error}"


def _size(body: bytes) -> int | None:
    digits = body.removesuffix(b"\n")
    return int(digits) if digits.isdigit() and len(digits) < 19 else None


def _verified(body: bytes, keys: Sequence[Witness], signed: SignedCheckpoint) -> Cosigned:
    name = keys[0].key.name
    try:
        said = parse_signatures(body)
    except NoteError as error:
        return Cosigned(trouble=f"{name}: its answer {error}")
    ours = [key.key for key in keys]
    good = cosigned(signed.with_signatures(said), ours)
    kept = tuple(s for s in said if any(s.is_by(key) for key in good))
    if not kept:
        return Cosigned(trouble=f"{name} answered without a valid cosignature")
    return Cosigned(kept)
