"""The films of a package: whole, cut, or covered and encoded anew; and nothing beside them that
shows more than they do.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bwv_device.custody.disclosure.media_process import Covered, MediaProcess
from bwv_device.custody.disclosure.redaction_plan import Redaction
from bwv_device.custody.disclosure.request import DisclosureRequest
from bwv_device.custody.key_desk.open_recording import Advance, Opened
from bwv_device.errors import CustodyError
from bwv_device.files import sync_folder
from bwv_device.verification.export import Exported
from bwv_device.verification.package_verifier import PackageVerdict
from hal.ports import SECOND_NS


@dataclass(slots=True)
class Package:
    """A package. `digests` are of every file in it; `missing` is what of the recording is not in
    it; `problems` are why it is not whole or does not verify: whoever asked must see them."""

    folder: Path
    films: list[Path] = field(default_factory=list)
    redacted: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    # What whoever gets it will read when they check it.
    verdict: PackageVerdict = field(default_factory=PackageVerdict)
    # Whether the kernel kept the processes that opened films from everything else.
    confined: bool = True

    def move_to(self, out: Path) -> None:
        """Under its final name, all at once."""
        if out.exists():
            out.rmdir()
        os.rename(self.folder, out)
        sync_folder(out.parent)
        self.films = [out / path.name for path in self.films]
        self.redacted = [out / path.name for path in self.redacted]
        self.folder = out


def require_one_film(films: Sequence[Exported]) -> None:
    """Boxes are drawn in the times of one film: in another they would cover something else. Raises
    `CustodyError`."""
    if len(films) > 1:
        names = ", ".join(film.path.name for film in films)
        raise CustodyError(
            f"The recording comes as {len(films)} films ({names}), because the camera's format "
            "changed; only a recording of one film can be redacted.",
            "Open it with 'bwv export', and redact the films with another tool.",
        )


class PackageFilms:
    """Writes them into the package, from what was opened."""

    def __init__(
        self,
        wish: DisclosureRequest,
        opened: Opened,
        package: Package,
        work: Path,
        advance: Advance,
    ) -> None:
        self._wish, self._opened, self._package = wish, opened, package
        self._work, self._advance = work, advance
        redaction = wish.redaction
        self._boxes = [0] * (len(redaction.boxes) if redaction else 0)
        self._muted_s = [0.0] * (len(redaction.mute) if redaction else 0)

    def write(self) -> None:
        """Raises `CustodyError` for times and boxes that lie outside of what there is."""
        films = self._opened.films
        if self._wish.redaction is not None:
            require_one_film(films)
        self._wish.check_against(max((f.duration_ms for f in films), default=0) / 1000)
        for item in films:
            self._one(item)
        self._require_covered()

    def _one(self, item: Exported) -> None:
        path, begins_s, ends_s = self._cut(item)
        if self._wish.redaction is not None:
            shifted = self._wish.redaction.shifted(begins_s)
            self._redact(path, item, shifted)
            plan = self._package.folder / path.with_suffix(".redaction.json").name
            shifted.within(ends_s - begins_s).write(plan)
        if not self._wish.gives_original:
            return
        kept = self._package.folder / path.name
        shutil.move(path, kept)
        self._package.films.append(kept)
        if not self._wish.is_excerpt:
            sidecar = item.path.with_suffix(".json")
            shutil.copyfile(sidecar, self._package.folder / sidecar.name)
        for still in self._stills(item, begins_s, ends_s):
            shutil.copyfile(still, self._package.folder / still.name)

    def _cut(self, item: Exported) -> tuple[Path, float, float]:
        """The film or its excerpt, where it begins in the film, and where it ends."""
        end_s, notes = item.duration_ms / 1000, self._package.notes
        if not self._wish.is_excerpt:
            if self._wish.gives_original:
                whole = "every picture as the camera encoded it"
                missing = f"; {self._package.missing[0]}" if self._package.missing else ""
                notes.append(f"{item.path.name}: {whole}{missing}")
            return item.path, 0.0, end_s
        path = self._work / item.path.with_suffix(".excerpt.mp4").name
        media = MediaProcess(item.path, end_s, self._work)
        to_s = end_s if self._wish.to_s is None else self._wish.to_s
        made = media.cut(self._wish.from_s or 0.0, to_s, path)
        self._package.confined &= media.confined
        notes.append(
            f"{path.name}: {made.from_s:.2f} s to {made.to_s:.2f} s of {item.path.name}, "
            "cut on keyframes, pictures copied without encoding"
        )
        return path, made.from_s, made.to_s

    def _redact(self, path: Path, item: Exported, redaction: Redaction) -> None:
        covered = self._package.folder / path.with_suffix(".redacted.mp4").name
        seconds = max(1.0, item.duration_ms / 1000)
        media = MediaProcess(path, seconds, self._work)
        made = media.redact(
            redaction, covered, lambda at_s: self._advance("redacting", at_s / seconds)
        )
        self._package.confined &= media.confined
        self._package.redacted.append(covered)
        self._count(made)
        boxes, spans = sum(n > 0 for n in made.boxes), sum(s > 0 for s in made.muted_s)
        self._package.notes.append(
            f"{covered.name}: {made.pictures} pictures, encoded anew, "
            f"{boxes} boxes covered ({redaction.method}) in {max(made.boxes, default=0)} pictures "
            f"at most, {spans} spans muted ({sum(made.muted_s):.1f} s), confirmed by "
            f"{self._wish.confirmed_by}; no digest of the original covers it"
        )

    def _count(self, made: Covered) -> None:
        self._boxes = [a + b for a, b in zip(self._boxes, made.boxes, strict=True)]
        self._muted_s = [a + b for a, b in zip(self._muted_s, made.muted_s, strict=True)]

    def _require_covered(self) -> None:
        """A box that covered nothing is a mistake of whoever drew it. In an excerpt some may lie
        outside, not all."""
        nothing = [n for n, count in enumerate(self._boxes) if not count]
        silent = [n for n, seconds in enumerate(self._muted_s) if not seconds]
        count = len(self._boxes) + len(self._muted_s)
        if not nothing and not silent:
            return
        if self._wish.is_excerpt and len(nothing) + len(silent) < count:
            self._package.notes.append(
                f"{len(nothing)} boxes and {len(silent)} spans of the redaction lie outside of the "
                "excerpt"
            )
            return
        assert self._wish.redaction is not None
        named = [f"box {n + 1} ({self._wish.redaction.boxes[n]})" for n in nothing]
        named += [f"span {n + 1} ({self._wish.redaction.mute[n]})" for n in silent]
        raise CustodyError(
            f"The redaction covers nothing with {named[0]}.",
            "It lies outside of the picture or of the film: correct redaction.json.",
        )

    def _stills(self, item: Exported, from_s: float, to_s: float) -> Iterator[Path]:
        """Snapshots of this recording that were taken within these seconds of the film."""
        claims = {f.name.removesuffix(".age"): f.claim for f in self._opened.survey.files}
        starts = [
            claim.first_pts_ns for claim in claims.values()
            if claim and claim.recording == item.recording and claim.first_pts_ns is not None
        ]  # fmt: skip
        for still in sorted(item.path.parent.glob("*.jpg")):
            claim = claims.get(still.name)
            if claim is None or claim.end_pts_ns is None or not starts:
                continue
            at_s = (claim.end_pts_ns - min(starts)) / SECOND_NS
            if not self._wish.is_excerpt or from_s <= at_s <= to_s:
                yield still
