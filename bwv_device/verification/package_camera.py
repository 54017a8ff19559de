"""What a camera's own lines in a package prove of its sealed files (docs/format.md, 11.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bwv_device.formats import age, signature
from bwv_device.formats.certificates import chain_leads_to
from bwv_device.formats.grammar.decode import GrammarError
from bwv_device.formats.grammar.ledger_kinds import Boot, Close, Open, Seal, typed
from bwv_device.formats.ledger_lines import Head, Line, parse_line
from bwv_device.verification.boot_key import BootKeyError, read_keys, require_certified
from bwv_device.verification.footage_claims import Claim, ClaimError, follow


@dataclass(slots=True)
class CameraLines:
    """`claims`: by a file's name. `parameter_sets`: digests that the `open` lines name."""

    device: str = ""
    claims: dict[str, Claim] = field(default_factory=dict)
    parameter_sets: set[str] = field(default_factory=set)
    lines: list[Line] = field(default_factory=list)
    # When each segment began and ended, by the camera's clock.
    times: dict[str, tuple[int, int]] = field(default_factory=dict)
    closed: Close | None = None

    def covers(self, first_utc_ns: int, last_utc_ns: int, differ_ns: int) -> bool:
        """Whether pictures of these times may be of this recording. Times of segments that have
        no end are not known."""
        if not self.times or None in (c.end_pts_ns for c in self._segments()):
            begin_ns = min((begin for begin, _ in self.times.values()), default=0)
            return first_utc_ns >= begin_ns - differ_ns
        begin_ns = min(begin for begin, _ in self.times.values())
        end_ns = max(end for _, end in self.times.values())
        return begin_ns - differ_ns <= first_utc_ns and last_utc_ns <= end_ns + differ_ns

    def holes(self) -> list[str]:
        """What of the lines must be there, and is not."""
        numbers = sorted(int(claim.name[14:18]) for claim in self._segments())
        missing = sorted(set(range(1, max(numbers, default=0) + 1)) - set(numbers))
        first = min(numbers, default=1)
        told = [f"the camera's lines say nothing of segment {n}" for n in missing if n > first]
        sealed = sum(claim.settled == "sealed" for claim in self._segments())
        if self.closed is not None and self.closed.segments not in (None, sealed):
            told.append(
                f"the camera says that it sealed {self.closed.segments} segments, and its lines "
                f"name {sealed}"
            )
        return told

    def left_out(self, recording: str) -> list[str]:
        """Lines that the camera wrote between the recording's begin and its end, in its boot, and
        that are not here. What they say is known to the agency alone."""
        boot, own, numbers = 0, list[int](), set[int]()
        for line in self.lines:
            boot = int(line.fields["boot"]) if line.kind == "boot" else boot
            if boot != int(recording[:8]):
                continue
            numbers.add(line.number)
            if line.kind in ("open", "sync", "seal", "still", "close"):
                own.append(line.number)
        first, last = min(own, default=0), max(own, default=0)
        missing = last - first - sum(first <= number < last for number in numbers)
        few = f"{missing} of the camera's lines within this recording are left out"
        return [few] if missing else []

    def unfinished(self) -> list[str]:
        """What a camera that lost power, or a cut, leaves."""
        told = [f"{c.name} was never finished" for c in self._segments() if not c.settled]
        if self.closed is None:
            told.append("no line says that the recording ended")
        return told

    def _segments(self) -> list[Claim]:
        return [claim for claim in self.claims.values() if ".mp4" in claim.name]


def read_camera_lines(
    data: bytes, recording: str, roots: Sequence[x509.Certificate]
) -> CameraLines:
    """Raises `ValueError` unless each is signed by a boot key that a camera of these roots
    certified, and is about this recording."""
    found, key, boot = CameraLines(), None, 0
    offset_ns = dict[str, int]()
    *raws, rest = data.split(b"\n")
    if rest:
        raise ValueError("something stands behind the camera's lines")
    for raw in raws:
        line = parse_line(raw)
        try:
            said = typed(line.kind, line.fields)
        except GrammarError as error:
            raise ValueError(f"line {line.number} of the camera {error}") from None
        if isinstance(said, Boot):
            key, boot = _boot_key(line, said, found, roots), said.boot
        if key is None or not signature.verifies(key, line.signature, line.signed):
            raise ValueError(f"the signature of the camera's line {line.number} does not hold")
        _require_place(line, found.lines[-1:], recording)
        try:
            follow(found.claims, boot, said)
        except ClaimError as error:
            raise ValueError(f"the camera's line {line.number} {error}") from None
        if isinstance(said, Open) and said.parameter_sets:
            found.parameter_sets.add(said.parameter_sets)
        if isinstance(said, Open) and said.time is not None:
            offset_ns[said.segment] = said.time.utc_ns - said.first_pts_ns
        if isinstance(said, Open | Seal) and said.segment in offset_ns:
            _time(found, said, offset_ns[said.segment])
        if isinstance(said, Close):
            found.closed = said
        found.lines.append(line)
    if not found.claims:
        raise ValueError("the camera's lines name no file")
    return found


def _require_place(line: Line, before: Sequence[Line], recording: str) -> None:
    """Behind the line before it, and about this recording. Raises `ValueError`."""
    what = f"the camera's line {line.number}"
    if any(line.number <= one.number for one in before):
        raise ValueError(f"{what} is out of order")
    follows = [one.digest for one in before if line.number == one.number + 1]
    if follows and line.fields["prev"] != follows[0]:
        raise ValueError(f"{what} does not continue the one before")
    named = str(line.fields.get("segment") or line.fields.get("recording") or recording)
    if not named.startswith(recording):
        raise ValueError(f"{what} is about another recording")


def _time(found: CameraLines, said: Open | Seal, offset_ns: int) -> None:
    begin_ns, end_ns = found.times.get(said.segment, (0, 0))
    if isinstance(said, Open):
        begin_ns = said.first_pts_ns + offset_ns
    elif said.end_pts_ns is not None:
        end_ns = said.end_pts_ns + offset_ns
    found.times[said.segment] = begin_ns, max(begin_ns, end_ns)


def _boot_key(
    line: Line, said: Boot, found: CameraLines, roots: Sequence[x509.Certificate]
) -> ec.EllipticCurvePublicKey:
    try:
        keys = read_keys(said.boot, said)
        require_certified(keys, said, Head(line.number - 1, str(line.fields["prev"])))
    except BootKeyError as error:
        raise ValueError(f"the camera's line {line.number}: {error}") from None
    if found.device not in ("", keys.device):
        raise ValueError("the lines are of two cameras")
    if not any(chain_leads_to(keys.chain, root) for root in roots):
        raise ValueError("the camera is not of this agency")
    found.device = keys.device
    return keys.boot_key


class FileKeys:
    """An age identity that opens what a package gives the keys of."""

    def __init__(self, keys: Mapping[str, bytes], heads: Mapping[str, bytes]) -> None:
        """`keys` and the first bytes of the sealed files, by their names. Raises
        `SealedFileError`."""
        self._keys: dict[age.Stanza, bytes] = {}
        for name, key in keys.items():
            if name in heads:
                stanzas = age.parse_header(heads[name]).stanzas
                self._keys |= dict.fromkeys(stanzas, key)

    def unwrap(self, stanza: age.Stanza) -> bytes | None:
        return self._keys.get(stanza)
