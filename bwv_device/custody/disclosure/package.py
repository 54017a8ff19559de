"""A disclosure package: film, signed ledgers, and a verifier to check them independently."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509

from bwv_device.custody.disclosure import report as papers
from bwv_device.custody.disclosure.camera_lines import camera_lines
from bwv_device.custody.disclosure.credentials import MadeOf, embed, note_in_sidecar
from bwv_device.custody.disclosure.losses import losses
from bwv_device.custody.disclosure.package_films import Package, PackageFilms
from bwv_device.custody.disclosure.proof import custody_proof, sign_package
from bwv_device.custody.disclosure.request import DisclosureRequest
from bwv_device.custody.disclosure.work_folder import work_folder
from bwv_device.custody.history.witnesses import WitnessLine
from bwv_device.custody.key_desk.looking import FootageKeys
from bwv_device.custody.key_desk.open_recording import Advance, Opened, open_recording
from bwv_device.custody.recording_history import (
    RecordingHistory,
    audit,
)
from bwv_device.custody.requests.steps import existing_request
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.formats import canonical_json
from bwv_device.verification import page, standalone
from bwv_device.verification.package_verifier import verify_package
from bwv_device.verification.vault_report import Report


def disclose(
    session: CustodySession,
    roots: Sequence[x509.Certificate],
    root_pem: bytes,
    keys: FootageKeys,
    wish: DisclosureRequest,
    out: Path,
    advance: Advance = lambda what, share: None,
    line: WitnessLine | None = None,
    again: Callable[[], bool] = lambda: False,
    made: Callable[[Path], None] = lambda folder: None,
) -> Package:
    """Writes the package into `out`, which must be new, and the `disclosed` line. All of it is made
    elsewhere and moved there at the end: what fails leaves nothing. `again` waits for witnesses;
    `made` gets the package before the line that says so. Raises `CustodyError`."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CustodyError(f"{out} is there already, and no empty folder.", "Name a new folder.")
    wish.check()
    session.check()
    if wish.request:
        session.index.catch_up()
        existing_request(session.index, wish.request)
    out.parent.mkdir(parents=True, exist_ok=True)
    with work_folder(out.parent) as work:
        reason = f"disclosure to {wish.recipient}: {wish.reason}"
        opened = open_recording(session, roots, keys, wish.recording, work, reason, advance)
        package = Package(work / "package")
        package.folder.mkdir()
        package.missing = losses(opened)
        PackageFilms(wish, opened, package, work, advance).write()
        _credentials(session, wish, package, root_pem, work, advance)
        life = audit(session, roots, wish.recording, line)
        custody = custody_proof(session, wish.recording, again, is_whole=wish.is_whole)
        _proof(session, wish, opened, root_pem, custody, package)
        package.problems = _papers(session, wish, opened.report, life, package, root_pem)
        sums = sign_package(session, wish, opened.sealed, package)
        advance("checking", 0.0)
        package.verdict = verify_package(package.folder, roots)
        made(package.folder)
        _write_down(session, wish, package, sums)
        package.move_to(out)
    return package


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


def _proof(
    session: CustodySession,
    wish: DisclosureRequest,
    opened: Opened,
    root_pem: bytes,
    custody: bytes,
    package: Package,
) -> None:
    """The camera's lines and custody's, and what they are checked with; and beside the whole
    recording the sealed originals, each with the key that opens it alone."""
    (package.folder / page.NAME).write_bytes(page.page())
    (package.folder / standalone.NAME).write_bytes(standalone.verifier())
    proof = package.folder / "proof"
    proof.mkdir()
    device, _, recording = wish.recording.partition("/")
    (proof / "custody.json").write_bytes(custody)
    (proof / "camera.ledger").write_bytes(camera_lines(session, device, recording))
    (proof / "agency-root.pem").write_bytes(root_pem)
    if not wish.is_whole:
        return
    (proof / "sealed").mkdir()
    for name, path in opened.sealed.items():
        shutil.copyfile(path, proof / "sealed" / name)
    keys = {name: key.hex() for name, key in opened.file_keys().items()}
    (proof / "keys.json").write_bytes(canonical_json.encode(keys))


def _papers(
    session: CustodySession,
    wish: DisclosureRequest,
    report: Report,
    life: RecordingHistory,
    package: Package,
    root_pem: bytes,
) -> list[str]:
    """Writes the report. Returns why the recording does not verify."""
    said = papers.content(session, wish, report, life, package, root_pem)
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
