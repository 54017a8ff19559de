"""Judges a vault with public keys only. Nothing of the agent is trusted here but the formats.

Walks every ledger file, line by line, then holds every file of footage against what the ledger
says of it.
"""

from __future__ import annotations

import enum
import hashlib
import json
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bwv_device.errors import VaultError
from bwv_device.evidence import signature
from bwv_device.evidence.claims import FILE_NAME, Claim, ClaimError, follow
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
        self._names: list[str] = []

    def run(self) -> None:
        report = self._report
        report.rooted = bool(self._roots)
        for path in sorted(self._folder.iterdir()):
            if _boot_number(path.name) is None or not _is_plain_file(path):
                report.problems.append(f"{DIRECTORY}/{path.name} is no ledger file")
            else:
                self._names.append(path.name)
        for name in self._names:
            self._read_file(name, int(name.removesuffix(SUFFIX)))
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
        torn = self._named_torn(name, data)
        whole = data[: len(data) - torn["length"]] if torn else data
        position = 0
        while (end := whole.find(b"\n", position)) >= 0:
            try:
                line = parse_line(whole[position:end])
            except ValueError:
                break
            if (line.number, line.fields["prev"]) != (self._head.number + 1, self._head.digest):
                self._report.problems.append(
                    f"{name}: line {line.number} does not continue line {self._head.number}"
                )
                return
            self._take(name, boot, line, first=position == 0)
            position = end + 1
        if torn and position == len(whole):
            self._torn.append(torn)
        elif position < len(data) or position == 0:
            rest = data[position:]
            digest = hashlib.sha256(rest).hexdigest()
            self._torn.append({"file": name, "length": len(rest), "sha256": digest})

    def _named_torn(self, name: str, data: bytes) -> dict[str, Any] | None:
        """What the next boot says is torn at the end of this file, if that is what stands there. A
        failed sync may leave one whole line in doubt, never more. The naming line is checked when
        the walk gets to it."""
        later = (_first_line(self._folder / other) for other in self._names if other > name)
        named = next((fields for fields in later if fields), {}).get("torn")
        for torn in named if isinstance(named, list) else []:
            if not isinstance(torn, dict) or torn.get("file") != name:
                continue
            length = torn.get("length")
            if type(length) is not int or not 0 < length <= len(data):
                return None
            rest = data[len(data) - length :]
            same = hashlib.sha256(rest).hexdigest() == torn.get("sha256")
            return torn if same and rest.count(b"\n") <= 1 else None
        return None

    def _take(self, name: str, boot: int, line: Line, *, first: bool) -> None:
        report = self._report
        if (line.kind == "boot") != first:
            report.problems.append(f"{name}: line {line.number} is a boot line out of place")
        if first:
            self._boot_line(name, boot, line)
        if self._key is None or not signature.verifies(self._key, line.signature, line.signed):
            report.problems.append(f"{name}: the signature of line {line.number} does not hold")
        try:
            follow(report.claims, boot, line)
        except ClaimError as error:
            report.problems.append(f"{name}: line {line.number} {error}")
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
            return (
                "the device certificate does not lead to the root given: another agency's camera, "
                "a forged vault, or the wrong root file"
            )
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


# --- footage -----------------------------------------------------------------------------------


def _check_footage(vault: Path, report: Report) -> None:
    folder = vault / FOOTAGE
    strangers = [p.name for p in vault.iterdir() if p.name not in (DIRECTORY, FOOTAGE)]
    report.problems += [f"{name!r} does not belong into a vault" for name in sorted(strangers)]
    present: dict[str, Path] = {}
    if folder.is_symlink():
        report.problems.append(f"{FOOTAGE} is a link")
    elif folder.is_dir():
        present = {path.name: path for path in sorted(folder.iterdir())}
    for name in [name for name, path in present.items() if not _is_plain_file(path)]:
        del present[name]
        report.problems.append(f"{name!r} is no plain file")
    for name, claim in report.claims.items():
        report.segments.append(_judge(claim, _take_file(present, name, claim)))
    for name, path in present.items():
        report.segments.append(_unclaimed(name, path, report))
    report.segments.sort(key=lambda verdict: verdict.name)


def _unclaimed(name: str, path: Path, report: Report) -> Verdict:
    """A file that the last boot began, but could not acknowledge, waits for the next boot."""
    length, own = path.stat().st_size, FILE_NAME.fullmatch(name.removesuffix(PART))
    last_boot = report.head.boot if report.head else 0
    if name.endswith(PART) and own and int(own[1]) == last_boot:
        return Verdict(name, "", Status.OPEN, length, 0, "begun, and never acknowledged")
    return Verdict(name, "", Status.UNKNOWN, length, 0, "no ledger line speaks of it")


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


def _is_plain_file(path: Path) -> bool:
    """No link, folder, pipe or device: those have no bytes of their own, or no end."""
    return stat.S_ISREG(path.lstat().st_mode)


def _first_line(path: Path) -> dict[str, Any]:
    """The fields of a file's first line; nothing where there is none."""
    with path.open("rb") as file:
        try:
            return parse_line(file.readline().rstrip(b"\n")).fields
        except ValueError:
            return {}


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
