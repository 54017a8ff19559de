"""The custody ledger: numbered, hash-linked, signed lines, one object each (docs/format.md, 8.2).

Any number of workers may append. The key of a line is its number, and a key can be created only
once. A worker that loses the race reads the new lines, decides again, and takes the next number.

Whoever may write into the store can lay an object at the next number. What is no line is *set
aside*: the next line says how many such objects stand in front of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bwv_device.custody.ledger.bodies import split
from bwv_device.custody.ledger.store_identity import VERSION, read_identity
from bwv_device.errors import CustodyError
from bwv_device.formats import canonical_json, signature, statement, store_keys
from bwv_device.formats.grammar.forms import PEM_LIMIT, Hex
from bwv_device.formats.ledger_lines import GENESIS, Head
from bwv_device.formats.statement import Signer
from bwv_device.formats.upload_body import BytesBody
from hal.ports import Clock, Entropy, EvidenceStore, Stored, StoreError, StoreTrouble

LINE_LIMIT, BODY_LIMIT = 16 << 20, 1 << 20
# Of 256 lines together: more is read line by line.
BUNDLE_LIMIT = 256 << 20
RESERVED = frozenset({"v", "n", "prev", "utc_ns", "kind", "by", "certificate", "aside"})
# How often a race for the next number may be lost before something must be wrong.
RACES = 1000
# Objects that are set aside in front of one line: more is an attack that a person must end.
ASIDE_LIMIT = 1000
SALT_BYTES = 32
# What stands in the log for a number that was set aside.
NO_LINE = "0" * 64

# What is to be written: a kind and its fields.
Decided = tuple[str, Mapping[str, Any]]


class CustodyLine(NamedTuple):
    """A line as read, its signature not yet judged. `body` is what its body says, {} where it has
    none, None where it is not there."""

    fields: dict[str, Any]
    signed: bytes
    signature: bytes
    digest: str
    body: dict[str, Any] | None = None

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

    @property
    def aside(self) -> int:
        """How many numbers in front of it hold no line."""
        return int(self.fields.get("aside", 0))

    @property
    def body_digest(self) -> str | None:
        """None where it has no body, or names none that can be one."""
        digest = self.fields.get("body")
        return digest if isinstance(digest, str) and Hex(64).fits(digest) else None

    @property
    def raw(self) -> bytes:
        return self.signed + b"\t" + self.signature.hex().encode() + b"\n"

    def signed_by(self, certificate: x509.Certificate) -> bool:
        key = certificate.public_key()
        return isinstance(key, ec.EllipticCurvePublicKey) and signature.verifies(
            key, self.signature, self.signed
        )


class EffectError(ValueError):
    """A line that contradicts what stands before it."""


class Place(NamedTuple):
    """Where the next line belongs: behind the last, and so many objects that are set aside; and
    not dated before `utc_ns`."""

    head: Head
    aside: int
    utc_ns: int


class Attempt(NamedTuple):
    """The line that was written; None where there was nothing to write, or the number was
    `taken`."""

    line: CustodyLine | None
    taken: bool


@dataclass(slots=True)
class SetAside:
    """Objects behind the last line that are no line: `numbers` in a row stand in the way of the
    next; `told` are sentences about all of them."""

    numbers: int = 0
    told: list[str] = field(default_factory=list)


class CustodyLedger:
    """Reads and appends. `entropy` salts bodies."""

    def __init__(self, store: EvidenceStore, clock: Clock, entropy: Entropy) -> None:
        self._store, self._clock, self._entropy = store, clock, entropy

    def store_id(self) -> str:
        """Raises `EvidenceStoreError` where the place is no store of evidence."""
        return read_identity(self._store)

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()

    def digests(self) -> Iterator[tuple[int, str]]:
        """Number and digest of each object at a line's key; "" for what is no line."""
        for stored in self._store.entries(store_keys.LINES):
            number = store_keys.parse_line(stored.key)
            if number is not None:
                line = self._read(stored)
                yield number, line.digest if line else ""

    def still_has(self, head: Head) -> None:
        """Raises `CustodyError` where the line that was read last is gone, or another."""
        if not head.number:
            return
        try:
            found = parse(self._store.read(store_keys.line(head.number), LINE_LIMIT)).digest
        except StoreError as error:
            if error.trouble not in (StoreTrouble.MISSING, StoreTrouble.REFUSED):
                raise
            found = ""
        if found != head.digest:
            raise _broken(f"line {head.number} was read before, and is not there any more")

    def after(
        self, head: Head, is_signed: Callable[[CustodyLine], bool], aside: SetAside
    ) -> Iterator[CustodyLine]:
        """Lines behind `head`, in order, with their bodies; `aside` gets what stands behind the
        last of them. `is_signed`: whether a role of the agency signed a line. Raises `CustodyError`
        where signed lines do not continue `head`."""
        aside.numbers, aside.told = 0, []
        if not head.number:
            for bundled in self._bundled(is_signed):
                head = Head(bundled.number, bundled.digest)
                yield bundled._replace(body=self._body(bundled))
            self.still_has(head)
        for stored in self._store.entries(store_keys.LINES, store_keys.line(head.number)):
            number = store_keys.parse_line(stored.key)
            line = self._read(stored) if number is not None else None
            if line is None or not is_signed(line):
                aside.told.append(f"no role of the agency wrote {stored.key}: it is set aside")
                if number == head.number + aside.numbers + 1:
                    aside.numbers += 1
            elif line.number != number:
                raise _broken(f"{stored.key} holds line {line.number}")
            elif _continues(line, head):
                head = Head(line.number, line.digest)
                aside.numbers = 0
                yield line._replace(body=self._body(line))
            else:
                raise _broken(_why(line, head, aside))

    def _bundled(self, is_signed: Callable[[CustodyLine], bool]) -> Iterator[CustodyLine]:
        """Lines from the first on, as the log bundled them: 256 in one object. What is bundled is
        judged like any line; where a bundle ends or is not what it should be, the lines' own
        objects go on."""
        head = START
        for position in count():
            try:
                data = self._store.read(store_keys.lines_bundle(position), BUNDLE_LIMIT)
                lines = [parse(raw + b"\n") for raw in data.split(b"\n")[:-1]]
            except CustodyError:
                return
            except StoreError as error:
                if error.trouble not in (StoreTrouble.MISSING, StoreTrouble.REFUSED):
                    raise
                return
            for line in lines:
                if not is_signed(line) or not _continues(line, head):
                    return
                head = Head(line.number, line.digest)
                yield line

    def at(self, number: int) -> CustodyLine | None:
        """The line of a number, with its body, its signature not judged; None where none stands
        there that sets nothing aside."""
        line = self._read(Stored(store_keys.line(number), 0, ""))
        if line is None or line.number != number or line.aside:
            return None
        return line._replace(body=self._body(line))

    def append(
        self,
        signer: Signer,
        catch_up: Callable[[], Place],
        known: Callable[[str], bool],
        decide: Callable[[], Decided | None],
    ) -> CustodyLine | None:
        """Writes what `decide` says, on top of everything that `catch_up` has read; None where it
        says that nothing remains to be written. Raises `StoreError`."""
        for _ in range(RACES):
            attempt = self.append_once(signer, catch_up(), known, decide)
            if not attempt.taken:
                return attempt.line
        raise _broken("the next number is always taken")

    def append_once(
        self,
        signer: Signer,
        place: Place,
        known: Callable[[str], bool],
        decide: Callable[[], Decided | None],
    ) -> Attempt:
        """The same at one place. A clock that is behind takes the last line's time."""
        decided = decide()
        if decided is None:
            return Attempt(None, taken=False)
        kind, fields = decided
        own = x509.load_pem_x509_certificates(signer.certificate_pem)[0]
        by = statement.fingerprint(own)
        pem = b"" if known(by) else signer.certificate_pem
        introduction = {"certificate": pem.decode("ascii")} if pem else {}
        said, body, salted = self._with_body(kind, fields)
        utc_ns = max(self._now_ns(), place.utc_ns)
        line = signed_line(signer, place, kind, said | introduction, by, utc_ns)
        if len(line) > LINE_LIMIT:  # nobody could read it, and everybody must
            raise ValueError(f"a {kind!r} line would have {len(line):,} bytes")
        self._beside(by, pem, salted)
        if not self._create(line):
            return Attempt(None, taken=True)
        return Attempt(parse(line)._replace(body=body), taken=False)

    def _beside(self, by: str, pem: bytes, salted: bytes) -> None:
        """What a line names is there before it: its body, and the certificate of a signer that it
        introduces. Where the line is lost, the others that he signed are still known as lines."""
        if pem:
            self._once(store_keys.signer(by), pem)
        if salted:
            self._once(store_keys.body(hashlib.sha256(salted).hexdigest()), salted)

    def _once(self, key: str, data: bytes) -> None:
        try:
            self._store.create(key, BytesBody(data))
        except StoreError as error:
            if error.trouble is not StoreTrouble.EXISTS:
                raise

    def signer(self, by: str) -> str:
        """A signer's certificates as they lie beside the lines; "" where there are none."""
        try:
            return self._store.read(store_keys.signer(by), PEM_LIMIT).decode("ascii", "replace")
        except StoreError as error:
            if error.trouble not in (StoreTrouble.MISSING, StoreTrouble.REFUSED):
                raise
            return ""

    def _with_body(
        self, kind: str, fields: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any], bytes]:
        """The line's fields, with the digest of its body; the body, and its bytes."""
        said, body = split(kind, fields)
        if not body:
            return said, {}, b""
        salted = canonical_json.encode({**body, "salt": self._entropy.token(SALT_BYTES).hex()})
        if len(salted) > BODY_LIMIT:
            raise CustodyError("That is too long to be written down.", "Say it in fewer words.")
        return {**said, "body": hashlib.sha256(salted).hexdigest()}, body, salted

    def _body(self, line: CustodyLine) -> dict[str, Any] | None:
        digest = line.fields.get("body")
        return read_body(self._store, digest) if digest is not None else {}

    def _read(self, stored: Stored) -> CustodyLine | None:
        """None where it is no line."""
        if stored.length > LINE_LIMIT:
            return None
        try:
            return parse(self._store.read(stored.key, LINE_LIMIT))
        except CustodyError:
            return None
        except StoreError as error:
            if error.trouble not in (StoreTrouble.MISSING, StoreTrouble.REFUSED):
                raise
            return None

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
                if gone.trouble is StoreTrouble.REFUSED:
                    return False  # something else, and longer than a line
                if gone.trouble is not StoreTrouble.MISSING:
                    raise
                if error.trouble is StoreTrouble.EXISTS:
                    raise CustodyError(
                        f"Something that is no object, or is hidden, stands at {key}, where the "
                        "next line belongs.",
                        "Find out who put it there, and move it away.",
                    ) from None
                raise error from None
        return True

    def _now_ns(self) -> int:
        return self._clock.utc().utc_ns


