"""Fetches a recording, verifies it, and opens it once a line says who looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509

from bwv_device.custody.key_desk.looking import FootageKeys
from bwv_device.custody.recording_history import write_camera_ledger
from bwv_device.custody.retention.holds import existing
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError, SealedFileError
from bwv_device.formats import age
from bwv_device.verification.export import Exported, export
from bwv_device.verification.vault_report import Report, Survey, survey
from hal.ports import Stored, StoreError, StoreTrouble

Advance = Callable[[str, float], None]


class Opened(NamedTuple):
    """A recording that was fetched into `folder`/vault, and opened into `folder`/films."""

    report: Report
    films: list[Exported]
    survey: Survey
    absent: list[str]  # files that the store should have, and has not
    sealed: dict[str, Path]
    identities: Sequence[age.Identity]

    def file_keys(self) -> dict[str, bytes]:
        """The key of each sealed file that opens: it opens that file alone."""
        keys = dict[str, bytes]()
        for name, path in self.sealed.items():
            with path.open("rb") as file:
                head = file.read(age.HEADER_LIMIT)
            with suppress(SealedFileError):
                keys[name] = age.open_file_key(age.parse_header(head), self.identities)
        return keys


def open_recording(
    session: CustodySession,
    roots: Sequence[x509.Certificate],
    keys: FootageKeys,
    recording: str,
    folder: Path,
    reason: str,
    advance: Advance = lambda what, share: None,
) -> Opened:
    """Fetches a recording from the store, verifies it, and opens it, once a line says who looks,
    and why. What is missing or damaged is named in the report and the sidecars; raises
    `CustodyError` where nothing is left."""
    row = existing(session, recording)
    if row["erased_ns"] is not None:
        raise CustodyError(f"{recording} was erased.", "See 'bwv custody certificate'.")
    vault = folder / "vault"
    (vault / "footage").mkdir(parents=True)
    write_camera_ledger(session, row["device"], vault)
    files = received_files(session, recording)
    sealed, absent = dict[str, Path](), list[str]()
    for number, file in enumerate(files):
        advance("fetching", number / len(files))
        path = vault / "footage" / file["segment"]
        if _fetched(session, Stored(file["key"], file["length"], file["version"]), path):
            sealed[file["segment"]] = path
        else:
            absent.append(str(file["segment"]))
    if not sealed:
        raise CustodyError(
            f"Nothing of {recording} is in the store any more.", "See 'bwv custody completeness'."
        )
    advance("opening", 0.0)
    identities = keys.of(recording, sealed, reason)
    surveyed = survey(vault, roots, recording=row["recording"])
    report, done, changed = export(surveyed, identities, folder / "films", row["recording"])
    if changed:
        raise CustodyError(
            f"{', '.join(changed)}: not what the camera's ledger names.",
            "The camera sealed other footage than it said: look at it before anything is given.",
        )
    return Opened(report, done, surveyed, absent, sealed, identities)


def _fetched(session: CustodySession, stored: Stored, path: Path) -> bool:
    """False where the store has no such object."""
    try:
        with path.open("xb") as target:
            for block in session.store.blocks(stored):
                target.write(block)
    except StoreError as error:
        path.unlink(missing_ok=True)
        if error.trouble is not StoreTrouble.MISSING:
            raise
        return False
    return True


def received_files(session: CustodySession, recording: str) -> Sequence[Mapping[str, Any]]:
    """Rows of a recording's files that are in the store. Raises `CustodyError` for none."""
    files = session.index.rows(
        "SELECT * FROM files WHERE recording = ? AND status = 'received' ORDER BY segment",
        recording,
    )
    if not files:
        raise CustodyError(f"{recording} is still on its camera.", "Wait until it is docked.")
    return files
