"""The custody ledger: numbered, hash-linked, signed lines, one object each.

Any number of workers may append. The key of a line is its number, and a key can be created only
once. A worker that loses the race reads the new lines, decides again, and takes the next number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bwv_device.errors import CustodyError
from bwv_device.formats import canonical_json, signature, statement, store_keys
from bwv_device.formats.ledger_lines import GENESIS, Head
from bwv_device.formats.statement import Signer
from bwv_device.formats.upload_body import BytesBody
from hal.ports import Clock, EvidenceStore, StoreError, StoreTrouble

LINE_LIMIT = 16 << 20
RESERVED = frozenset({"n", "prev", "utc_ns", "kind", "by", "certificate"})
# How often a race for the next number may be lost before something must be wrong.
RACES = 1000


class CustodyLine(NamedTuple):
    """A line as read, its signature not yet judged."""

    fields: dict[str, Any]
    signed: bytes
    signature: bytes
    digest: str

    @property
    def number(self) -> int:
        return int(self.fields["n"])

    @property
    def kind(self) -> str:
        return str(self.fields["kind"])

    @property
    def by(self) -> str:
        return str(self.fields["by"])

    @property
    def utc_ns(self) -> int:
        return int(self.fields["utc_ns"])

    def signed_by(self, certificate: x509.Certificate) -> bool:
        key = certificate.public_key()
        return isinstance(key, ec.EllipticCurvePublicKey) and signature.verifies(
            key, self.signature, self.signed
        )


class CustodyLedger:
    """Reads and appends. `known` says which certificates the chain has introduced already."""

    def __init__(self, store: EvidenceStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def after(self, head: Head) -> Iterator[CustodyLine]:
        """Lines behind `head`, in order. Raises `CustodyError` where they do not continue it."""
        for stored in self._store.entries(store_keys.LINES, store_keys.line(head.number)):
            line = parse(self._store.read(stored.key, LINE_LIMIT))
            if stored.key != store_keys.line(line.number):
                raise _broken(f"{stored.key} holds line {line.number}")
            if (line.number, line.fields["prev"]) != (head.number + 1, head.digest):
                raise _broken(f"line {line.number} does not continue line {head.number}")
            head = Head(line.number, line.digest)
            yield line

    def append(
        self,
        signer: Signer,
        catch_up: Callable[[], Head],
        known: Callable[[str], bool],
        decide: Callable[[], tuple[str, Mapping[str, Any]] | None],
    ) -> CustodyLine | None:
        """Writes what `decide` says, on top of everything that `catch_up` has read; None where it
        says that nothing remains to be written. Raises `StoreError`."""
        own = x509.load_pem_x509_certificates(signer.certificate_pem)[0]
        by = statement.fingerprint(own)
        for _ in range(RACES):
            head = catch_up()
            decided = decide()
            if decided is None:
                return None
            kind, fields = decided
            introduction = (
                {} if known(by) else {"certificate": signer.certificate_pem.decode("ascii")}
            )
            line = _line(signer, head, kind, {**fields, **introduction}, by, self._now_ns())
            if len(line) > LINE_LIMIT:  # nobody could read it, and everybody must
                raise ValueError(f"a {kind!r} line would have {len(line):,} bytes")
            if self._create(line):
                return parse(line)
        raise _broken("the next number is always taken")

    def _create(self, line: bytes) -> bool:
        """Whether it is ours that stands there. A lost answer is looked up."""
        key = store_keys.line(parse(line).number)
        try:
            self._store.create(key, BytesBody(line))
        except StoreError as error:
            if error.trouble not in (StoreTrouble.EXISTS, StoreTrouble.TRANSIENT):
                raise
            try:
                return self._store.read(key, LINE_LIMIT) == line
            except StoreError as gone:
                if gone.trouble is StoreTrouble.MISSING:
                    raise error from None
                raise
        return True

    def _now_ns(self) -> int:
        return self._clock.utc().utc_ns


def _line(
    signer: Signer, head: Head, kind: str, fields: Mapping[str, Any], by: str, utc_ns: int
) -> bytes:
    if taken := (RESERVED - {"certificate"}) & fields.keys():
        raise ValueError(f"reserved names in a custody line: {sorted(taken)}")
    place = {"n": head.number + 1, "prev": head.digest, "utc_ns": utc_ns, "kind": kind, "by": by}
    signed = canonical_json.encode({**fields, **place})
    return signed + b"\t" + signature.from_der(signer.sign(signed)).hex().encode() + b"\n"


def parse(raw: bytes) -> CustodyLine:
    """A line's object. Raises `CustodyError` unless it is canonical throughout."""
    signed, tab, tail = raw.removesuffix(b"\n").rpartition(b"\t")
    said = signature.from_hex(tail)
    if not tab or said is None or not raw.endswith(b"\n"):
        raise _broken("a line has no signature")
    try:
        fields = canonical_json.decode(signed)
    except ValueError as error:
        raise _broken(f"a line is {error}") from None
    types = {"n": int, "prev": str, "utc_ns": int, "kind": str, "by": str}
    if any(type(fields.get(name)) is not kind for name, kind in types.items()):
        raise _broken("a line lacks a field")
    digest = hashlib.sha256(raw.removesuffix(b"\n")).hexdigest()
    return CustodyLine(fields, signed, said, digest)


START = Head(0, GENESIS)


def _broken(what: str) -> CustodyError:
    return CustodyError(
        f"The custody ledger is broken: {what}.",
        "Nothing is decided on it any more; compare it with a replica, and find out who wrote it.",
    )
