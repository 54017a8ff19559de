"""A second opinion on a vault, written from docs/format.md alone.

Standard library and `cryptography`, nothing of bwv_device. Runs by itself:

    python second_verifier.py VAULT [--root ROOT.pem] [--anchor '{"device": …}'] [--only RECORDING]

Prints a verdict per file and one word for the vault; exits 0 (whole), 1 (changed), 2 (open).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

N_P256 = int("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551", 16)
SEGMENT = re.compile(r"[0-9]{8}-[0-9]{4}-[0-9]{4}\.(mp4|jpg)\.age")
HEX = {length: re.compile(f"[0-9a-f]{{{length}}}") for length in (32, 64)}
FORMS = {"segment": SEGMENT, "recording": re.compile(r"([0-9]{8}-[0-9]{4})?"), "nonce": HEX[32]}
FORMS |= {"header": re.compile(r"[\x00-\x7f]*"), "sha256": HEX[64], "plaintext_sha256": HEX[64]}
REQUIRED = {  # fields without a form are numbers, 0 or more
    "open": "segment recording header nonce first_pts_ns",
    "sync": "segment length sha256",
    "seal": "segment length sha256 plaintext_sha256",
    "still": "segment recording length sha256",
    "recovered": "segment recording length sha256 attested_length",
}
LEDGER_NAME = re.compile(r"([0-9]{8})\.ledger", re.ASCII)
MALFORMED = (KeyError, ValueError, IndexError, TypeError, AttributeError)
UNPROVEN = (
    *(InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, x509.InvalidVersion),
    *(x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
LONGEST = 1 << 20  # a line with its newline
LINE = re.compile(rb"(\{[^\n\t]*\})\t([0-9a-f]{128})", re.DOTALL)


Fields = dict[str, Any]


class Judge:
    """Collects complaints (something changed) and loose ends (not closed in order)."""

    def __init__(self, vault: Any, roots: Sequence[Any] = (), anchors: Sequence[Any] = ()) -> None:
        self.vault, self.roots, self.anchors = pathlib.Path(vault), roots, anchors
        self.complaints: list[str] = []
        self.loose: list[str] = []
        self.verdicts: dict[str, str] = {}
        self.lines: dict[tuple[int, str], int] = {(0, "0" * 64): 1}  # the boot each stands in
        self.ends: list[Fields] = [{"boot": 0, "number": 0, "digest": "0" * 64}]
        self.conflicts: list[str] = []
        self.parted, self.since = 0, 0  # boots: where branches part, and where they are named
        self.files: dict[str, Fields] = {}
        self.loose_bytes: list[Fields] = []
        self.previous, self.number, self.last_kind, self.last_boot = "0" * 64, 0, "", 0
        self.device: str | None = None
        self.device_keys: list[Any] = []
        self.only = ""
        self.docked, self.custodians, self.received = "", dict[str, Any](), set[str]()

    def judge(self) -> str:
        strangers = [path.name for path in self.vault.iterdir()]
        strangers = [name for name in strangers if name not in ("ledger", "footage")]
        self.complaints += [f"{name} does not belong there" for name in strangers]
        ledgers: list[pathlib.Path] = []
        for path in sorted((self.vault / "ledger").iterdir()):
            if LEDGER_NAME.fullmatch(path.name) is None or not plain(path):
                self.complaints.append(f"ledger/{path.name} does not belong there")
            else:
                ledgers.append(path)
        named = torn_names(ledgers)
        for path in ledgers:
            self.read_ledger(path, int(path.name[:8]), torn_as_named(path, named))
        self.complaints += self.conflicts
        if self.number == 0:
            self.complaints.append("no valid line at all")
        self.loose += [f"{torn['file']} is torn" for torn in self.loose_bytes]
        if self.last_kind != "stop":
            self.loose.append("the last line is not 'stop'")
        self.judge_footage()
        for head in self.anchors:
            same = (head["number"], head["digest"]) in self.lines
            if head["device"] != self.device or not same:
                self.complaints.append("the ledger head is not in this ledger")
            if "signature" in head and not any(head_signed(key, head) for key in self.device_keys):
                self.complaints.append("the ledger head is not signed by this camera")
        return "changed" if self.complaints else "open" if self.loose else "whole"

    # --- ledger -------------------------------------------------------------------------------

    def read_ledger(self, path: pathlib.Path, boot: int, named: Fields | None) -> None:
        at, size = 0, path.stat().st_size
        whole = size - (named["length"] if named else 0)
        file = path.open("rb")
        key: ec.EllipticCurvePublicKey | None = None
        while at < whole:
            raw = file.readline(min(LONGEST, whole - at))
            line = raw.removesuffix(b"\n")
            fields = well_formed(line) if line != raw else None
            if fields is None:
                break
            if not self.in_place(boot, fields, at == 0):
                self.complaints.append(f"{path.name}: line {fields['n']} is out of the chain")
                self.end_file(boot, at)
                return
            if (fields["kind"] == "boot") is not (at == 0):
                self.complaints.append(f"{path.name}: boot line out of place")
            if at == 0:
                key = self.boot_key(path.name, boot, fields)
                torn = fields.get("torn", [])
                if not self.ends and torn != self.loose_bytes:
                    self.complaints.append(f"{path.name}: torn ends are not as named")
                listed = torn if isinstance(torn, list) and self.ends else self.loose_bytes
                self.loose_bytes = [t for t in self.loose_bytes if t not in listed]
            signed, signature = line.rsplit(b"\t", 1)
            if key is None or not signature_holds(key, signature, signed):
                self.complaints.append(f"{path.name}: signature of line {fields['n']}")
            self.number, self.previous = fields["n"], sha256(line)
            self.lines[self.number, self.previous] = boot
            self.last_kind = fields["kind"]
            if at == 0:
                self.docked, self.custodians, self.received = "", {}, set()
            self.follow(boot, fields)
            self.follow_dock(fields)
            self.last_boot = boot
            at += len(raw)
        self.end_file(boot, at)
        if at < size or at == 0:
            digest, _ = rest_of(path, at)
            self.loose_bytes.append({"file": path.name, "length": size - at, "sha256": digest})

    def end_file(self, boot: int, length: int) -> None:
        if length:
            self.ends.append({"boot": boot, "number": self.number, "digest": self.previous})

    def in_place(self, boot: int, fields: Fields, first: bool) -> bool:
        """Whether a line continues what it may: sections 3.2 and 3.7."""
        link = (fields["n"] - 1, fields["prev"])
        if not first:
            return link == (self.number, self.previous)
        (self.number, self.previous), before = link, self.ends
        self.ends = [end for end in before if (end["number"], end["digest"]) != link]
        if len(self.ends) < len(before):
            return True
        if "branches" in fields:
            top = max(end["number"] for end in before)
            digest = sha256(canonical({"branches": before}))
            if len(before) > 1 and fields["branches"] == before and link == (top, digest):
                self.ends, self.conflicts, self.since = [], [], boot
                return True
        elif link in self.lines:
            self.conflicts.append(f"the ledger forks at boot {boot}")
            self.parted = min(self.parted or self.lines[link], self.lines[link])
            return True
        return False

    def boot_key(self, name: str, boot: int, fields: Fields) -> Any:
        """The public key of a boot, if device and agency stand behind it."""
        try:
            chain = x509.load_pem_x509_certificates(fields["certificate"].encode())
            common = chain[0].subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
            device_key = chain[0].public_key()
            statement = {"purpose": "bwv boot key v1", "device": fields["device"]}
            statement |= {key: fields[key] for key in ("boot", "boot_key", "prev", "n")}
            certified = fields["device_signature"].encode()
            holds = re.fullmatch(rb"[0-9a-f]{128}", certified) is not None and signature_holds(
                device_key, certified, canonical(statement)
            )
            point = bytes.fromhex(fields["boot_key"])
            if point.hex() != fields["boot_key"] or len(point) != 65:
                raise ValueError
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except (*MALFORMED, *UNPROVEN):
            self.complaints.append(f"{name}: the boot line can't be read")
            return None
        if fields["device"] != common or self.device not in (None, common):
            self.complaints.append(f"{name}: another device")
        if fields["boot"] != boot:
            self.complaints.append(f"{name}: the boot counter is not the file's")
        if not holds:
            self.complaints.append(f"{name}: the boot key is not certified")
        if self.roots and not any(leads_to(chain, root) for root in self.roots):
            self.complaints.append(f"{name}: the certificate leads to no root given")
        self.device = str(common)
        self.device_keys.append(device_key)
        return key

    def follow(self, boot: int, fields: Fields) -> None:
        kind = fields["kind"]
        if kind not in REQUIRED:
            return
        wrong = self.what_is_wrong(boot, kind, fields)
        if wrong:
            self.contradicted(f"line {fields['n']}: {wrong}")
            return
        file = self.files.setdefault(fields["segment"], {"end": None, "sync": None})
        if kind == "open":
            file["start"] = fields["header"].encode() + bytes.fromhex(fields["nonce"])
        elif kind == "sync":
            file["sync"] = (fields["length"], fields["sha256"])
        else:
            file["end"], file["whole"] = kind, (fields["length"], fields["sha256"])

    def contradicted(self, text: str) -> None:
        """Branches of a fork may contradict each other."""
        (self.conflicts if self.ends else self.complaints).append(text)

    def what_is_wrong(self, boot: int, kind: str, fields: Fields) -> str:
        """The rules of section 3.5, in words where one is broken."""
        for field in REQUIRED[kind].split():
            value, form = fields.get(field), FORMS.get(field)
            if form is None and (type(value) is not int or value < 0):
                return f"{field} is not a number"
            if form and (not isinstance(value, str) or not form.fullmatch(value)):
                return f"{field} has a wrong form"
        name = fields["segment"]
        own = int(name[:8]) == boot
        if own is (kind == "recovered") or int(name[:8]) > boot:
            return f"{name} is not for this boot to speak of"
        file = self.files.get(name)
        if file is None:
            return f"{name} was never opened" if kind in ("sync", "seal") else ""
        if file["end"] is not None or kind in ("open", "still"):
            return f"{name} was there before"
        attested = file["sync"][0] if file["sync"] else 0
        if kind == "sync" and fields["length"] <= attested:
            return "sync lengths do not grow"
        if kind == "recovered" and fields["attested_length"] != attested:
            return "the attested length is not as synced"
        return ""

    # --- receipts and removals ----------------------------------------------------------------

    def follow_dock(self, fields: Fields) -> None:
        kind, name = fields["kind"], fields.get("segment")
        if kind == "dock":
            nonce = fields.get("nonce") if fields.get("docked") is True else ""
            self.docked = nonce if isinstance(nonce, str) and HEX[32].fullmatch(nonce) else ""
        elif kind == "custodian":
            chain = certificates(fields.get("certificate"))
            if role_name(chain, self.roots) is None:
                self.contradicted(f"line {fields['n']}: no custodian of this agency")
            else:
                self.custodians[chain[0].fingerprint(hashes.SHA256()).hex()] = chain
        elif kind in ("receipt", "wipe"):
            file = self.files.get(name) if isinstance(name, str) else None
            if kind == "receipt" and file and self.receipt_holds(str(name), file, fields):
                self.received.add(str(name))
            elif kind == "wipe" and file and name in self.received and not file.get("wiped"):
                file["wiped"] = True
            else:
                self.contradicted(f"line {fields['n']}: {kind} of {name} does not hold")

    def receipt_holds(self, name: str, file: Fields, fields: Fields) -> bool:
        try:
            signed, signature = fields["statement"].encode("ascii").split(b"\t")
            said = json.loads(signed)
            chain = self.custodians[said["by"]]
            number, digest = said["anchor"]["number"], said["anchor"]["digest"]
            same = canonical(said) == signed and allowed(said) and type(number) is int
            length = (said["length"], said["sha256"]) == file.get("whole")
        except (*MALFORMED, RecursionError):
            return False
        return bool(
            same and length and file["end"] is not None and not file.get("wiped")
            and re.fullmatch(rb"[0-9a-f]{128}", signature)
            and signature_holds(chain[0].public_key(), signature, signed)
            and role_name(chain, self.roots) == "intake"
            and said.get("purpose") == "bwv receipt v1"
            and (said.get("device"), said.get("segment")) == (self.device, name)
            and self.docked and said.get("nonce") == self.docked
            and (number, digest) in self.lines
        )  # fmt: skip

    # --- footage ------------------------------------------------------------------------------

    def judge_footage(self) -> None:
        folder = self.vault / "footage"
        there = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
        odd = [name for name, path in there.items() if not plain(path) or folder.is_symlink()]
        self.complaints += [f"{name} is not a plain file" for name in odd]
        there = {name: path for name, path in there.items() if name not in odd}
        for name, file in list(self.files.items()):
            if not name.startswith(self.only):
                continue
            in_branch = self.parted <= int(name[:8]) < self.since
            if in_branch and file["end"] == "recovered" and file["whole"][0]:
                file["end"] = None
            finished = file["end"] in ("seal", "still")
            names = [name] if finished else [name + ".part", name]
            found = next((there.pop(n) for n in names if n in there), None)
            verdict = self.judge_file(file, found)
            lenient = in_branch and verdict == "unattested tail"
            self.verdicts[name] = "of a branch" if lenient else verdict
        for name in there:
            begun = name.endswith(".part") and SEGMENT.fullmatch(name[:-5])
            self.verdicts[name] = "not in the ledger"
            if begun and int(name[:8]) == self.last_boot:
                self.verdicts[name] = "unattested tail"
            elif begun and self.parted <= int(name[:8]) < self.since:
                self.verdicts[name] = "of a branch"
        for name, verdict in self.verdicts.items():
            if verdict in ("bad", "missing", "not in the ledger"):
                self.complaints.append(f"{name}: {verdict}")
            elif verdict == "unattested tail":
                self.loose.append(f"{name}: {verdict}")

    @staticmethod
    def judge_file(file: Fields, path: pathlib.Path | None) -> str:
        if path is None and file.get("wiped"):
            return "delivered"
        if path is None:
            return "recovered" if file.get("whole", (1,))[0] == 0 else "missing"
        data = path.read_bytes()
        if not data.startswith(file.get("start", b"")):
            return "bad"
        if file["sync"] and file["end"] not in ("seal", "still"):
            length, digest = file["sync"]
            if length > len(data) or sha256(data[:length]) != digest:
                return "bad"
        if file["end"] is None:
            return "unattested tail"
        if file["whole"] != (len(data), sha256(data)):
            return "bad"
        if file.get("wiped"):
            return "delivered"
        return "recovered" if file["end"] == "recovered" else "sealed"


def plain(path: pathlib.Path) -> bool:
    return path.is_file() and not path.is_symlink()


def torn_names(ledgers: list[pathlib.Path]) -> list[Fields]:
    """What first lines say is torn in older files."""
    named: list[Fields] = []
    for path in ledgers:
        with path.open("rb") as file:
            torn = (well_formed(file.readline(LONGEST).removesuffix(b"\n")) or {}).get("torn")
        entries = torn if isinstance(torn, list) else []
        named += [e for e in entries if isinstance(e, dict) and str(e.get("file")) < path.name]
    return named


def torn_as_named(path: pathlib.Path, named: list[Fields]) -> Fields | None:
    """What a later boot names as torn in this file, if that is what stands at its end."""
    size = path.stat().st_size
    for entry in named:
        length = entry.get("length")
        if entry.get("file") != path.name or type(length) is not int or not 0 < length <= size:
            continue
        digest, newlines = rest_of(path, size - length)
        if digest == entry.get("sha256") and newlines < 2:
            return entry
    return None


def rest_of(path: pathlib.Path, at: int) -> tuple[str, int]:
    """Digest of what stands behind a place in a file, and how many newlines are in it."""
    digest, newlines = hashlib.sha256(), 0
    with path.open("rb") as file:
        file.seek(at)
        while block := file.read(LONGEST):
            digest.update(block)
            newlines += block.count(b"\n")
    return digest.hexdigest(), newlines


def allowed(value: Any, level: int = 0) -> bool:
    """No float anywhere, integers of 64 bits, at most 16 levels."""
    if isinstance(value, int):
        return -(1 << 63) <= value < 1 << 63
    if not isinstance(value, (dict, list)):
        return not isinstance(value, float)
    inner = value.values() if isinstance(value, dict) else value
    return level < 16 and all(allowed(item, level + 1) for item in inner)


def well_formed(raw: bytes) -> Fields | None:
    """The fields of a line, or None."""
    match = LINE.fullmatch(raw) if len(raw) < LONGEST else None
    if match is None:
        return None
    try:
        fields = json.loads(match[1], parse_float=None)
        exact = canonical(fields) == match[1] and allowed(fields)
    except (ValueError, TypeError, RecursionError):
        return None
    kinds = {"n": int, "prev": str, "t": int, "kind": str}
    if not exact or any(type(fields.get(key)) is not kind for key, kind in kinds.items()):
        return None
    return dict(fields)


def canonical(value: Fields) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def signature_holds(key: Any, text: bytes, message: bytes) -> bool:
    """ECDSA P-256 in the form of section 3.2: the lower s only."""
    number = int(text, 16)
    r, s = number >> 256, number & ((1 << 256) - 1)
    if s > N_P256 >> 1 or not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def leads_to(chain: list[x509.Certificate], root: x509.Certificate) -> bool:
    for certificate, issuer in zip(chain, [*chain[1:], root], strict=True):
        try:
            if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                return False
            certificate.verify_directly_issued_by(issuer)
        except UNPROVEN:
            return False
    return True


def certificates(pem: Any) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode("ascii"))
    except (*MALFORMED, *UNPROVEN):
        return []


def role_name(chain: list[x509.Certificate], roots: Sequence[Any]) -> str | None:
    """The role of a certificate that a roles CA issued, below one of the roots given."""
    if len(chain) != 2 or unit(chain[1]) != "roles CA" or not leads_to(chain[:1], chain[1]):
        return None
    return None if roots and not any(leads_to(chain, root) for root in roots) else unit(chain[0])


def unit(certificate: x509.Certificate) -> str:
    try:
        names = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    except UNPROVEN:
        return ""
    return str(names[0].value) if names else ""


def head_signed(key: Any, head: Fields) -> bool:
    """Whether the device key signed this head (docs/mqtt.md, 3)."""
    names = ("device", "boot", "number", "digest", "utc_ms", "error_ms")
    try:
        said = {"purpose": "bwv head v1", **{name: head[name] for name in names}}
        return signature_holds(key, head["signature"].encode(), canonical(said))
    except (*MALFORMED, *UNPROVEN):
        return False


def head_of(text: str) -> Fields:
    """A ledger head: alone, in an MQTT state message, or in a file that a watch kept."""
    try:
        value = json.loads(
            text if text.lstrip().startswith("{") else pathlib.Path(text).read_text()
        )
        value = value["head"] if isinstance(value.get("head"), dict) else value
        if type(value["number"]) is int and isinstance(value["device"], str) and value["digest"]:
            return dict(value)
    except (OSError, RecursionError, *MALFORMED):
        pass
    sys.exit("--anchor needs a ledger head: JSON with device, boot, number and digest, or its file")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description="A second opinion on a vault.")
    parser.add_argument("vault")
    parser.add_argument("--root", action="append", default=[])
    parser.add_argument("--anchor", action="append", default=[])
    parser.add_argument("--only", default="", help="judge the footage of this recording alone")
    options = parser.parse_args()
    pems = [pathlib.Path(path).read_bytes() for path in options.root]
    roots = [root for pem in pems for root in x509.load_pem_x509_certificates(pem)]
    judge = Judge(options.vault, roots, [head_of(text) for text in options.anchor])
    judge.only = options.only
    word = judge.judge()
    for name in sorted(judge.verdicts):
        print(f"{judge.verdicts[name]:<18} {name}")
    for sentence in [*judge.complaints, *judge.loose]:
        print(f"                   {sentence}")
    print(word)
    sys.exit({"whole": 0, "changed": 1, "open": 2}[word])


if __name__ == "__main__":
    main()
