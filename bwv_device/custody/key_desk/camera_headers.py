"""The header of a sealed file as the camera's own ledger gives it, out of what custody accepted.

Never out of a request, nor from the file: who asks could bring a neighbour's header under the name
of a recording that they may see (docs/format.md, 10.2).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cryptography import x509

from bwv_device.custody.intake.ledger_pieces import boot_ledger
from bwv_device.custody.ledger.index import Index
from bwv_device.errors import CustodyError, SealedFileError
from bwv_device.formats import age, signature
from bwv_device.formats.certificates import chain_leads_to
from bwv_device.formats.grammar.decode import GrammarError
from bwv_device.formats.grammar.ledger_kinds import Boot, Open, Still, typed
from bwv_device.formats.ledger_lines import Head, Line, parse_line, read_chain
from bwv_device.formats.vault_layout import SegmentName
from bwv_device.verification.boot_key import BootKeyError, BootKeys, read_keys, require_certified
from hal.ports import EvidenceStore, StoreError, StoreTrouble

# Boots whose lines are kept in memory: a shift is one or two, and is looked at in a row.
BOOTS_KEPT = 32
REMEDY = "Open it with 'bwv export' and the agency's identity; the ledger will say so."


class _Accepted(NamedTuple):
    """Where custody accepted a camera's ledger: heads of its lines in the file of one boot."""

    boot: int
    anchors: frozenset[tuple[int, str]]


@dataclass(slots=True)
class _BootLines:
    """Of one boot: who signed, and the lines that name a file, by the file's name."""

    keys: BootKeys
    named: dict[str, list[Line]] = field(default_factory=dict)


