"""What a camera's own lines in a package prove of its sealed files (docs/format.md, 11.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bwv_device.formats import age, signature
from bwv_device.formats.certificates import chain_leads_to
from bwv_device.formats.grammar.decode import GrammarError
from bwv_device.formats.grammar.ledger_kinds import Boot, Open, typed
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


def read_camera_lines(
    data: bytes, recording: str, roots: Sequence[x509.Certificate]
) -> CameraLines:
    """Raises `ValueError` unless each is signed by a boot key that a camera of these roots
    certified, and is about this recording."""
    found, key, boot, number = CameraLines(), None, 0, 0
    for raw in data.split(b"\n")[:-1]:
        line = parse_line(raw)
        try:
            said = typed(line.kind, line.fields)
        except GrammarError as error:
            raise ValueError(f"line {line.number} of the camera {error}") from None
        if isinstance(said, Boot):
            key, boot = _boot_key(line, said, found, roots), said.boot
        if key is None or not signature.verifies(key, line.signature, line.signed):
            raise ValueError(f"the signature of the camera's line {line.number} does not hold")
        if line.number <= number:
            raise ValueError(f"the camera's line {line.number} is out of order")
        number = line.number
        named = str(line.fields.get("segment") or line.fields.get("recording") or recording)
        if not named.startswith(recording):
            raise ValueError(f"the camera's line {line.number} is about another recording")
        try:
            follow(found.claims, boot, said)
        except ClaimError as error:
            raise ValueError(f"the camera's line {line.number} {error}") from None
        if isinstance(said, Open) and said.parameter_sets:
            found.parameter_sets.add(said.parameter_sets)
        found.lines.append(line)
    if not found.claims:
        raise ValueError("the camera's lines name no file")
    return found


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
