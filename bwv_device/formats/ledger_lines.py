"""Lines of the camera's signed ledger: their form, their chain, and reading them (docs/format.md,
3).

A line is canonical JSON, a tab, and the signature of this boot's key over the JSON. It holds its
number and the SHA-256 of the line before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from bwv_device.formats import canonical_json, signature
from bwv_device.formats.grammar.purposes import BOOT_KEY

GENESIS = "0" * 64
DIRECTORY = "ledger"
SUFFIX = ".ledger"
# Largest line with its newline. A card can be written by anybody, so reading stops here.
LINE_LIMIT = 1 << 20
# Numbers can still be added to within 64 bits.
LAST_LINE = (1 << 62) - 1
RESERVED = frozenset({"n", "prev", "t", "kind"})


class Line(NamedTuple):
    """A line as read: its fields, what was signed, the signature, and its digest."""

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


class Head(NamedTuple):
    """The end of a chain: the next line has number + 1 and names this digest."""

    number: int
    digest: str


START = Head(0, GENESIS)


class Torn(NamedTuple):
    """Bytes behind the last valid line of an older ledger file, as found at boot."""

    file: str
    length: int
    sha256: str


def boot_statement(device: str, boot: int, boot_key: str, head: Head) -> bytes:
    """What the device key signs to certify a boot key."""
    return canonical_json.encode(
        {
            "purpose": BOOT_KEY,
            "device": device,
            "boot": boot,
            "boot_key": boot_key,
            "prev": head.digest,
            "n": head.number + 1,
        }
    )


def branches_head(ends: Sequence[tuple[int, int, str]]) -> Head:
    """What the first line behind a fork continues: all branches. `ends` are the last lines of the
    branches, (boot, number, digest), in order of boot (docs/format.md, 3.7)."""
    named = [{"boot": boot, "number": number, "digest": digest} for boot, number, digest in ends]
    digest = hashlib.sha256(canonical_json.encode({"branches": named})).hexdigest()
    return Head(max(number for _, number, _ in ends), digest)


def ledger_path(boot: int) -> str:
    return f"{DIRECTORY}/{boot:08d}{SUFFIX}"


def boot_of(name: str) -> int | None:
    """The boot of a ledger file, by its name; None where it is no name of one."""
    stem = name.removesuffix(SUFFIX)
    ours = name.endswith(SUFFIX) and len(stem) == 8 and stem.isascii() and stem.isdecimal()
    return int(stem) if ours else None


def parse_line(raw: bytes) -> Line:
    """A line without its newline. Raises `ValueError` unless it is canonical throughout."""
    if len(raw) >= LINE_LIMIT:
        raise ValueError("it is longer than a line may be")
    signed, tab, tail = raw.rpartition(b"\t")
    said = signature.from_hex(tail)
    if not tab or said is None:
        raise ValueError("no signature of 128 lower-case hex digits behind a tab")
    fields = canonical_json.decode(signed)
    for name, kind in (("n", int), ("prev", str), ("t", int), ("kind", str)):
        if type(fields.get(name)) is not kind:
            raise ValueError(f"the field {name!r} is missing or of a wrong type")
    if not 1 <= fields["n"] <= LAST_LINE or not 0 <= fields["t"] <= LAST_LINE:
        raise ValueError("its number or its time is beyond what there can be")
    return Line(fields, signed, said, hashlib.sha256(raw).hexdigest())


def read_chain(data: bytes, head: Head) -> Iterator[tuple[Line, int]]:
    """Lines that continue `head`, each with the offset behind it; ends at the first that does not.

    Checks form and chain, not signatures: this is how a camera finds its place after a power cut.
    """
    return chain_of_blocks((data,), head)


def chain_of_blocks(
    blocks: Iterable[bytes], head: Head, offset: int = 0
) -> Iterator[tuple[Line, int]]:
    """The same of a file that may be larger than memory; `offset` is where its blocks begin."""
    held = b""
    for block in blocks:
        held, position = held + block, 0
        while (end := held.find(b"\n", position)) >= 0:
            try:
                line = parse_line(held[position:end])
            except ValueError:
                return
            if (line.number, line.fields["prev"]) != (head.number + 1, head.digest):
                return
            head, position = Head(line.number, line.digest), end + 1
            yield line, offset + position
        held, offset = held[position:], offset + position
        if len(held) >= LINE_LIMIT:
            return
