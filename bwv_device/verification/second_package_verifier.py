"""Judges a disclosure package, written from docs/format.md, 11, alone: the end of `verify.py`.

Standard library and `cryptography` from 38 on, nothing else of bwv_device than the two other second
opinions, with which it is joined into one file that runs by itself:

    python verify.py PACKAGE --root ROOT.pem

Prints why, and one answer; exits 0 (genuine and complete), 1 (not genuine) or 2 (genuine, with an
exception).
"""

from __future__ import annotations

import argparse
import base64
import binascii
import datetime
import hashlib
import json
import mmap
import pathlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from bwv_device.verification.second_film import Opened, Original, films_of, is_made_of
from bwv_device.verification.second_verifier import (
    FORMS,
    KINDS,
    MALFORMED,
    UNPROVEN,
    Fields,
    allowed,
    boot_keys,
    canonical,
    certificates,
    common_name,
    leads_to,
    many,
    misfit,
    one_of,
    role_name,
    shown,
    signature_holds,
    table,
    text,
    well_formed,
    whole,
)
from bwv_device.verification.second_video_verifier import (
    EXCEPTION,
    FALSE,
    GENUINE,
    Film,
    boxes,
    in_utc,
    nal_units,
)

ANSWERS = {
    GENUINE: "genuine and complete",
    EXCEPTION: "genuine, with this exception",
    FALSE: "not genuine",
}
SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
LISTED = re.compile(r"([0-9a-f]{64})  ([^\n\x00]{1,1024})")
NO_NAME = re.compile(  # of a key: what is not seen, spaces, and the sign that parts its text
    "[+\x00-\x20\x7f-\xa0\xad\u061c\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]"
)
STRAY = re.compile(r"\.DS_Store|Thumbs\.db|desktop\.ini|\._.*", re.DOTALL)  # of an operating system
STATEMENT, LIST, LINES, PEM, NOTE = 4 << 20, 16 << 20, 64 << 20, 16 << 10, 128 << 10
WHILE = ("open", "sync", "seal", "still", "close")
SECOND_NS, HOUR = 10**9, datetime.timedelta(hours=1)
UNSIGNED = ("unsigned pictures stand in front of others", "unsigned pictures in the middle")
NEVER_SIGNED = "nothing is signed"
LOG, COSIGNER, COSIGNER_MLDSA = 1, 4, 6
LENGTHS = {LOG: 32, COSIGNER: 32, COSIGNER_MLDSA: 1312}
FILM = table("name:title sha256:digest kind:film", exact=True)
SEALED = table("segment:segment sha256:digest", exact=True)
WITNESS = table("key:text url:address", exact=True)
REVOKED = table("certificate:digest utc_ns:moment reason:text", exact=True)
FORMS.update(
    title=text(200, 1, name=True), film=one_of("whole", "excerpt", "redacted"),
    address=text(512), films=many(FILM, 256), sealed=many(SEALED, 20_000),
    witnesses=many(WITNESS, 16), quorum=whole(0, 16), digests=many(FORMS["digest"], 16),
    revoked=many(REVOKED, 10_000), nonce32=FORMS["nonce"],
)  # fmt: skip
PACKAGE = (
    "store:nonce device:device recording:recording utc_ns:moment films:films sealed:sealed "
    "sums:digest purpose:short by:digest"
)
TRUST = (
    "version:positive store:nonce utc_ns:moment log:text witnesses:witnesses quorum:quorum "
    "outage_s:moment roles_cas:digests revoked:revoked purpose:short by:digest"
)


