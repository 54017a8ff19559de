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
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

N_P256 = int("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551", 16)
SEGMENT = re.compile(r"[0-9]{8}-[0-9]{4}-[0-9]{4}\.(mp4|jpg)\.age")
RECORDING = re.compile(r"[0-9]{8}-[0-9]{4}")
DEVICE = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")
UNSEEN = re.compile(  # section 7: what makes a name look like something else
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
Fields = dict[str, Any]


def whole(first: int, last: int) -> Any:
    return lambda value: type(value) is int and first <= value <= last


def text(most: int, least: int = 0, *, name: bool = False, ascii_only: bool = False) -> Any:
    def fits(value: Any) -> bool:
        if not isinstance(value, str) or not least <= len(value) <= most:
            return False
        return not (name and UNSEEN.search(value)) and (value.isascii() or not ascii_only)

    return fits


def form(pattern: str | re.Pattern[str], *, or_none: bool = False) -> Any:
    exact = re.compile(pattern)
    return lambda value: (
        isinstance(value, str) and (exact.fullmatch(value) is not None or (or_none and value == ""))
    )


def one_of(*words: str) -> Any:
    return lambda value: isinstance(value, str) and value in words


def table(fields: str, *, exact: bool = False) -> Any:
    return lambda value: isinstance(value, dict) and misfit(fields, value, exact) == ""


def misfit(fields: str, value: Fields, exact: bool = False) -> str:
    """The first field that has not its form; `exact`: nothing else may be there."""
    specs = [re.split("([:?])", field) for field in fields.split()]
    for name, mark, kind in specs:
        if name not in value and mark == ":":
            return f"{name} is missing"
        if name in value and not FORMS[kind](value[name]):
            return f"{name} has a wrong form"
    odd = value.keys() - {name for name, _, _ in specs} if exact else ()
    return f"{min(odd)} must not be there" if odd else ""


def many(fits: Any, most: int) -> Any:
    return lambda value: isinstance(value, list) and len(value) <= most and all(map(fits, value))


LARGEST = (1 << 63) - 1
FORMS: dict[str, Any] = {  # section 7; those behind the blank line have a form of their own
    "count": whole(0, LARGEST), "positive": whole(1, LARGEST),
    "signed": whole(-LARGEST - 1, LARGEST),
    "moment": whole(0, (1 << 62) - 1), "percent": whole(0, 100), "boot": whole(1, 99_999_999),
    "boot0": whole(0, 99_999_999), "two": whole(2, 2),
    "digest": form("[0-9a-f]{64}"), "nonce": form("[0-9a-f]{32}"),
    "nonce0": form("[0-9a-f]{32}", or_none=True), "signature": form("[0-9a-f]{128}"),
    "point": form("[0-9a-f]{130}"), "device": form(DEVICE), "segment": form(SEGMENT),
    "segment0": form(SEGMENT, or_none=True), "recording": form(RECORDING),
    "recording0": form(RECORDING, or_none=True), "name": text(64, name=True),
    "word": text(200, 1, name=True), "text": text(4096), "short": text(64), "path": text(200),
    "yes": lambda value: isinstance(value, bool), "pem": text(16384, ascii_only=True),
    "said": text(65536, ascii_only=True), "file": text(15, ascii_only=True),
    "clock": one_of("none", "rtc", "ntp", "store"), "track": one_of("video", "audio"),
    "cause": one_of(
        "start", "power cut", "ledger fault", "segment fault", "numbers used up", "fork"
    ),
    "mark": one_of("informed", "moment", "remote"), "outcome": one_of("done", "refused", "failed"),

    "time": table("utc_ns:moment error_ns:count source:clock"),
    "torn": many(table("file:file length:count sha256:digest"), 4096),
    "ends": many(table("boot:boot number:positive digest:digest"), 4096),
    "video": table("width:positive height:positive fps:positive bitrate_bps:positive encoder:word"),
    "audio": table("sample_rate_hz:positive bitrate_bps:positive"),
    "before": table("requested_ms:count achieved_ms:count shortfall:text audio:word"),
    "texts": many(text(4096), 64), "words": many(text(200, 1, name=True), 16),
    "anchor": table("number:positive digest:digest", exact=True),
    "object": table("statement:said certificate:pem"),
}  # fmt: skip
KINDS = {  # section 3.5; a question mark: it may be absent
    "boot": "format:two device:device boot:boot boot_key:point certificate:pem cause:cause "
    "device_signature:signature torn?torn branches?ends config_sha256?short software?word "
    "time?time",
    "open": "segment:segment recording:recording header:said nonce:nonce first_pts_ns:moment "
    "index?count time?time trigger?word officer?name pressed_ns?moment video?video audio?audio "
    "pre_event?before follows?recording0 parameter_sets?digest",
    "sync": "segment:segment length:count sha256:digest chunks?count video_until_ns?moment",
    "seal": "segment:segment length:count sha256:digest plaintext_sha256:digest chunks?count "
    "plaintext_length?count video_units?count audio_units?count first_pts_ns?moment "
    "end_pts_ns?moment",
    "still": "segment:segment recording:recording length:count sha256:digest pts_ns:moment "
    "header?said nonce?nonce",
    "recovered": "segment:segment recording:recording0 length:count sha256:digest "
    "attested_length:count cause?word",
    "dock": "docked:yes nonce?nonce0",
    "custodian": "certificate:pem",
    "receipt": "segment:segment statement:said",
    "wipe": "segment:segment",
    "checkpoint": "offset:count recording:recording0 stills:count commands?count "
    "assignment?object officer?object",
    "recovery": "segments:count commands?count",
    "state": "from:word to:word event:word reason?text",
    "close": "recording:recording reason:text segments?count duration_ms?count",
    "cue": "light?word sound?word status?word vibration?word failed?word reason?text "
    "reminders?count",
    "marker": "marker:mark recording:recording at_ns:moment",
    "flag": "recording:recording by?word",
    "mute": "on:yes reason:text",
    "covert": "on:yes reason:text",
    "public-informed": "notice:word",
    "refused": "event:word conditions:texts",
    "gap": "track:track from_ns:signed to_ns:signed units:count reason:text recording?recording0",
    "fault": "part?word reason?text segment?path count?count",
    "capture": "part:word opened:texts missing:texts",
    "update": "release:word step:word reason:text",
    "power": "percent:percent band:word undervoltage:yes",
    "storage": "room:word minutes_left:count",
    "time": "time:time stepped_ns:signed",
    "greeting": "statement:said",
    "assignment": "statement:said certificate:pem",
    "command": "statement:said certificate:pem",
    "officer": "statement:said certificate:pem",
    "answer": "counter:count command:word outcome:outcome reasons:texts",
    "delivery": "outcome:word delivered:count kept:count waiting:count",
    "refusal": "segment:segment0 statement:said",
    "stop": "",
}
ROLES = [
    "intake", "configuration", "command", "custodian", "reviewer", "disclosure", "auditor",
    "retention", "software", "keydesk", "renderer",
]  # fmt: skip
RECEIPT = (  # section 6.3: these and no others
    "device:device boot:boot segment:segment length:count sha256:digest nonce:nonce anchor:anchor "
    "utc_ns:moment replicas:words hold:yes purpose:short by:digest"
)
FOLDERS, WISH = ("ledger", "footage", "update"), ("wanted", "wanted.part", "bundle")
FILE_KINDS = ("open", "sync", "seal", "still", "recovered")
LEDGER_NAME = re.compile(r"([0-9]{8})\.ledger", re.ASCII)
MALFORMED = (KeyError, ValueError, IndexError, TypeError, AttributeError)
UNPROVEN = (
    *(InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, x509.InvalidVersion),
    *(x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
END = b"-----END CERTIFICATE-----\n"
LONGEST = 1 << 20  # a line with its newline
LINE = re.compile(rb"(\{[^\n\t]*\})\t([0-9a-f]{128})", re.DOTALL)


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
        for path in self.vault.iterdir():
            if path.name not in FOLDERS or path.is_symlink() or not path.is_dir():
                self.complaints.append(f"{path.name} does not belong there")
            elif path.name == "update":
                odd = [p.name for p in path.iterdir() if p.name not in WISH or not plain(p)]
                self.complaints += [f"update/{name} does not belong there" for name in odd]
        ledgers: list[pathlib.Path] = []
        folder = self.vault / "ledger"
        for path in sorted(folder.iterdir() if folder.is_dir() else ()):
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
            wrong = misfit(KINDS.get(fields["kind"], ""), fields)
            if (fields["kind"] == "boot") is not (at == 0):
                wrong = "boot line out of place"
            if at == 0:
                self.docked, self.custodians, self.received = "", {}, set()
            if at == 0 and not wrong:
                key = self.boot_key(path.name, boot, fields)
                torn = fields.get("torn", [])
                if not self.ends and torn != self.loose_bytes:
                    self.complaints.append(f"{path.name}: torn ends are not as named")
                listed = torn if self.ends else self.loose_bytes
                self.loose_bytes = [t for t in self.loose_bytes if t not in listed]
            signed, signature = line.rsplit(b"\t", 1)
            if not wrong and (key is None or not signature_holds(key, signature, signed)):
                wrong = "its signature does not hold"
            if wrong:
                self.complaints.append(f"{path.name}: line {fields['n']}: {wrong}")
            self.number, self.previous = fields["n"], sha256(line)
            self.lines[self.number, self.previous] = boot
            self.last_kind = fields["kind"]
            if not wrong:
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
            chain, common, device_key, holds, key = boot_keys(fields)
        except (*MALFORMED, *UNPROVEN):
            self.complaints.append(f"{name}: the boot line can't be read")
            return None
        if fields["boot"] != boot:
            self.complaints.append(f"{name}: the boot counter is not the file's")
            return None
        if fields["device"] != common or self.device not in (None, common):
            self.complaints.append(f"{name}: another device")
            return None
        self.device = common
        if not holds:
            self.complaints.append(f"{name}: the boot key is not certified")
            return None
        self.device_keys.append(device_key)
        if self.roots and not any(leads_to(chain, root) for root in self.roots):
            self.complaints.append(f"{name}: the certificate leads to no root given")
        return key

    def follow(self, boot: int, fields: Fields) -> None:
        kind = fields["kind"]
        own = (file for name, file in self.files.items() if int(name[:8]) == boot)
        if kind == "checkpoint" and any(file["end"] is None for file in own):
            self.contradicted(f"line {fields['n']}: a checkpoint while a file is open")
        if kind not in FILE_KINDS:
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
        name = fields["segment"]
        own = int(name[:8]) == boot
        if own is (kind == "recovered") or int(name[:8]) > boot:
            return f"{name} is not for this boot to speak of"
        file = self.files.get(name)
        if file is None and kind in ("sync", "seal"):
            return f"{name} was never opened"
        if file is not None and (file["end"] is not None or kind in ("open", "still")):
            return f"{name} was there before"
        attested = file["sync"][0] if file and file["sync"] else 0
        if kind == "sync" and fields["length"] <= attested:
            return "sync lengths do not grow"
        if kind == "recovered" and fields["attested_length"] != attested:
            return "the attested length is not as synced"
        return ""

    # --- receipts and removals ----------------------------------------------------------------

    def follow_dock(self, fields: Fields) -> None:
        kind, name = fields["kind"], fields.get("segment")
        if kind == "dock":
            self.docked = fields.get("nonce", "")
        elif kind == "custodian":
            chain = certificates(fields["certificate"])
            if role_name(chain, self.roots) is None:
                self.contradicted(f"line {fields['n']}: no custodian of this agency")
            else:
                self.custodians[chain[0].fingerprint(hashes.SHA256()).hex()] = chain
        elif kind in ("receipt", "wipe"):
            file = self.files.get(str(name))
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
            same = canonical(said) == signed and allowed(said) and not misfit(RECEIPT, said, True)
            length = (said["length"], said["sha256"]) == file.get("whole")
            key = chain[0].public_key()
        except (*MALFORMED, *UNPROVEN, RecursionError):
            return False
        return bool(
            same and length and file["end"] is not None and not file.get("wiped")
            and re.fullmatch(rb"[0-9a-f]{128}", signature)
            and signature_holds(key, signature, signed)
            and role_name(chain, self.roots) == "intake"
            and said.get("purpose") == "bwv receipt v2"
            and (said.get("device"), said.get("segment")) == (self.device, name)
            and self.docked and said.get("nonce") == self.docked
            and (number, digest) in self.lines
        )  # fmt: skip

    # --- footage ------------------------------------------------------------------------------

    def judge_footage(self) -> None:
        folder = self.vault / "footage"
        folded = folder.is_dir() and not folder.is_symlink()
        there = {path.name: path for path in folder.iterdir()} if folded else {}
        odd = [name for name, path in there.items() if not plain(path)]
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
            empty = file["end"] == "recovered" and file["whole"][0] == 0
            return "recovered" if empty else "missing"
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


def boot_keys(fields: Fields) -> tuple[list[x509.Certificate], str, Any, bool, Any]:
    """Of a boot line: the certificates, whose, its key, whether it certified the boot's, that."""
    chain = certificates(fields["certificate"])
    common, device_key = camera_name(chain), chain[0].public_key()
    statement = {"purpose": "bwv boot key v2", "device": fields["device"]}
    statement |= {key: fields[key] for key in ("boot", "boot_key", "prev", "n")}
    certified = fields["device_signature"].encode()
    holds = signature_holds(device_key, certified, canonical(statement))
    point = bytes.fromhex(fields["boot_key"])
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    return chain, common, device_key, holds, key


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
    """No float anywhere, integers of 64 bits, whole characters, at most 16 levels."""
    if isinstance(value, int):
        return -(1 << 63) <= value < 1 << 63
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    if not isinstance(value, (dict, list)):
        return not isinstance(value, float)
    inner = [*value, *value.values()] if isinstance(value, dict) else value
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
    if not 1 <= fields["n"] < 1 << 62 or not 0 <= fields["t"] < 1 << 62:
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
    return all(map(issued, chain, [*chain[1:], root]))


def issued(subject: Any, issuer: Any) -> bool:
    """By a CA, with its signature (P-256, SHA-256)."""
    try:
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        issuer.public_key().verify(
            subject.signature, subject.tbs_certificate_bytes,
            ec.ECDSA(subject.signature_hash_algorithm),
        )  # fmt: skip
    except UNPROVEN:
        return False
    return bool(subject.issuer == issuer.subject)


def certificates(pem: str) -> list[x509.Certificate]:
    """Certificates and nothing else, in the one form of PEM; none where there is more."""
    try:
        parts = pem.encode("ascii").split(END)[:-1]
        chain = [x509.load_pem_x509_certificate(part + END) for part in parts]
        exact = "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in chain)
        return chain if exact == pem else []
    except (*MALFORMED, *UNPROVEN):
        return []


def role_name(chain: list[x509.Certificate], roots: Sequence[Any]) -> str | None:
    """The role of a certificate that a roles CA issued, below one of the roots given."""
    if not issued_by(chain, "roles CA") or unit(chain[0]) not in ROLES:
        return None
    return None if roots and not any(leads_to(chain, root) for root in roots) else unit(chain[0])


def camera_name(chain: list[x509.Certificate]) -> str:
    """The camera that a device CA certified. Raises `ValueError`."""
    name = common_name(chain[0]) if issued_by(chain, "device CA") else ""
    if DEVICE.fullmatch(name) is None or len(list(chain[0].subject)) != 1:
        raise ValueError("not a camera's certificate")
    return name


def issued_by(chain: list[x509.Certificate], ca: str) -> bool:
    return len(chain) == 2 and unit(chain[1]) == ca and leads_to(chain[:1], chain[1])


def unit(certificate: x509.Certificate) -> str:
    return the_one(certificate, x509.NameOID.ORGANIZATIONAL_UNIT_NAME)


def common_name(certificate: x509.Certificate) -> str:
    return the_one(certificate, x509.NameOID.COMMON_NAME)


def the_one(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    try:
        names = certificate.subject.get_attributes_for_oid(oid)
    except UNPROVEN:
        return ""
    return str(names[0].value) if len(names) == 1 else ""


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


def shown(text: str) -> str:
    """A name of a file may hold what makes a line say something else."""
    return "".join(c if c.isprintable() and not UNSEEN.match(c) else repr(c)[1:-1] for c in text)


def main() -> None:
    parser = argparse.ArgumentParser(description="A second opinion on a vault.")
    parser.add_argument("vault")
    parser.add_argument("--root", action="append", default=[])
    parser.add_argument("--anchor", action="append", default=[])
    parser.add_argument("--only", default="", help="judge the footage of this recording alone")
    options = parser.parse_args()
    pems = [pathlib.Path(path).read_bytes() for path in options.root]
    parts = [part for pem in pems for part in pem.split(END.strip())[:-1]]
    roots = [x509.load_pem_x509_certificate(part + END) for part in parts]
    if options.root and not roots:
        sys.exit("--root needs the agency's root certificate (PEM)")
    judge = Judge(options.vault, roots, [head_of(text) for text in options.anchor])
    judge.only = options.only
    word = judge.judge()
    for name in sorted(judge.verdicts):
        print(f"{judge.verdicts[name]:<18} {shown(name)}")
    for sentence in [*judge.complaints, *judge.loose]:
        print(f"                   {shown(sentence)}")
    print(word)
    sys.exit({"whole": 0, "changed": 1, "open": 2}[word])


if __name__ == "__main__":
    main()