def read_body(store: EvidenceStore, digest: object) -> dict[str, Any] | None:
    """What a body says, without its salt; None where it is gone, or is not what the digest says."""
    if not isinstance(digest, str) or not Hex(64).fits(digest):
        return None
    try:
        data = store.read(store_keys.body(digest), BODY_LIMIT)
    except StoreError as error:
        if error.trouble in (StoreTrouble.MISSING, StoreTrouble.REFUSED):
            return None
        raise
    if hashlib.sha256(data).hexdigest() != digest:
        return None
    try:
        said = canonical_json.decode(data)
    except ValueError:
        return None
    said.pop("salt", None)
    # Texts alone: whether a line counts must not hang on a body that may be gone tomorrow.
    texts = all(isinstance(value, str) for value in said.values())
    return said if texts and not RESERVED & said.keys() else None


def _continues(line: CustodyLine, head: Head) -> bool:
    """Whether it is the next, behind as many objects set aside as it says."""
    return (
        line.fields["prev"] == head.digest
        and line.number == head.number + line.aside + 1
        and 0 <= line.aside <= ASIDE_LIMIT
    )


def _why(line: CustodyLine, head: Head, aside: SetAside) -> str:
    if line.fields["prev"] != head.digest and line.number == head.number + 1:
        return f"line {line.number} does not continue line {head.number}"
    missing = head.number + aside.numbers + 1
    if line.number > missing:
        return f"line {missing} is missing, and line {line.number} is there"
    return f"line {line.number} does not continue line {head.number}: what stood between is changed"


