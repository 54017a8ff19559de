"""`bwv export --c2pa`: a manifest in each film that leaves a vault."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from bwv_device import keys
from bwv_device.commands.key_files.role_key import load_role_key
from bwv_device.errors import KeyFileError
from bwv_device.formats.certificates import DISCLOSURE
from bwv_device.formats.statement import StatementError, chain_of, role_of
from bwv_device.verification.export import Exported
from hal.ports import Identity


def disclosure_key(path: Path | None, roots: Sequence[Path], *, segments: bool) -> Identity:
    """Before anything is opened. Raises `KeyFileError`, `click.UsageError`."""
    if segments:
        raise click.UsageError("--c2pa is for films; leave --segments out.")
    if path is None or not roots:
        raise click.UsageError("--c2pa needs a disclosure key, --as, and the agency's --root.")
    identity = load_role_key(path)
    certificates = [c for root in roots for c in keys.load_certificates(root)]
    try:
        role = role_of(chain_of(identity.certificate_pem), certificates).role
    except StatementError as error:
        raise KeyFileError(f"{path} can't sign a manifest: it {error}.", "Use another.") from None
    if role != DISCLOSURE:
        raise KeyFileError(
            f"{path} acts as {role}; a manifest needs {DISCLOSURE}.",
            f"bwv custody enrol --role {DISCLOSURE}.",
        )
    return identity


def embed_manifests(films: Sequence[Exported], device: str, signer: Identity, root: Path) -> None:
    """Raises `CustodyError`."""
    for film in films:
        _embed(film.path, f"{device}/{film.recording}", signer, root)


def _embed(film: Path, recording: str, signer: Identity, root: Path) -> None:
    from bwv_device.custody.disclosure.credentials import MadeOf, embed, note_in_sidecar

    sidecar = json.loads(film.with_suffix(".json").read_text())
    segments = {row["name"]: row["sealed_sha256"] for row in sidecar["segments"]}
    made = MadeOf(recording, segments, {}, ["c2pa.repackaged"])
    with tempfile.TemporaryDirectory(dir=film.parent) as work:
        embed(film, made, signer, root.read_bytes(), Path(work))
    note_in_sidecar(film)
