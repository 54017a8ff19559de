"""Judges a disclosure package with the agency's root alone (docs/format.md, 11)."""

from __future__ import annotations

import datetime
import hashlib
import mmap
import re
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509

from bwv_device.errors import SealedFileError, VaultError
from bwv_device.files import file_sha256, read_small
from bwv_device.formats import canonical_json, statement
from bwv_device.formats.age import HEADER_LIMIT
from bwv_device.formats.certificates import DISCLOSURE
from bwv_device.formats.grammar.statements import PackageStatement
from bwv_device.formats.media.credentials_box import without_manifest
from bwv_device.formats.statement import StatementError
from bwv_device.verification.export import export
from bwv_device.verification.footage_claims import Claim
from bwv_device.verification.package_camera import CameraLines, FileKeys, read_camera_lines
from bwv_device.verification.second_video_verifier import boxes, nal_units
from bwv_device.verification.tlog.checkpoint import SignedCheckpoint, cosigned, read_signed
from bwv_device.verification.tlog.merkle_tree import HASH_BYTES, leaf_hash, proves_inclusion
from bwv_device.verification.tlog.signed_note import NoteError
from bwv_device.verification.trust_list import Trust, read_trust_list
from bwv_device.verification.vault_report import FileStatus, FoundFile, Report, Survey
from bwv_device.verification.video_signatures import Answer, judge_video
from hal.ports import SECOND_NS

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
CUSTODY, CAMERA = "proof/custody.json", "proof/camera.ledger"
SEALED, KEYS = "proof/sealed", "proof/keys.json"
BLOCK = 1 << 20
# What operating systems leave in folders by themselves. Nobody reads them as a part of it.
STRAY = re.compile(r"\.DS_Store|Thumbs\.db|desktop\.ini|\._.*", re.DOTALL)
LISTED = re.compile(r"([0-9a-f]{64})  ([^\n\x00]{1,1024})")
# Of the list, and of custody's lines; films are read in pieces.
LIST_LIMIT, CUSTODY_LIMIT = 16 << 20, 64 << 20
# Of a package whose signer was not honest, or whose files are no such files.
UNREADABLE = (
    *(StatementError, NoteError, SealedFileError, ValueError, OSError, KeyError, IndexError),
    *(TypeError, AttributeError, ArithmeticError, RecursionError, MemoryError, struct.error),
)
# Between what the ledger says of a recording's time and what is signed in its pictures.
CLOCKS_DIFFER = datetime.timedelta(hours=1)
TIMES_DIFFER_NS = SECOND_NS
REDACTED = (
    "{}: a redacted copy: what was covered is stated; what lies beneath can be checked by the "
    "court with the original"
)


@dataclass(slots=True)
class PackageVerdict:
    """`problems` are signs of change, `exceptions` what is missing, covered or not proven."""

    recording: str = ""
    disclosed_by: str = ""
    films: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)

    @property
    def answer(self) -> Answer:
        if self.problems:
            return Answer.NOT_GENUINE
        return Answer.EXCEPTION if self.exceptions else Answer.GENUINE


def verify_package(folder: Path, roots: Sequence[x509.Certificate]) -> PackageVerdict:
    """Raises `VaultError` only where there is no package at all."""
    if not (folder / SUMS).is_file():
        raise VaultError(f"{folder} is not a package: it has no {SUMS}.", "Name the package.")
    verdict = PackageVerdict()
    try:
        said = _signed(folder, roots, verdict)
        _files(folder, said, verdict)
        if verdict.problems:
            return verdict  # what is inside is nobody's word
        lines = _camera(folder, said, roots, verdict)
        _films(folder, said, roots, lines, verdict)
        _sealed(folder, said, lines, verdict)
        _custody(folder, said, roots, verdict)
    except UNREADABLE as error:
        verdict.problems.append(f"it can't be judged: {error or type(error).__name__}")
    return verdict