class Package:
    """Complaints (`false`) and exceptions about one package."""

    def __init__(self, folder: pathlib.Path, roots: Sequence[x509.Certificate]) -> None:
        self.folder, self.roots = folder, roots
        self.false, self.exceptions = list[str](), list[str]()
        self.said: Fields = {}
        self.signer: Any = None

    def judge(self) -> str:
        try:
            self.who()
            self.files()
            if not self.false:  # what is inside is nobody's word else
                camera = Camera(self.small("proof/camera.ledger", LINES), self)
                self.named_by(camera)
                self.films(camera)
                self.originals(camera)
                self.custody()
        except (*MALFORMED, *UNPROVEN, OSError, ArithmeticError, RecursionError, MemoryError) as e:
            self.false.append(f"it can't be judged: {e or type(e).__name__}")
        return FALSE if self.false else EXCEPTION if self.exceptions else GENUINE

    def small(self, name: str, limit: int) -> bytes:
        path = self.folder / name
        if path.is_symlink() or not path.is_file() or path.stat().st_size > limit:
            raise ValueError(f"{name} is missing, or too large")
        return path.read_bytes()

    # --- who says it, and which files belong to it ---

    def who(self) -> None:
        text, _, pem = self.small(SIGNATURE, STATEMENT).partition(b"\n")
        chain = certificates_of(pem)
        if role_name(chain, self.roots) != "disclosure":
            raise ValueError("it is not signed by whom the agency lets disclose")
        said = stated(text, chain)
        wrong = misfit(PACKAGE, said, exact=True)
        if wrong or said["purpose"] != "bwv package v1":
            raise ValueError(f"its signature says something else: {wrong}")
        self.said, self.signer = said, chain[0]

    def files(self) -> None:
        listing = self.small(SUMS, LIST)
        if hashlib.sha256(listing).hexdigest() != self.said["sums"]:
            self.false.append(f"{SUMS} is not the list that was signed")
            return
        rows = [LISTED.fullmatch(row) for row in listing.decode().splitlines()]
        if not all(rows):
            raise ValueError(f"{SUMS} has a line that is none")
        listed = {row[2]: row[1] for row in rows if row}
        present = set(self.present())
        self.false += [f"{name} does not belong to it" for name in sorted(present - set(listed))]
        for name, digest in sorted(listed.items()):
            if name not in present:
                self.false.append(f"{name} is missing")
            elif digest_of(self.folder / name) != digest:
                self.false.append(f"{name} was changed")
        for film in self.said["films"]:
            if listed.get(film["name"]) != film["sha256"]:
                self.false.append(f"{film['name']} is not the film that was signed")

    def present(self) -> Iterator[str]:
        for path in self.folder.rglob("*"):
            name = str(path.relative_to(self.folder))
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                self.false.append(f"{name} is no file of its own")
            elif (
                path.is_file() and name not in (SUMS, SIGNATURE) and not STRAY.fullmatch(path.name)
            ):
                yield name

    # --- the camera's lines ---

    def named_by(self, camera: Camera) -> None:
        if camera.device != self.said["device"]:
            self.false.append(f"the camera's lines are not of {self.said['device']}")
        signed = {row["segment"]: row["sha256"] for row in self.said["sealed"]}
        named = {n: c for n, c in camera.files.items() if c["end"] and c["length"]}
        for name, claim in named.items():
            if name not in signed:
                self.exceptions.append(f"{name} was recorded, and is not in custody")
            elif signed[name] != claim["sha256"]:
                self.false.append(f"{name} is not the file that the camera names")
        self.false += [f"{n}: the camera names no such file" for n in signed if n not in named]
        self.false += camera.holes()
        self.exceptions += [*camera.unfinished(), *camera.left_out(self.said["recording"])]

    # --- films ---

    def films(self, camera: Camera) -> None:
        if not self.said["films"]:
            self.false.append("no film is in it")
        for film in self.said["films"]:
            if film["kind"] == "redacted":
                self.exceptions.append(
                    f"{film['name']}: a redacted copy: what was covered is stated; what lies "
                    "beneath can be checked by the court with the original"
                )
            else:
                self.film(film["name"], film["kind"], camera)

    def film(self, name: str, kind: str, camera: Camera) -> None:
        """By what the camera signed inside of it."""
        judged = Film(self.roots)
        with (self.folder / name).open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            kinds = {kind for kind, _, _ in boxes(data, 0, len(data))}
            if data[4:8] != b"ftyp" or b"moof" in kinds:
                raise ValueError(f"{name} is no MP4, or one in fragments")
            judged.judge(nal_units(data))
        if kind == "whole":  # what its sealed originals hold may be unsigned inside
            told = [NEVER_SIGNED, *(UNSIGNED if not camera.unfinished() else ())]
            judged.exceptions += [text for text in judged.false if text in told]
            judged.false = [text for text in judged.false if text not in told]
            if not judged.proven and not judged.false:
                self.exceptions += [f"{name}: {text}" for text in dict.fromkeys(judged.exceptions)]
                return
        self.false += [f"{name}: {text}" for text in dict.fromkeys(judged.false)]
        self.exceptions += [f"{name}: {text}" for text in dict.fromkeys(judged.exceptions)]
        if judged.camera != camera.device:
            self.false.append(f"{name} is not of the camera {camera.device}")
        if not judged.shown <= camera.parameter_sets:
            self.false.append(f"{name} has other parameter sets than the ledger names")
        if judged.proven and not camera.covers(judged.first, judged.until):
            self.false.append(f"{name} was not taken while this recording lasted")

    def originals(self, camera: Camera) -> None:
        """A whole film must come out of its sealed originals, byte for byte."""
        whole_films = [film["name"] for film in self.said["films"] if film["kind"] == "whole"]
        folder, keys = self.folder / "proof/sealed", self.folder / "proof/keys.json"
        stills = sorted(p.name for p in self.folder.glob("*.jpg") if not STRAY.fullmatch(p.name))
        if not whole_films:
            if keys.is_file() or any(path.is_file() for path in folder.rglob("*")):
                self.false.append("sealed originals stand beside what is not the whole recording")
            self.exceptions += [f"{name}: nothing here proves this picture" for name in stills]
            return
        told = exactly(self.small("proof/keys.json", LIST))
        told = {name: from_hex(key, 16) for name, key in told.items()}
        originals = list[Original]()
        signed = {row["segment"] for row in self.said["sealed"]}
        for name, claim in sorted(camera.files.items()):
            path = folder / name
            there = path.is_file() and not path.is_symlink()
            if not there and name in signed:
                self.false.append(f"{name} is missing")
            if there and not as_claimed(path, claim):
                self.false.append(f"{name} is not what the camera names")
            key = told.get(name, b"")
            originals.append(Original(name, path if there else None, claim, key))
        made = {film[0]: film[1:] for film in films_of(self.said["recording"], originals)}
        for name in whole_films:
            with (self.folder / name).open("rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                if name not in made or not is_made_of(data, *made[name]):
                    self.false.append(f"{name} is not what its sealed originals hold")
        sealed = {original.name: original for original in originals}
        for name in stills:
            if not is_still(self.folder / name, sealed.get(name + ".age")):
                self.false.append(f"{name} is not what its sealed original holds")

    # --- custody ---

    def custody(self) -> None:
        told = exactly(self.small("proof/custody.json", LINES))
        forms = {"lines": list, "checkpoint": str, "trust": str}
        if any(type(told.get(name)) is not form for name, form in forms.items()):
            raise ValueError("custody's lines are none")
        trust = Trust(told["trust"], self.roots) if told["trust"] else None
        self.standing(trust)
        checkpoint = None
        if trust and trust.said["store"] != self.said["store"]:
            self.false.append("the trust list is of another store")
        if trust and told["checkpoint"]:
            checkpoint = Checkpoint(told["checkpoint"], trust)
        beyond = sum(not self.line(line, checkpoint) for line in told["lines"])
        if not told["lines"]:
            self.exceptions.append("custody's ledger says nothing of this recording alone")
        elif trust is None or checkpoint is None:
            self.exceptions.append("nobody outside the agency has seen custody's lines")
        elif not trust.said["quorum"] or len(checkpoint.witnesses) < trust.said["quorum"]:
            self.exceptions.append("no quorum of witnesses has seen custody's lines")
            self.exceptions += checkpoint.unread
        elif beyond:
            self.exceptions.append(f"{beyond} of custody's lines are newer than witnesses saw")

    def standing(self, trust: Trust | None) -> None:
        """Whether who disclosed it might do that then."""
        at = datetime.datetime.fromtimestamp(self.said["utc_ns"] // SECOND_NS, datetime.UTC)
        first, last = (in_utc(self.signer, f"not_valid_{end}") for end in ("before", "after"))
        if not first - HOUR <= at <= last:
            self.false.append("the certificate of who disclosed it was not valid then")
        mine = self.signer.fingerprint(hashes.SHA256()).hex()
        for row in trust.said["revoked"] if trust else ():
            if row["certificate"] == mine and self.said["utc_ns"] >= row["utc_ns"]:
                self.false.append("the certificate of who disclosed it was revoked")

    def line(self, line: Fields, checkpoint: Checkpoint | None) -> bool:
        """Whether the checkpoint covers it."""
        number, chain = line["number"], certificates_of(str(line["certificate"]).encode())
        if role_name(chain, self.roots) is None:
            raise ValueError("a line of custody is signed by nobody of the agency")
        signed = str(line["line"]).encode()
        fields = stated(signed, chain)
        about = [fields[name] for name in ("recording", "recordings", "found") if name in fields]
        mine = f"{self.said['device']}/{self.said['recording']}"
        if about[:1] not in ([mine], [[mine]]):
            self.false.append(f"custody's line {number} is about another recording")
        if fields.get("n") != number:
            self.false.append(f"custody's line {number} is another line")
        if checkpoint is None or number > checkpoint.size:
            return False
        if type(line["proof"]) is not list:
            raise ValueError("a proof is none")
        proof = [from_hex(digest, 32) for digest in line["proof"]]
        leaf = hashlib.sha256(b"\0" + hashlib.sha256(signed).digest()).digest()
        if not stands_in(leaf, number - 1, checkpoint.size, proof, checkpoint.root):
            self.false.append(f"custody's line {number} does not stand in the log")
        return True


class Camera:
    """The camera's lines about one recording. Raises `ValueError` where one does not count."""

    def __init__(self, data: bytes, package: Package) -> None:
        self.files: dict[str, Fields] = {}
        self.device, self.parameter_sets, self.ended = "", set[str](), None  # type: str, Any, Any
        self.offsets, self.times = dict[str, int](), dict[str, tuple[int, int]]()
        self.lines = list[tuple[int, Fields]]()
        recording, boot, key, number, previous = package.said["recording"], 0, None, 0, ""
        *raws, rest = data.split(b"\n")
        if rest:
            raise ValueError("something stands behind the camera's lines")
        for raw in raws:
            fields = well_formed(raw)
            wrong = misfit(KINDS.get(fields["kind"], ""), fields) if fields else "it is no line"
            if fields is None or wrong:
                raise ValueError(f"a line of the camera: {wrong}")
            if fields["kind"] == "boot":
                key, boot = self.booted(fields, package.roots), fields["boot"]
            signed, signature = raw.rsplit(b"\t", 1)
            if key is None or not signature_holds(key, signature, signed):
                raise ValueError("the signature of a line of the camera does not hold")
            named = str(fields.get("segment") or fields.get("recording") or recording)
            if fields["n"] <= number or not named.startswith(recording):
                raise ValueError("a line of the camera is out of order, or of another recording")
            if fields["n"] == number + 1 and self.lines and fields["prev"] != previous:
                raise ValueError("a line of the camera does not continue the one before")
            number, previous = fields["n"], hashlib.sha256(raw).hexdigest()
            self.lines.append((boot, fields))
            self.follow(boot, fields)
        if not self.files:
            raise ValueError("the camera's lines name no file")

    def booted(self, fields: Fields, roots: Sequence[x509.Certificate]) -> Any:
        chain, common, _, holds, key = boot_keys(fields)
        if fields["device"] != common or self.device not in ("", common) or not holds:
            raise ValueError("a boot of another camera, or one that it did not certify")
        if not any(leads_to(chain, root) for root in roots):
            raise ValueError("the camera is not of this agency")
        self.device = common
        return key

    def follow(self, boot: int, said: Fields) -> None:
        kind, name = said["kind"], said.get("segment", "")
        if kind == "checkpoint" and any(
            int(n[:8]) == boot and not file["end"] for n, file in self.files.items()
        ):
            raise ValueError("it says that nothing is open, and something is")
        if kind == "close":
            self.ended = said
        if kind not in ("open", "sync", "seal", "still", "recovered"):
            return
        file = self.files.get(name)
        if (int(name[:8]) == boot) is (kind == "recovered") or int(name[:8]) > boot:
            raise ValueError(f"{name} is not for this boot to speak of")
        if (kind in ("open", "still")) is (file is not None) and kind != "recovered":
            raise ValueError(f"{name} begins again, or never did")
        if file and file["end"]:
            raise ValueError(f"{name} had ended")
        file = self.files.setdefault(name, {
            "recording": "", "head": b"", "synced": (0, ""), "end": "", "length": None,
            "sha256": "", "plaintext_sha256": "", "began": None, "until": None,
        })  # fmt: skip
        getattr(self, "its_" + kind)(file, said)

    def its_open(self, file: Fields, said: Fields) -> None:
        file["recording"], file["began"] = said["recording"], said["first_pts_ns"]
        file["head"] = said["header"].encode() + bytes.fromhex(said["nonce"])
        if said.get("parameter_sets"):
            self.parameter_sets.add(said["parameter_sets"])
        if "time" in said:
            offset = said["time"]["utc_ns"] - said["first_pts_ns"]
            self.offsets[said["segment"]] = offset
            begin = said["first_pts_ns"] + offset
            self.times[said["segment"]] = begin, max(begin, 0)

    def its_sync(self, file: Fields, said: Fields) -> None:
        if said["length"] <= file["synced"][0]:
            raise ValueError("it attests no more than before")
        file["synced"] = said["length"], said["sha256"]

    def its_seal(self, file: Fields, said: Fields) -> None:
        file["end"], file["length"], file["sha256"] = "seal", said["length"], said["sha256"]
        file["plaintext_sha256"], file["until"] = said["plaintext_sha256"], said.get("end_pts_ns")
        if said["segment"] in self.offsets:
            begin, end = self.times[said["segment"]]
            if file["until"] is not None:
                end = file["until"] + self.offsets[said["segment"]]
            self.times[said["segment"]] = begin, max(begin, end)

    def its_still(self, file: Fields, said: Fields) -> None:
        file["recording"], file["until"] = said["recording"], said["pts_ns"]
        if "header" in said and "nonce" in said:
            file["head"] = said["header"].encode() + bytes.fromhex(said["nonce"])
        file["end"], file["length"], file["sha256"] = "still", said["length"], said["sha256"]

    def its_recovered(self, file: Fields, said: Fields) -> None:
        if said["attested_length"] != file["synced"][0]:
            raise ValueError("it misstates what was attested")
        file["recording"] = file["recording"] or said["recording"]
        file["end"], file["length"], file["sha256"] = "recovered", said["length"], said["sha256"]

    def segments(self) -> dict[str, Fields]:
        return {name: file for name, file in self.files.items() if ".mp4" in name}

    def holes(self) -> list[str]:
        numbers = {int(name[14:18]) for name in self.segments()}
        between = range(min(numbers, default=1), max(numbers, default=0))
        told = [f"the camera's lines say nothing of segment {n}" for n in between
                if n not in numbers]  # fmt: skip
        sealed = sum(file["end"] == "seal" for file in self.segments().values())
        if self.ended and self.ended.get("segments", sealed) != sealed:
            told.append("the camera sealed another number of segments than its lines name")
        return told

    def left_out(self, recording: str) -> list[str]:
        """How many lines of the recording's boot are missing between its begin and its end."""
        mine = [said for boot, said in self.lines if boot == int(recording[:8])]
        own = [said["n"] for said in mine if said["kind"] in WHILE]
        first, last = min(own, default=0), max(own, default=0)
        missing = last - first - sum(first <= said["n"] < last for said in mine)
        told = f"{missing} of the camera's lines within this recording are left out"
        return [told] if missing else []

    def unfinished(self) -> list[str]:
        told = [f"{n} was never finished" for n, file in self.segments().items() if not file["end"]]
        return told if self.ended else [*told, "no line says that the recording ended"]

    def covers(self, first: int, until: int) -> bool:
        """Whether pictures of these times may be of this recording, a second either way."""
        begin = min((begin for begin, _ in self.times.values()), default=0)
        if not self.times or any(file["until"] is None for file in self.segments().values()):
            return first >= begin - SECOND_NS
        end = max(end for _, end in self.times.values())
        return begin - SECOND_NS <= first and until <= end + SECOND_NS


class Trust:
    """The agency's trust list (8.4), by its root."""

    def __init__(self, text: str, roots: Sequence[x509.Certificate]) -> None:
        signed, _, pem = text.encode().partition(b"\n")
        chain = certificates_of(pem)
        if len(chain) != 1 or chain[0] not in roots:
            raise ValueError("the trust list is not signed by the agency's root")
        self.said = stated(signed, chain)
        wrong = misfit(TRUST, self.said, exact=True)
        self.log = NoteKey(self.said["log"])
        self.witnesses = [NoteKey(row["key"]) for row in self.said["witnesses"]]
        if wrong or self.said["purpose"] != "bwv trust v1":
            raise ValueError(f"the trust list says something else: {wrong}")
        if self.log.kind != LOG or self.log.name != f"bwv-custody/{self.said['store']}":
            raise ValueError("the trust list names another log")
        alike = len({(key.name, key.kind, key.public) for key in self.witnesses})
        if alike != len(self.witnesses) or any(key.kind == LOG for key in self.witnesses):
            raise ValueError("the trust list names a witness twice, or one that is none")
        if self.said["quorum"] > len({key.name for key in self.witnesses}):
            raise ValueError("the trust list wants more witnesses than it names")


class NoteKey:
    """A verifier key of signed notes: name, digest, kind and public key."""

    def __init__(self, text: str) -> None:
        self.name, _, rest = text.partition("+")
        digest, _, material = rest.partition("+")
        data = base64_of(material)
        if not data or LENGTHS.get(data[0]) != len(data) - 1 or not name_of_key(self.name):
            raise ValueError("a key of a kind that is not known")
        self.kind, self.public = data[0], data[1:]
        self.id = hashlib.sha256(self.name.encode() + b"\n" + data).digest()[:4]
        if self.id.hex() != digest:
            raise ValueError("a key whose digest is not its own")

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Raises `ImportError` where `cryptography` does not know ML-DSA yet."""
        try:
            if self.kind == COSIGNER_MLDSA:
                from cryptography.hazmat.primitives.asymmetric import mldsa  # noqa: PLC0415

                mldsa.MLDSA44PublicKey.from_public_bytes(self.public).verify(signature, message)
            else:
                ed25519.Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class Checkpoint:
    """How long the log is, its root, and which witnesses saw that."""

    def __init__(self, note: str, trust: Trust) -> None:
        data = note.encode()
        text, empty, tail = data.rpartition(b"\n\n")
        if len(data) > NOTE or not empty or not tail.endswith(b"\n") or {0, 13} & set(data):
            raise ValueError("the checkpoint is no note")
        self.text = text + b"\n"
        rows = self.text.decode().split("\n")[:-1]
        if len(rows) < 3 or not all(rows) or not re.fullmatch("0|[1-9][0-9]{0,18}", rows[1], re.A):
            raise ValueError("the checkpoint is none")
        self.origin, self.size, self.root = rows[0], int(rows[1]), base64_of(rows[2])
        if len(self.root) != 32 or self.size >= 1 << 63 or self.origin != trust.log.name:
            raise ValueError("the checkpoint is of another log")
        lines = tail.split(b"\n")[:-1]
        signatures = [signature_line(line) for line in lines]
        if not 0 < len(lines) <= 100:
            raise ValueError("the checkpoint has no signatures, or too many")
        if not any(self.by(trust.log, row) and trust.log.verifies(row[2], self.text)
                   for row in signatures):  # fmt: skip
            raise ValueError("the checkpoint is not signed by the log")
        self.unread = list[str]()
        self.witnesses = {key.name for key in trust.witnesses for row in signatures
                          if self.by(key, row) and self.saw(key, row[2])}  # fmt: skip

    @staticmethod
    def by(key: NoteKey, row: tuple[str, bytes, bytes]) -> bool:
        return row[:2] == (key.name, key.id)

    def saw(self, key: NoteKey, cosignature: bytes) -> bool:
        time, signature = cosignature[:8], cosignature[8:]
        when = int.from_bytes(time, "big")
        message = b"cosignature/v1\ntime %d\n" % when + self.text
        if key.kind == COSIGNER_MLDSA:
            message = b"subtree/v1\n\0" + b"".join(
                (short(key.name), time, short(self.origin), bytes(8),
                 self.size.to_bytes(8, "big"), self.root)
            )  # fmt: skip
        try:
            return when < 1 << 63 and key.verifies(signature, message)
        except ImportError:
            self.unread.append(f"what {key.name} says needs a newer 'cryptography' to be read")
            return False


def short(text: str) -> bytes:
    return bytes([len(text.encode())]) + text.encode()


def signature_line(line: bytes) -> tuple[str, bytes, bytes]:
    """Who, the first bytes of the key's digest, the signature."""
    dash, name, said = line.decode().split(" ")
    data = base64_of(said)
    if dash != "\u2014" or len(data) <= 4 or not name_of_key(name):
        raise ValueError("the checkpoint has a line that is no signature")
    return name, data[:4], data[4:]


def name_of_key(name: str) -> bool:
    return 0 < len(name.encode()) <= 255 and NO_NAME.search(name) is None


def base64_of(text: str) -> bytes:
    """Base64 in its one form; b"" where it is not."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data if base64.b64encode(data).decode() == text else b""


def stands_in(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    """RFC 9162, 2.1.3.2."""
    at, last = index, size - 1
    if not 0 <= index < size or len(proof) > 63:
        return False
    for sibling in proof:
        if last == 0:
            return False
        right = at & 1 or at == last
        pair = sibling + leaf if right else leaf + sibling
        leaf = hashlib.sha256(b"\1" + pair).digest()
        while right and at and not at & 1:
            at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
    return last == 0 and leaf == root


def certificates_of(pem: bytes) -> list[x509.Certificate]:
    chain = certificates(pem.decode("ascii")) if len(pem) <= PEM else []
    if not chain:
        raise ValueError("it brings no certificates, or more than these")
    return chain


def stated(text: bytes, chain: list[x509.Certificate]) -> Fields:
    """What the first of a chain signed: `json TAB signature` (6.1)."""
    signed, tab, signature = text.rpartition(b"\t")
    if not tab or not re.fullmatch(rb"[0-9a-f]{128}", signature):
        raise ValueError("it is no statement")
    if not signature_holds(chain[0].public_key(), signature, signed):
        raise ValueError("a signature does not hold")
    said = exactly(signed)
    if said.get("by") != chain[0].fingerprint(hashes.SHA256()).hex():
        raise ValueError("it names another certificate than it brings")
    return said


def exactly(data: bytes) -> Fields:
    """Canonical JSON (3.1)."""
    said = json.loads(data.decode("ascii"))
    if not isinstance(said, dict) or not allowed(said) or canonical(said) != data:
        raise ValueError("it is not in its one form")
    return said


def from_hex(digits: Any, length: int) -> bytes:
    if type(digits) is not str or not re.fullmatch(f"[0-9a-f]{{{2 * length}}}", digits):
        raise ValueError("digits are none, or of another number")
    return bytes.fromhex(digits)


def is_still(given: pathlib.Path, sealed: Original | None) -> bool:
    """Whether a picture is what its sealed original holds."""
    if sealed is None or sealed.path is None:
        return False
    try:
        opened = Opened(sealed.path.read_bytes(), sealed.claim["head"], sealed.key)
    except ValueError:
        return False
    return opened.whole and opened.sha256() == digest_of(given)


def as_claimed(path: pathlib.Path, claim: Fields) -> bool:
    """Whether a sealed file is what the camera's lines name, in its parts as well."""
    whole_file, part = hashlib.sha256(), hashlib.sha256()
    length, digest = claim["synced"] if claim["end"] == "recovered" else (0, "")
    at, left = 0, length
    with path.open("rb") as file:
        if file.read(len(claim["head"])) != claim["head"]:
            return False
        file.seek(0)
        while block := file.read(1 << 20):
            part.update(block[:left])
            left -= min(left, len(block))
            whole_file.update(block)
            at += len(block)
    if length and (left or part.hexdigest() != digest):
        return False
    return (at, whole_file.hexdigest()) == (claim["length"], claim["sha256"])


def digest_of(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description="Judges a disclosure package.")
    parser.add_argument("package", type=pathlib.Path)
    parser.add_argument("--root", type=pathlib.Path, required=True, help="the agency's root, PEM")
    words = parser.parse_args()
    if not (words.package / SUMS).is_file():
        sys.exit(f"{words.package} is not a package: it has no {SUMS}. Name its folder.")
    try:
        root = x509.load_pem_x509_certificate(words.root.read_bytes())
    except (OSError, ValueError):
        sys.exit(f"{words.root} is no certificate. Name the agency's root (PEM).")
    der = root.public_bytes(serialization.Encoding.DER)
    print(f"the agency's root given: {hashlib.sha256(der).hexdigest()} (compare it with paper)")
    package = Package(words.package, [root])
    answer = package.judge()
    if package.signer is not None:
        recording = f"{package.said['device']}/{package.said['recording']}"
        print(f"{shown(recording)}, disclosed by {shown(common_name(package.signer))}")
    for sentence in dict.fromkeys([*package.false, *package.exceptions]):
        print(f"  {shown(sentence)}")
    print(ANSWERS[answer])
    sys.exit({GENUINE: 0, FALSE: 1, EXCEPTION: 2}[answer])


if __name__ == "__main__":
    main()
