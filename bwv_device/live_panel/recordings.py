"""The vault as it lies on the disk: verdicts, and films that a browser plays."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509

from bwv_device.errors import BwvError, VaultError
from bwv_device.formats import age
from bwv_device.verification.conclusion import conclude, sentence
from bwv_device.verification.export import export
from bwv_device.verification.vault_report import FileStatus, Survey, judge_all, survey

UNFINISHED = (FileStatus.OPEN, FileStatus.MISSING)


class Film(NamedTuple):
    """A recording that can be played, and what the verifier said of it when it was made. A change
    of format within a recording begins another file."""

    recording: str
    files: list[str]
    duration_ms: int
    pictures: int
    stills: list[str]
    statuses: list[str]


class Recordings:
    """`vault` is read, never written. Films stay in `folder` when the camera lets theirs go."""

    def __init__(
        self,
        vault: Path,
        folder: Path,
        roots: Sequence[x509.Certificate],
        identities: Sequence[age.Identity],
    ) -> None:
        self._vault, self.folder = vault, folder
        self._roots, self._identities = roots, identities
        self._films: dict[str, Film] = {}

    def look(self) -> dict[str, Any]:
        """Judges the vault and makes the films that are missing: a message for the page. Takes its
        time."""
        surveyed = self._verified()
        if surveyed is None:
            return {"kind": "vault", "files": [], "films": [], "sentence": "", "conclusion": ""}
        report = surveyed.report
        problem = self._make_films(surveyed)
        return {
            "kind": "vault",
            "conclusion": conclude(report).name.lower(),
            "sentence": sentence(report),
            "problems": [*report.problems[:5], *([problem] if problem else [])],
            "remarks": report.remarks[:5],
            "boots": report.boots,
            "lines": report.lines,
            "playable": bool(self._identities),
            "files": [
                {"name": v.name, "status": v.status.value, "bytes": v.length, "detail": v.detail}
                for v in report.segments
            ],
            "films": [film._asdict() for film in self._films.values()],
        }

    def _verified(self) -> Survey | None:
        """The camera goes on meanwhile: a file may get its final name, or be let go, while it is
        read. Then it is looked at again. Raises `OSError` where that does not help."""
        try:
            surveyed = survey(self._vault, self._roots)
            if judge_all(surveyed).ok:
                return surveyed
        except OSError:
            pass
        except VaultError:
            return None
        surveyed = survey(self._vault, self._roots)
        judge_all(surveyed)
        return surveyed

    def _make_films(self, surveyed: Survey) -> str:
        """The first thing that went wrong, in words."""
        problem = ""
        for name in surveyed.recordings():
            verdicts = [v for v in surveyed.report.segments if v.recording == name]
            statuses = sorted({v.status.value for v in verdicts})
            made = self._films.get(name)
            waits = any(v.status in UNFINISHED for v in verdicts)
            gone = any(v.status is FileStatus.DELIVERED for v in verdicts)
            made_already = made is not None and made.statuses == statuses
            if not self._identities or waits or gone or made_already:
                continue
            try:
                self._films[name] = self._make(surveyed, name, statuses)
            except (BwvError, ValueError, OSError) as error:
                problem = problem or f"{name}: {error}"
        return problem

    def _make(self, surveyed: Survey, name: str, statuses: list[str]) -> Film:
        """Made beside, then moved into its place: a browser may be reading the older one."""
        making = self.folder / "making"
        shutil.rmtree(making, ignore_errors=True)
        judged = surveyed.report
        _, parts, changed = export(surveyed, self._identities, making, name, judged=judged)
        if changed:
            raise VaultError(f"{', '.join(changed)}: not what the ledger names.", "")
        stills = sorted(path.name for path in making.glob("*.jpg"))
        for path in making.iterdir():
            path.replace(self.folder / path.name)
        making.rmdir()
        return Film(
            name,
            [part.path.name for part in parts],
            sum(part.duration_ms for part in parts),
            sum(part.video_units for part in parts),
            stills,
            statuses,
        )
