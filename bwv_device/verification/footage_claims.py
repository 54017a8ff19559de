"""What a ledger says of each file of footage (rules: docs/format.md, 3.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bwv_device.formats.grammar.ledger_kinds import Checkpoint, Open, Recovered, Seal, Still, Sync


@dataclass(slots=True)
class Claim:
    """What the ledger says of a file. `pictures` and `end_pts_ns` of a sealed segment; of a still
    `end_pts_ns` is when it was taken."""

    name: str
    recording: str = ""
    head: bytes = b""
    attested_length: int = 0
    attested_sha256: str = ""
    length: int | None = None
    sha256: str = ""
    plaintext_sha256: str = ""
    plaintext_length: int = 0
    first_pts_ns: int | None = None
    end_pts_ns: int | None = None
    pictures: int = 0
    parameter_sets: str = ""
    settled: str = ""
    wiped: bool = False


class ClaimError(ValueError):
    """A line that breaks the rules for its kind."""


def follow(claims: dict[str, Claim], boot: int, said: Any) -> None:
    """Keeps what the ledger claims of each file; `said` is a line's typed value. A boot writes
    files of its own; of earlier ones it may only say how recovery found them: whoever has a stolen
    device key can write new boots, and must not speak for old ones. Raises `ClaimError`."""
    if isinstance(said, Checkpoint):
        _checkpoint(claims, boot)
    keep = _CLAIMS.get(type(said))
    if keep is None:
        return
    name, of_boot = said.segment, int(said.segment[:8])
    if (of_boot == boot) is isinstance(said, Recovered) or of_boot > boot:
        raise ClaimError(f"speaks of {name}, which is not this boot's to speak of")
    claim = claims.get(name)
    if isinstance(said, Open | Still) and claim is not None:
        raise ClaimError(f"begins {name} again")
    if isinstance(said, Sync | Seal) and claim is None:
        raise ClaimError(f"speaks of {name}, which was never opened")
    if claim is not None and claim.settled:
        raise ClaimError(f"speaks of {name}, which was {claim.settled} before")
    claim = claim or Claim(name)
    keep(claim, said)
    claims[name] = claim


def _checkpoint(claims: dict[str, Claim], boot: int) -> None:
    """The next boot of the camera reads no further back: what is open would be forgotten."""
    own = f"{boot:08d}-"
    for name, claim in claims.items():
        if name.startswith(own) and not claim.settled:
            raise ClaimError(f"says that nothing is open, and {name} is")


def _claim_open(claim: Claim, said: Open) -> None:
    claim.recording = said.recording
    claim.head = said.header.encode() + bytes.fromhex(said.nonce)
    claim.first_pts_ns = said.first_pts_ns
    claim.parameter_sets = said.parameter_sets or ""


def _claim_sync(claim: Claim, said: Sync) -> None:
    if said.length <= claim.attested_length:
        raise ClaimError("attests no more than was attested before")
    claim.attested_length, claim.attested_sha256 = said.length, said.sha256


def _claim_seal(claim: Claim, said: Seal) -> None:
    claim.settled = "sealed"
    claim.length, claim.sha256 = said.length, said.sha256
    claim.plaintext_sha256 = said.plaintext_sha256
    claim.plaintext_length = said.plaintext_length or 0
    claim.pictures, claim.end_pts_ns = said.video_units or 0, said.end_pts_ns


def _claim_still(claim: Claim, said: Still) -> None:
    claim.settled, claim.recording = "sealed", said.recording
    claim.end_pts_ns = said.pts_ns
    if said.header is not None and said.nonce is not None:
        claim.head = said.header.encode() + bytes.fromhex(said.nonce)
    claim.length, claim.sha256 = said.length, said.sha256


def _claim_recovered(claim: Claim, said: Recovered) -> None:
    if said.attested_length != claim.attested_length:
        raise ClaimError(f"misstates what was attested of {claim.name}")
    claim.settled = "recovered"
    claim.recording = claim.recording or said.recording
    claim.length, claim.sha256 = said.length, said.sha256


_CLAIMS: dict[type, Callable[[Claim, Any], None]] = {
    Open: _claim_open,
    Sync: _claim_sync,
    Seal: _claim_seal,
    Still: _claim_still,
    Recovered: _claim_recovered,
}