def _signed(
    folder: Path, roots: Sequence[x509.Certificate], verdict: PackageVerdict
) -> PackageStatement:
    """Whose word it is, before anything is read that they say."""
    if not (folder / SIGNATURE).is_file():
        raise ValueError(f"{SIGNATURE} is missing: nobody vouches for it")
    data = read_small(folder / SIGNATURE, statement.SIZE_LIMIT)
    parsed = statement.of_role(data, PackageStatement, (DISCLOSURE,), roots)
    said = parsed.value
    verdict.disclosed_by = statement.role_of(parsed.chain).name
    verdict.recording = f"{said.device}/{said.recording}"
    return said


def _files(folder: Path, said: PackageStatement, verdict: PackageVerdict) -> None:
    """Every file that is listed, and no other."""
    listing = read_small(folder / SUMS, LIST_LIMIT)
    if hashlib.sha256(listing).hexdigest() != said.sums:
        verdict.problems.append(f"{SUMS} is not the list that was signed")
        return
    listed: dict[str, str] = {}
    for row in listing.decode("utf-8").splitlines():
        found = LISTED.fullmatch(row)
        if found is None:
            raise ValueError(f"{SUMS} has a line that is none")
        listed[found.group(2)] = found.group(1)
    present = set()
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            verdict.problems.append(f"{name} is no file of its own")
        elif path.is_file() and name not in (SUMS, SIGNATURE) and not is_stray(path.name):
            present.add(name)
    for name in sorted(present - set(listed)):
        verdict.problems.append(f"{name} does not belong to the package")
    for name, digest in sorted(listed.items()):
        if name not in present:
            verdict.problems.append(f"{name} is missing")
        elif file_sha256(folder / name) != digest:
            verdict.problems.append(f"{name} was changed")
    for film in said.films:
        if listed.get(film.name) != film.sha256:
            verdict.problems.append(f"{film.name} is not the film that was signed")


def is_stray(name: str) -> bool:
    return STRAY.fullmatch(name) is not None


def _films(
    folder: Path,
    said: PackageStatement,
    roots: Sequence[x509.Certificate],
    lines: CameraLines,
    verdict: PackageVerdict,
) -> None:
    if not said.films:
        verdict.problems.append("no film is in it")
    for film in said.films:
        verdict.films.append(f"{film.name} ({film.kind})")
        path = folder / film.name
        if film.kind == "redacted":
            verdict.exceptions.append(REDACTED.format(film.name))
        elif path.is_file() and not path.is_symlink():
            _film(path, film.kind, lines, roots, verdict)


def _film(
    path: Path,
    kind: str,
    lines: CameraLines,
    roots: Sequence[x509.Certificate],
    verdict: PackageVerdict,
) -> None:
    """By what the camera signed inside of it. It is mapped, not read: it may be large."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            require_plain(data)
            told = judge_video(nal_units(data), roots)
        except UNREADABLE as error:
            verdict.problems.append(f"{path.name} can't be read: {error}")
            return
    if kind == "whole":
        # It must come out of its sealed originals (`_sealed`).
        told.vouched_for(to_the_end=not lines.unfinished())
        if not told.groups and not told.problems:
            verdict.exceptions += [f"{path.name}: {exception}" for exception in told.exceptions]
            return
    verdict.problems += [f"{path.name}: {problem}" for problem in told.problems]
    verdict.exceptions += [f"{path.name}: {exception}" for exception in told.exceptions]
    if told.device != lines.device:
        verdict.problems.append(f"{path.name} is not of the camera {lines.device}")
    if not told.parameter_sets <= lines.parameter_sets:
        verdict.problems.append(f"{path.name} has other parameter sets than the ledger names")
    if told.groups and not lines.covers(told.first_utc_ns, told.last_utc_ns, TIMES_DIFFER_NS):
        verdict.problems.append(f"{path.name} was not taken while this recording lasted")


def require_plain(film: Any) -> None:
    """An MP4 with tables, as packages have it: players put fragments together in more ways than
    one. Raises `ValueError`."""
    if film[4:8] != b"ftyp" or any(kind == b"moof" for kind, _, _ in boxes(film, 0, len(film))):
        raise ValueError("it is no MP4, or one in fragments")


def _camera(
    folder: Path,
    said: PackageStatement,
    roots: Sequence[x509.Certificate],
    verdict: PackageVerdict,
) -> CameraLines:
    """What the camera's own lines name; against what was signed."""
    lines = read_camera_lines(read_small(folder / CAMERA, CUSTODY_LIMIT), said.recording, roots)
    if lines.device != said.device:
        verdict.problems.append(f"the camera's lines are not of {said.device}")
    signed = {segment.segment: segment.sha256 for segment in said.sealed}
    named = {n: c for n, c in lines.claims.items() if c.settled and c.length}
    for name, claim in sorted(named.items()):
        if name not in signed:
            verdict.exceptions.append(f"{name} was recorded, and is not in custody")
        elif signed[name] != claim.sha256:
            verdict.problems.append(f"{name} is not the file that the camera names")
    verdict.problems += lines.holes()
    verdict.exceptions += [*lines.unfinished(), *lines.left_out(said.recording)]
    strange = sorted(set(signed) - set(named))
    verdict.problems += [f"{name}: the camera names no such file" for name in strange]
    return lines


