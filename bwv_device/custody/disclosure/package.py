"""A disclosure package: film, signed ledgers, and a verifier to check them independently."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509

from bwv_device.custody.disclosure import report as papers
from bwv_device.custody.disclosure.credentials import MadeOf, embed, note_in_sidecar
from bwv_device.custody.disclosure.media_process import MediaProcess
from bwv_device.custody.disclosure.redaction_plan import Redaction
from bwv_device.custody.disclosure.request import DisclosureRequest
from bwv_device.custody.disclosure.work_folder import work_folder
from bwv_device.custody.history.witnesses import WitnessLine
from bwv_device.custody.key_desk.looking import FootageKeys
from bwv_device.custody.key_desk.open_recording import Advance, open_recording
from bwv_device.custody.recording_history import (
    RecordingHistory,
    audit,
    custody_chain,
)
from bwv_device.custody.requests.steps import existing_request
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.verification import second_verifier
from bwv_device.verification.export import Exported
from bwv_device.verification.vault_report import Report


@dataclass(slots=True)
class Package:
    """A finished package. `digests` are of every file in it; `problems` are why the recording does
    not verify: whoever asked for it must see them."""

    folder: Path
    films: list[Path] = field(default_factory=list)
    redacted: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    # Whether the kernel kept the processes that opened films from everything else.
    confined: bool = True


def disclose(
    session: CustodySession,
    roots: Sequence[x509.Certificate],
    root_pem: bytes,
    keys: FootageKeys,
    wish: DisclosureRequest,
    out: Path,
    advance: Advance = lambda what, share: None,
    line: WitnessLine | None = None,
) -> Package:
    """Writes the package into `out`, which must be new, and the `disclosed` line. Raises
    `CustodyError`."""
    if out.exists() and any(out.iterdir()):
        raise CustodyError(f"{out} is not empty.", "Name a new folder.")
    session.check()
    if wish.request:
        session.index.catch_up()
        existing_request(session.index, wish.request)
    if wish.redaction is not None and not wish.confirmed_by:
        raise CustodyError(
            "Nobody has confirmed the redaction.", "Look at the contact sheet, then --confirm."
        )
    out.mkdir(parents=True, exist_ok=True)
    with work_folder(out.parent) as work:
        reason = f"disclosure to {wish.recipient}: {wish.reason}"
        report, done = open_recording(session, roots, keys, wish.recording, work, reason, advance)
        package = Package(out)
        _films(wish, done, package, work, advance)
        _credentials(session, wish, package, root_pem, work, advance)
        life = audit(session, roots, wish.recording, line)
        _chain(session, wish, work / "vault", root_pem, package)
        package.problems = _papers(session, wish, report, life, package)
    package.digests = {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }
    listing = "".join(f"{digest}  {name}\n" for name, digest in package.digests.items())
    (out / "SHA256SUMS").write_text(listing)
    _write_down(session, wish, package, hashlib.sha256(listing.encode()).hexdigest())
    return package


def _films(
    wish: DisclosureRequest,
    done: list[Exported],
    package: Package,
    work: Path,
    advance: Advance,
) -> None:
    for item in done:
        path, begins_s = _original(wish, item, package, work)
        if wish.redaction is not None:
            redaction = wish.redaction.shifted(begins_s)
            _redacted(wish, redaction, path, item, package, work, advance)
        if not wish.only_redacted:
            for still in item.path.parent.glob("*.jpg"):
                shutil.copyfile(still, package.folder / still.name)
        if wish.redaction is not None and wish.only_redacted:
            path.unlink()
        else:
            package.films.append(path)
            shutil.copyfile(
                item.path.with_suffix(".json"), package.folder / f"{item.path.stem}.json"
            )


def _original(
    wish: DisclosureRequest, item: Exported, package: Package, work: Path
) -> tuple[Path, float]:
    """The film or its excerpt in the package, and where it begins in the film."""
    path = package.folder / item.path.name
    if not wish.is_excerpt:
        shutil.copyfile(item.path, path)
        package.notes.append(f"{path.name}: every picture as the camera encoded it")
        return path, 0.0
    path = path.with_suffix(".excerpt.mp4")
    end_s = item.duration_ms / 1000
    media = MediaProcess(item.path, end_s, work)
    made = media.cut(wish.from_s or 0.0, end_s if wish.to_s is None else wish.to_s, path)
    package.confined &= media.confined
    package.notes.append(
        f"{path.name}: {made.from_s:.2f} s to {made.to_s:.2f} s of {item.path.name}, "
        "cut on keyframes, pictures copied without encoding"
    )
    return path, made.from_s


def _redacted(
    wish: DisclosureRequest,
    redaction: Redaction,
    path: Path,
    item: Exported,
    package: Package,
    work: Path,
    advance: Advance,
) -> None:
    covered = path.with_suffix(".redacted.mp4")
    seconds = max(1.0, item.duration_ms / 1000)
    media = MediaProcess(path, seconds, work)
    count = media.redact(redaction, covered, lambda at_s: advance("redacting", at_s / seconds))
    package.confined &= media.confined
    package.redacted.append(covered)
    package.notes.append(
        f"{covered.name}: {count} pictures, encoded anew, "
        f"{len(redaction.boxes)} boxes covered ({redaction.method}), "
        f"{len(redaction.mute)} spans muted, "
        f"confirmed by {wish.confirmed_by}; no digest of the original covers it"
    )


def _credentials(
    session: CustodySession,
    wish: DisclosureRequest,
    package: Package,
    root_pem: bytes,
    work: Path,
    advance: Advance,
) -> None:
    """Each film that leaves carries a manifest of what it is (C2PA)."""
    rows = session.index.rows(
        "SELECT segment, sha256 FROM files WHERE recording = ? AND status = 'received' AND "
        "segment LIKE '%.mp4.age'", wish.recording
    )  # fmt: skip
    segments = {row["segment"]: row["sha256"] for row in rows}
    head = session.index.head
    custody = {"store": session.index.store_id, "line": head.number, "sha256": head.digest}
    trimmed = ["c2pa.trimmed"] if wish.is_excerpt else []
    for film in [*package.films, *package.redacted]:
        covered = film in package.redacted
        done = ["c2pa.filtered", "c2pa.transcoded"] if covered else ["c2pa.repackaged"]
        made = MadeOf(wish.recording, segments, custody, [*trimmed, *done], covered)
        package.confined &= embed(
            film, made, session.signer, root_pem, work,
            lambda share: advance("signing", share),
        )  # fmt: skip
        note_in_sidecar(film)
    package.notes.append(
        "each film carries content credentials (C2PA), signed by who disclosed it: any reader of "
        "them that trusts the agency's root says so"
    )


def _chain(
    session: CustodySession, wish: DisclosureRequest, vault: Path, root_pem: bytes, package: Package
) -> None:
    """Adds the proof: sealed originals, the camera's ledger, and custody's ledger."""
    proof = package.folder / "proof"
    proof.mkdir()
    (proof / "custody.ledger").write_bytes(custody_chain(session))
    (proof / "agency-root.pem").write_bytes(root_pem)
    shutil.copyfile(str(second_verifier.__file__), proof / "verify.py")
    if not wish.only_redacted:
        shutil.copytree(vault, proof / "vault")


def _papers(
    session: CustodySession,
    wish: DisclosureRequest,
    report: Report,
    life: RecordingHistory,
    package: Package,
) -> list[str]:
    """Writes the report. Returns why the recording does not verify."""
    said = papers.content(session, wish, report, life, package.notes)
    (package.folder / "report.html").write_text(papers.html(said))
    (package.folder / "report.pdf").write_bytes(papers.pdf(said))
    (package.folder / "report.json").write_text(json.dumps(said, indent=2, default=str) + "\n")
    return [] if said["good"] else [*said["problems"], said["verdict"]]


def _write_down(
    session: CustodySession, wish: DisclosureRequest, package: Package, digest: str
) -> None:
    fields: dict[str, Any] = {
        "recording": wish.recording,
        "recipient": wish.recipient,
        "reason": wish.reason,
        "request": wish.request,
        "files": package.digests,
        "sums": digest,
        "redacted": wish.redaction is not None,
        "confirmed_by": wish.confirmed_by,
    }
    session.append(lambda: ("disclosed", fields))