def signed_line(
    signer: Signer,
    place: Place,
    kind: str,
    fields: Mapping[str, Any],
    by: str,
    utc_ns: int,
) -> bytes:
    """A line's object. Raises `ValueError` for fields that are not its writer's to say."""
    if taken := (RESERVED - {"certificate"}) & fields.keys():
        raise ValueError(f"reserved names in a custody line: {sorted(taken)}")
    head, aside, _ = place
    if aside > ASIDE_LIMIT:
        raise _broken(f"{aside} objects that are no line stand behind line {head.number}")
    common = {
        "v": VERSION, "n": head.number + aside + 1, "prev": head.digest, "utc_ns": utc_ns,
        "kind": kind, "by": by, **({"aside": aside} if aside else {}),
    }  # fmt: skip
    signed = canonical_json.encode({**fields, **common})
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
    types = {"v": int, "n": int, "prev": str, "utc_ns": int, "kind": str, "by": str}
    if any(type(fields.get(name)) is not kind for name, kind in types.items()):
        raise _broken("a line lacks a field")
    if not Hex(64).fits(fields["by"]):
        raise _broken("a line names no signer")
    if fields["v"] != VERSION or type(fields.get("aside", 0)) is not int:
        raise _broken("a line has another version")
    digest = hashlib.sha256(raw.removesuffix(b"\n")).hexdigest()
    return CustodyLine(fields, signed, said, digest)


START = Head(0, GENESIS)


def _broken(what: str) -> CustodyError:
    return CustodyError(
        f"The custody ledger is broken: {what}.",
        "Nothing is decided on it any more; compare it with a replica, and find out who wrote it.",
    )