def _sealed(
    folder: Path, said: PackageStatement, lines: CameraLines, verdict: PackageVerdict
) -> None:
    """Beside a whole film stand the sealed originals, and the film is what comes out of them."""
    whole = [film.name for film in said.films if film.kind == "whole"]
    stills = sorted(path.name for path in folder.glob("*.jpg") if not is_stray(path.name))
    if not whole:
        if (folder / KEYS).is_file() or any(
            path.is_file() for path in (folder / SEALED).rglob("*")
        ):
            verdict.problems.append("sealed originals stand beside what is not the whole recording")
        verdict.exceptions += [f"{name}: nothing here proves this picture" for name in stills]
        return
    files = [_found(folder, claim) for _, claim in sorted(lines.claims.items())]
    signed = {segment.segment for segment in said.sealed}
    for found in files:
        if found.path is None and found.name in signed:
            verdict.problems.append(f"{found.name} is missing")
    given = sorted({*whole, *stills})
    for name in _differing(folder, said.recording, files, lines, verdict, given):
        verdict.problems.append(f"{name} is not what its sealed originals hold")


def _found(folder: Path, claim: Claim) -> FoundFile:
    path = folder / SEALED / claim.name
    ours = path.is_file() and not path.is_symlink()
    return FoundFile(claim.name, claim, path if ours else None, of_branch=False)


def _differing(
    folder: Path,
    recording: str,
    files: list[FoundFile],
    lines: CameraLines,
    verdict: PackageVerdict,
    given: Sequence[str],
) -> list[str]:
    """Makes films and stills anew out of the sealed originals; names of those that differ."""
    told = canonical_json.decode(read_small(folder / KEYS, LIST_LIMIT))
    keys = {name: from_hex(key, 16) for name, key in told.items()}
    heads = {f.name: _head(f.path) for f in files if f.path is not None}
    report = Report(device=lines.device, claims=lines.claims)
    with tempfile.TemporaryDirectory() as out:
        try:
            done = export(Survey(report, files), [FileKeys(keys, heads)], Path(out), recording)
        except (SealedFileError, VaultError) as error:
            verdict.problems.append(f"the sealed originals do not open: {error}")
            return []
        verdict.problems += [f"{name}: not what the camera names" for name in done.changed]
        for segment in done.report.segments:
            if segment.status is FileStatus.BAD:
                verdict.problems.append(f"{segment.name}: {segment.detail}")
        made = {item.path.name: item.path for item in done.films}
        made |= {path.name: path for path in Path(out).glob("*.jpg")}
        return [n for n in given if n not in made or not _same(made[n], folder / n)]


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEADER_LIMIT)


def from_hex(digits: object, length: int) -> bytes:
    """In its one form. Raises `ValueError`."""
    if type(digits) is not str or not re.fullmatch(f"[0-9a-f]{{{2 * length}}}", digits):
        raise ValueError("digits are none, or of another number")
    return bytes.fromhex(digits)


def _same(made: Path, given: Path) -> bool:
    """Byte for byte, but for a film's manifest."""
    if not given.is_file():
        return False
    if given.suffix == ".jpg":
        return file_sha256(made) == file_sha256(given)
    with given.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        digest = hashlib.sha256()
        for part in without_manifest(data):
            for at in range(part.start, 0 if part.data else part.end, BLOCK):
                digest.update(data[at : min(at + BLOCK, part.end)])
            digest.update(part.data)
    return digest.hexdigest() == file_sha256(made)


