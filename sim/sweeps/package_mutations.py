"""Drawn changes of packages, before three verifiers that share no code: they must give one answer,
and nothing that a stranger changed may be genuine."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bwv_device import keys
from bwv_device.errors import VaultError
from bwv_device.verification.package_verifier import verify_package
from bwv_device.verification.second_package_verifier import Package
from bwv_device.verification.second_video_verifier import EXCEPTION, FALSE, GENUINE
from bwv_device.verification.video_signatures import Answer
from sim.random_streams import Draws
from sim.servers.page_verifier import PageVerifier
from sim.sweeps.disclosed_packages import (
    CUT,
    DAMAGED,
    EXCERPT,
    GONE,
    REDACTED,
    UNSEEN,
    WHOLE,
    DisclosedPackages,
    Files,
)
from sim.sweeps.package_edits import BY_INSIDER, BY_STRANGER, OF_EXCERPT, Draft

ANSWERS = {Answer.GENUINE: GENUINE, Answer.EXCEPTION: EXCEPTION, Answer.NOT_GENUINE: FALSE}
MEMORY = Path("/dev/shm")  # noqa: S108  a file system in memory, where there is one
# What leaves a package as it was, though somebody else did it.
HARMLESS = ("nothing", "a file of the operating system added")


@dataclass
class PackageMutationsOutcome:
    """What a sweep came to."""

    packages: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class PackageMutations:
    """Packages of an agency, in memory; each change is written where the verifiers read it."""

    def __init__(self, source: DisclosedPackages | None = None) -> None:
        self.source = source or DisclosedPackages()
        self._work = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self._folder = Path(self._work.name) / "package"
        self._root = Path(self._work.name) / "root.pem"
        self._root.write_bytes(self.source.agency.files[keys.ROOT])

    def run(self, seeds: Iterable[int]) -> PackageMutationsOutcome:
        outcome = PackageMutationsOutcome()
        with PageVerifier() as page:
            for seed in seeds:
                draws = Draws(seed, "package")
                kind, changes, files = self._changed(draws)
                answers, why = self.answers(files, page)
                outcome.packages += 1
                outcome.answers[answers[0]] += 1
                told = f"seed {seed}: {kind}, {changes}: {answers}: {why}"
                if len(set(answers)) > 1:
                    outcome.failures.append(told)
                strange = [c for c in changes if c in BY_STRANGER and c not in HARMLESS]
                if strange and GENUINE in answers and files != self.source.packages[kind]:
                    outcome.failures.append(f"{told}: changed, and genuine")
        return outcome

    def _changed(self, draws: Draws) -> tuple[str, list[str], Files]:
        kind = draws.pick((WHOLE, WHOLE, CUT, GONE, DAMAGED, EXCERPT, EXCERPT, REDACTED, UNSEEN))
        draft = Draft(self.source, dict(self.source.packages[kind]), draws)
        changes = list[str]()
        if draws.chance(750):
            table = {**BY_INSIDER, **(OF_EXCERPT if kind == EXCERPT else {})}
            for _ in range(draws.between(1, 3)):
                changes.append(draws.pick(sorted(table)))
                table[changes[-1]](draft)
            draft.sign_anew()
        if not changes or draws.chance(150):
            changes.append(draws.pick(sorted(BY_STRANGER)))
            BY_STRANGER[changes[-1]](draft)
        return kind, changes, draft.files

    def answers(self, files: Files, page: PageVerifier) -> tuple[list[str], str]:
        """Of the three, and their reasons."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for name, data in files.items():
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        roots = [self.source.agency.root]
        try:
            first = verify_package(self._folder, roots)
            answer, why = ANSWERS[first.answer], [*first.problems, *first.exceptions]
        except VaultError as error:  # nothing that could be a package
            answer, why = FALSE, [str(error)]
        second = Package(self._folder, roots)
        third_answer = second.judge()
        shown = page.judge(self._folder, self._root)
        reasons = (why, [*second.false, *second.exceptions], [*shown.complaints, *shown.exceptions])
        return [answer, third_answer, shown.answer], " | ".join(str(r[:3]) for r in reasons)
