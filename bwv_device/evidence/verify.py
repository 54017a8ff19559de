"""Judges a vault with public keys only. Nothing of the agent is trusted here but the formats.

Walks every ledger file, line by line, then holds every file of footage against what the ledger
says of it.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bwv_device.errors import VaultError
from bwv_device.evidence import signature
from bwv_device.evidence.ledger import (
    DIRECTORY,
    START,
    SUFFIX,
    Head,
    Line,
    boot_statement,
    parse_line,
)
from bwv_device.evidence.vault import FOOTAGE, PART
from bwv_device.keys import UNREADABLE_CERTIFICATE, chain_leads_to
from hal.ports import Anchor

BLOCK = 1 << 20

# What an altered certificate or key can make its parsers raise.
UNREADABLE = (KeyError, AttributeError, *UNREADABLE_CERTIFICATE)


class Status(enum.Enum):
    """What can be said of one file of footage."""

    SEALED = "sealed"
    RECOVERED = "recovered"
    OPEN = "unattested tail"
    MISSING = "missing"
    UNKNOWN = "not in the ledger"
    BAD = "bad"


GOOD = (Status.SEALED, Status.RECOVERED)


@dataclass(slots=True)
class Claim:
    """What the ledger says of a file."""

    name: str
    recording: str = ""
    head: bytes = b""
    attested_length: int = 0
    attested_sha256: str = ""
    length: int | None = None
    sha256: str = ""
    plaintext_sha256: str = ""
    first_pts_ns: int | None = None
    settled: str = ""


class Verdict(NamedTuple):
    name: str
    recording: str
    status: Status
    length: int
    attested_length: int
    detail: str


@dataclass(slots=True)
class Report:
    """`problems` are signs of change or loss; `remarks` are what a power cut leaves behind."""

    device: str = ""
    boots: int = 0
    lines: int = 0
    head: Anchor | None = None
    rooted: bool = False
    closed: bool = False
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    segments: list[Verdict] = field(default_factory=list)
    claims: dict[str, Claim] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """No sign that anything was changed or lost."""
        return not self.problems and all(v.status in (*GOOD, Status.OPEN) for v in self.segments)

    @property
    def complete(self) -> bool:
        """Beyond that: closed in order, nothing waits for a recovery."""
        return self.ok and self.closed and all(v.status in GOOD for v in self.segments)

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "complete": self.complete,
            "rooted": self.rooted,
            "device": self.device,
            "boots": self.boots,
            "lines": self.lines,
            "head": self.head._asdict() if self.head else None,
            "problems": self.problems,
            "remarks": self.remarks,
            "segments": [{**v._asdict(), "status": v.status.value} for v in self.segments],
        }


def verify(
    vault: Path, roots: Sequence[x509.Certificate] = (), anchors: Iterable[Anchor] = ()
) -> Report:
    """Reads everything under `vault`. Raises `VaultError` only where there is no vault at all."""
    if not (vault / DIRECTORY).is_dir():
        raise VaultError(f"{vault} is no vault: it has no {DIRECTORY} folder.", "Name the vault.")
    report = Report()
    _LedgerCheck(vault, roots, list(anchors), report).run()
    _check_footage(vault, report)
    return report


# --- ledger ----------------------------------------------------------------------------------


class _LedgerCheck:
    """Walks the chain over all ledger files."""

    def __init__(
        self,
        vault: Path,
        roots: Sequence[x509.Certificate],
        anchors: list[Anchor],
        report: Report,
    ) -> None:
        self._folder, self._roots, self._report = vault / DIRECTORY, roots, report
        self._anchors = anchors
        self._head: Head = START
        self._boot = 0
        self._key: ec.EllipticCurvePublicKey | None = None
        self._torn: list[dict[str, Any]] = []
        self._last: Line | None = None
        self._passed: dict[int, str] = {}

    def run(self) -> None:
        report = self._report
        report.rooted = bool(self._roots)
        for name in sorted(path.name for path in self._folder.iterdir()):
            boot = _boot_number(name)
            if boot is None or not (self._folder / name).is_file():
                report.problems.append(f"{DIRECTORY}/{name} is no ledger file")
                continue
            self._read_file(name, boot)
        if self._torn:
            report.remarks += [
                f"{torn['file']}: {torn['length']} bytes at the end are torn or altered"
                for torn in self._torn
            ]
        report.closed = not self._torn and self._last is not None and self._last.kind == "stop"
        if not report.closed:
            report.remarks.append("the ledger was not closed in order")
        if self._last is None:
            report.problems.append("the ledger holds no valid line")
        else:
            head = self._head
            report.head = Anchor(report.device, self._boot, head.number, head.digest)
        self._check_anchors()

    def _read_file(self, name: str, boot: int) -> None:
        data = (self._folder / name).read_bytes()
        position = 0
        while (end := data.find(b"\n", position)) >= 0:
            try:
                line = parse_line(data[position:end])
            except ValueError:
                break
            if (line.number, line.fields["prev"]) != (self._head.number + 1, self._head.digest):
                self._report.problems.append(
                    f"{name}: line {line.number} does not continue line {self._head.number}"
                )
                return
            self._take(name, boot, line, first=position == 0)
            position = end + 1
        if position < len(data) or position == 0:
            rest = data[position:]
            digest = hashlib.sha256(rest).hexdigest()
            self._torn.append({"file": name, "length": len(rest), "sha256": digest})

    def _take(self, name: str, boot: int, line: Line, *, first: bool) -> None:
        report = self._report
        if (line.kind == "boot") != first:
            report.problems.append(f"{name}: line {line.number} is a boot line out of place")
        if first:
            self._boot_line(name, boot, line)
        if self._key is None or not signature.verifies(self._key, line.signature, line.signed):
            report.problems.append(f"{name}: the signature of line {line.number} does not hold")
        try:
            _follow(report.claims, line, report.problems)
        except (KeyError, TypeError, ValueError):
            report.problems.append(f"{name}: line {line.number} lacks what its kind demands")
        self._head, self._last = Head(line.number, line.digest), line
        self._passed[line.number] = line.digest
        report.lines += 1

    def _boot_line(self, name: str, boot: int, line: Line) -> None:
        """The boot key is certified by the device key, the device by the agency."""
        report, fields = self._report, line.fields
        report.boots += 1
        self._boot, self._key = boot, None
        problem = self._certify(boot, line)
        if problem:
            report.problems.append(f"{name}: {problem}")
        if fields.get("torn", []) != self._torn:
            report.problems.append(
                f"{name}: what it found torn at boot is not what stands there now"
            )
        elif self._torn:
            report.remarks += [
                f"{torn['file']}: {torn['length']} torn bytes, named at the next boot"
                for torn in self._torn
            ]
        self._torn = []

    def _certify(self, boot: int, line: Line) -> str:
        fields, report = line.fields, self._report
        try:
            chain = x509.load_pem_x509_certificates(fields["certificate"].encode())
            device_key = chain[0].public_key()
            name = chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
            point = bytes.fromhex(fields["boot_key"])
            boot_key = signature.public_key(point)
            certified = bytes.fromhex(fields["device_signature"])
        except UNREADABLE:
            return "the boot line's keys can't be read"
        if fields.get("boot") != boot:
            return f"the boot counter is {fields.get('boot')}"
        if fields.get("device") != name or report.device not in ("", name):
            return "the device is not the one that the certificate names"
        report.device = str(name)
        statement = boot_statement(str(name), boot, point.hex(), self._head)
        if not isinstance(device_key, ec.EllipticCurvePublicKey) or not signature.verifies(
            device_key, certified, statement
        ):
            return "the device key did not certify this boot key"
        self._key = boot_key
        if self._roots and not any(chain_leads_to(chain, root) for root in self._roots):
            return "the device certificate does not lead to the agency's root"
        return ""

    def _check_anchors(self) -> None:
        for anchor in self._anchors:
            if anchor.device != self._report.device:
                self._report.problems.append(f"the anchor is of the device {anchor.device!r}")
            elif self._passed.get(anchor.number) != anchor.digest:
                self._report.problems.append(
                    f"the ledger does not contain line {anchor.number} of the anchor: its end was "
                    "cut off, or it is another ledger"
                )


def _follow(claims: dict[str, Claim], line: Line, problems: list[str]) -> None:
    """Keeps what the ledger claims of each file. Raises KeyError, TypeError, ValueError."""
    fields, kind = line.fields, line.kind
    if kind not in ("open", "sync", "seal", "recovered", "still", "wipe"):
        return
    name = str(fields["segment"])
    claim = claims.setdefault(name, Claim(name))
    if claim.settled and kind != "wipe":
        problems.append(f"line {line.number} speaks of {name}, which was {claim.settled} before")
        return
    if kind == "open":
        claim.recording = str(fields["recording"])
        claim.head = fields["header"].encode("ascii") + bytes.fromhex(fields["nonce"])
        claim.first_pts_ns = int(fields["first_pts_ns"])
    elif kind == "sync":
        claim.attested_length, claim.attested_sha256 = int(fields["length"]), str(fields["sha256"])
    else:
        claim.settled = {"seal": "sealed", "still": "sealed", "wipe": "wiped"}.get(kind, kind)
        if kind == "wipe":
            return
        claim.recording = str(fields["recording"]) if kind != "seal" else claim.recording
        claim.length, claim.sha256 = int(fields["length"]), str(fields["sha256"])
        claim.plaintext_sha256 = str(fields.get("plaintext_sha256", ""))
        if kind == "recovered" and fields["attested_length"] != claim.attested_length:
            problems.append(f"line {line.number} misstates what was attested of {name}")


# --- footage -----------------------------------------------------------------------------------


def _check_footage(vault: Path, report: Report) -> None:
    folder = vault / FOOTAGE
    present = {path.name: path for path in sorted(folder.iterdir())} if folder.is_dir() else {}
    strangers = [p.name for p in vault.iterdir() if p.name not in (DIRECTORY, FOOTAGE)]
    report.problems += [f"{name} does not belong into a vault" for name in sorted(strangers)]
    for name, claim in report.claims.items():
        if claim.settled != "wiped":
            report.segments.append(_judge(claim, _take_file(present, name, claim)))
        elif name in present:
            report.problems.append(f"{name} was wiped, and is there again")
    for name, path in present.items():
        length = path.stat().st_size
        detail = "no ledger line speaks of it"
        report.segments.append(Verdict(name, "", Status.UNKNOWN, length, 0, detail))
    report.segments.sort(key=lambda verdict: verdict.name)


def _take_file(present: dict[str, Path], name: str, claim: Claim) -> Path | None:
    """The file of a claim. Only a sealed one must have its final name."""
    candidates = [name] if claim.settled == "sealed" else [name + PART, name]
    for candidate in candidates:
        if candidate in present:
            return present.pop(candidate)
    return None


def _judge(claim: Claim, path: Path | None) -> Verdict:
    def verdict(status: Status, length: int, detail: str = "") -> Verdict:
        return Verdict(claim.name, claim.recording, status, length, claim.attested_length, detail)

    if path is None:
        # A file of which nothing was ever acknowledged may be gone after a power cut.
        if claim.settled == "recovered" and claim.length == 0:
            return verdict(Status.RECOVERED, 0, "nothing of it was stored")
        return verdict(Status.MISSING, 0, "the ledger speaks of it, the file is not there")
    length = path.stat().st_size
    attested, whole, head = _digests(path, claim)
    if head != claim.head:
        return verdict(Status.BAD, length, "its header is not the one in the ledger")
    if claim.attested_length and attested != claim.attested_sha256:
        return verdict(Status.BAD, length, "what was acknowledged is not what stands there")
    if claim.length is None:
        tail = length - claim.attested_length
        return verdict(Status.OPEN, length, f"{tail} bytes behind the last acknowledged one")
    if (length, whole) != (claim.length, claim.sha256):
        return verdict(Status.BAD, length, "length or digest differ from the ledger")
    if claim.settled == "sealed":
        return verdict(Status.SEALED, length)
    tail = length - claim.attested_length
    return verdict(Status.RECOVERED, length, f"{tail} bytes were found at the boot after")


def _digests(path: Path, claim: Claim) -> tuple[str, str, bytes]:
    """SHA-256 of the attested part, of the whole file, and the bytes where the header stands."""
    with path.open("rb") as file:
        head = file.read(len(claim.head))
        file.seek(0)
        if claim.settled == "sealed":
            whole = hashlib.file_digest(file, "sha256").hexdigest()
            return claim.attested_sha256, whole, head
        digest, left = hashlib.sha256(), claim.attested_length
        while left and (block := file.read(min(BLOCK, left))):
            digest.update(block)
            left -= len(block)
        attested = digest.hexdigest()
        while block := file.read(BLOCK):
            digest.update(block)
        return attested, digest.hexdigest(), head


def _boot_number(name: str) -> int | None:
    stem = name.removesuffix(SUFFIX)
    ours = name.endswith(SUFFIX) and len(stem) == 8 and stem.isascii() and stem.isdecimal()
    return int(stem) if ours else None


def parse_anchor(text: str) -> Anchor:
    """An anchor as JSON, alone or as the `ledger_head` of a status message."""
    try:
        value = json.loads(text)
        value = value.get("ledger_head", value)
        return Anchor(
            str(value["device"]), int(value["boot"]), int(value["number"]), str(value["digest"])
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise VaultError(
            "This is no ledger head.", "Give JSON with device, boot, number and digest."
        ) from None