def _custody(
    folder: Path,
    said: PackageStatement,
    roots: Sequence[x509.Certificate],
    verdict: PackageVerdict,
) -> None:
    path = folder / CUSTODY
    if not path.is_file():
        verdict.problems.append(f"{CUSTODY} is missing")
        return
    told = canonical_json.decode(read_small(path, CUSTODY_LIMIT))
    forms = {"lines": list, "checkpoint": str, "trust": str}
    if any(type(told.get(name)) is not form for name, form in forms.items()):
        raise ValueError(f"{CUSTODY} has not the form that it must have")
    trust = read_trust_list(told["trust"], roots) if told["trust"] else None
    data = read_small(folder / SIGNATURE, statement.SIZE_LIMIT)
    signer = statement.of_role(data, PackageStatement, (DISCLOSURE,), roots).chain[0]
    require_standing(signer, said.utc_ns, trust, verdict)
    signed = None
    if trust is not None and trust.store != said.store:
        verdict.problems.append("the trust list is of another store")
    if trust is not None and told["checkpoint"]:
        signed = read_signed(told["checkpoint"].encode(), trust.log)
    beyond = 0
    for line in told["lines"]:
        beyond += not _line(line, said, roots, signed, verdict)
    if not told["lines"]:
        verdict.exceptions.append("custody's ledger says nothing of this recording alone")
    elif signed is None or trust is None:
        verdict.exceptions.append("nobody outside the agency has seen custody's lines")
    else:
        _seen(signed, trust, beyond, verdict)


def require_standing(
    leaf: x509.Certificate, utc_ns: int, trust: Trust | None, verdict: PackageVerdict
) -> None:
    """Whether who disclosed it might do that then."""
    moment = datetime.datetime.fromtimestamp(utc_ns // SECOND_NS, datetime.UTC)
    if not leaf.not_valid_before_utc - CLOCKS_DIFFER <= moment <= leaf.not_valid_after_utc:
        verdict.problems.append("the certificate of who disclosed it was not valid then")
    since_ns = trust.revoked_since_ns(statement.fingerprint(leaf)) if trust else None
    if since_ns is not None and utc_ns >= since_ns:
        verdict.problems.append("the certificate of who disclosed it was revoked")


def _line(
    line: dict[str, Any],
    said: PackageStatement,
    roots: Sequence[x509.Certificate],
    signed: SignedCheckpoint | None,
    verdict: PackageVerdict,
) -> bool:
    """Whether the checkpoint covers it."""
    number = line["number"]
    chain = statement.chain_of(str(line["certificate"]).encode())
    statement.role_of(chain, roots)
    text = str(line["line"]).encode()
    fields = statement.check(text, chain)
    about = next((fields[n] for n in ("recording", "recordings", "found") if n in fields), None)
    if about not in (f"{said.device}/{said.recording}", [f"{said.device}/{said.recording}"]):
        verdict.problems.append(f"custody's line {number} is about another recording")
    if fields.get("n") != number:
        verdict.problems.append(f"custody's line {number} is another line")
    if signed is None or number > signed.checkpoint.size:
        return False
    leaf = leaf_hash(hashlib.sha256(text).digest())
    if type(line["proof"]) is not list:
        raise ValueError("a proof is none")
    proof = [from_hex(digest, HASH_BYTES) for digest in line["proof"]]
    size, root = signed.checkpoint.size, signed.checkpoint.root
    if not proves_inclusion(leaf, number - 1, size, proof, root):
        verdict.problems.append(f"custody's line {number} does not stand in the log")
    return True


def _seen(signed: SignedCheckpoint, trust: Trust, beyond: int, verdict: PackageVerdict) -> None:
    names = {c.witness for c in cosigned(signed, [w.key for w in trust.witnesses]).values()}
    if not trust.quorum or len(names) < trust.quorum:
        verdict.exceptions.append("no quorum of witnesses has seen custody's lines")
    elif beyond:
        verdict.exceptions.append(f"{beyond} of custody's lines are newer than what witnesses saw")