class CameraHeaders:
    """Of all cameras of one store."""

    def __init__(
        self, index: Index, store: EvidenceStore, roots: Sequence[x509.Certificate]
    ) -> None:
        self._index, self._store, self._roots = index, store, list(roots)
        self._read: OrderedDict[tuple[str, int, _Accepted], _BootLines] = OrderedDict()

    def of(self, device: str, segments: Sequence[str]) -> dict[str, age.Header]:
        """Raises `CustodyError` where no line that custody accepted gives one of them."""
        boots, headers = dict[int, _BootLines](), dict[str, age.Header]()
        for segment in segments:
            name = SegmentName.parse(segment)
            if name is None:
                raise CustodyError(f"{segment!r} is not a file's name.", "Name a file.")
            if name.boot not in boots:
                boots[name.boot] = self._lines(device, name.boot)
            headers[segment] = self._header(boots[name.boot], segment)
        return headers

    def _header(self, lines: _BootLines, segment: str) -> age.Header:
        found = lines.named.get(segment, [])
        if len(found) != 1:
            how = "no line" if not found else "more than one line"
            raise _refused(segment, f"{how} of the camera's accepted ledger names it")
        line = found[0]
        try:
            said = typed(line.kind, line.fields)
        except GrammarError as error:
            raise _refused(segment, f"the camera's line about it {error}") from None
        if not signature.verifies(lines.keys.boot_key, line.signature, line.signed):
            raise _refused(segment, "the signature of the camera's line about it does not hold")
        if not isinstance(said, Open | Still) or said.header is None:
            raise _refused(segment, "the camera's ledger does not give its header")
        try:
            return age.parse_header(said.header.encode("ascii"))
        except SealedFileError as error:
            raise _refused(segment, f"the header in the camera's ledger is none: {error}") from None

    def _lines(self, device: str, boot: int) -> _BootLines:
        """What was read once for these anchors need not be read again: accepted lines stay."""
        accepted = self._accepted(device, boot)
        key = device, boot, accepted
        if key not in self._read:
            self._read[key] = self._walk(device, boot, accepted)
            if len(self._read) > BOOTS_KEPT:
                self._read.popitem(last=False)
        self._read.move_to_end(key)
        return self._read[key]

    def _accepted(self, device: str, boot: int) -> _Accepted:
        """The first boot from `boot` on, in whose file a docking's anchor stands."""
        dockings = "n IN (SELECT n FROM dockings WHERE device = ? AND refused = '')"
        anchors = [line["anchor"] for line in self._index.lines(dockings, device)]
        first = min((a["boot"] for a in anchors if a["boot"] >= boot), default=None)
        if first is None:
            raise CustodyError(
                f"Custody has accepted no ledger of {device} that reaches boot {boot}.",
                "Wait until it is docked.",
            )
        heads = frozenset((a["number"], a["digest"]) for a in anchors if a["boot"] == first)
        return _Accepted(first, heads)

    def _walk(self, device: str, boot: int, accepted: _Accepted) -> _BootLines:
        """The lines of one boot from which the chain leads to an anchor."""
        data = self._file(device, boot)
        first, lines = self._begin(device, boot, data)
        found = [line for line, _ in read_chain(data, _before(first))]
        reached = self._reached(device, boot, found, accepted)
        for line in found:
            if line.number > reached:
                break
            name = line.fields.get("segment")
            if line.kind in ("open", "still") and isinstance(name, str):
                lines.named.setdefault(name, []).append(line)
        return lines

    def _file(self, device: str, boot: int) -> bytes:
        try:
            return boot_ledger(self._index, self._store, device, boot)
        except StoreError as error:
            if error.trouble not in (StoreTrouble.MISSING, StoreTrouble.REFUSED):
                raise
            raise _broken(device, boot, f"the store does not have it as it was: {error}") from None

    def _begin(self, device: str, boot: int, data: bytes) -> tuple[Line, _BootLines]:
        """The boot line, certified by the camera's certificate."""
        try:
            first = parse_line(data.partition(b"\n")[0])
            said = typed(first.kind, first.fields)
            if not isinstance(said, Boot):
                raise BootKeyError("its first line is no boot line")
            keys = read_keys(boot, said)
            require_certified(keys, said, _before(first))
        except (ValueError, GrammarError) as error:
            raise _broken(device, boot, str(error)) from None
        if keys.device != device or not any(chain_leads_to(keys.chain, r) for r in self._roots):
            raise _broken(device, boot, "another camera signed it")
        if not signature.verifies(keys.boot_key, first.signature, first.signed):
            raise _broken(device, boot, "the signature of its first line does not hold")
        return first, _BootLines(keys)

    def _reached(self, device: str, boot: int, lines: list[Line], accepted: _Accepted) -> int:
        """The last line of `boot` that lies in front of an anchor. What stands behind it is torn,
        or nobody accepted it yet."""
        if boot == accepted.boot:
            return _last_anchor(device, boot, lines, accepted)
        reached, behind = 0, lines
        for later in range(boot + 1, accepted.boot + 1):
            data = self._file(device, later)
            if not data:  # a power cut left it empty
                continue
            try:
                head = _before(parse_line(data.partition(b"\n")[0]))
            except ValueError as error:
                raise _broken(device, later, str(error)) from None
            if not any((line.number, line.digest) == head for line in behind):
                raise _broken(device, later, "it does not continue the boot before: it forked")
            reached = reached or head.number
            behind = [line for line, _ in read_chain(data, head)]
            if later == accepted.boot:
                _last_anchor(device, later, behind, accepted)
        return reached


def _last_anchor(device: str, boot: int, lines: list[Line], accepted: _Accepted) -> int:
    numbers = [x.number for x in lines if (x.number, x.digest) in accepted.anchors]
    if not numbers:
        raise _broken(device, boot, "it does not lead to what custody accepted")
    return numbers[-1]


def _before(line: Line) -> Head:
    return Head(line.number - 1, str(line.fields["prev"]))


def _broken(device: str, boot: int, why: str) -> CustodyError:
    return CustodyError(f"The ledger of {device}, boot {boot}, gives no header: {why}.", REMEDY)


def _refused(segment: str, why: str) -> CustodyError:
    return CustodyError(f"{segment}: its header is not opened: {why}.", REMEDY)
