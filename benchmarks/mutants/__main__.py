"""Mutation testing.

python -m benchmarks.mutants                      600 mutants by seed 1; writes docs/mutants.md
python -m benchmarks.mutants --count 20 --seed 7  a sample; writes nothing
python -m benchmarks.mutants cover                which tests go through which function
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from rich.console import Console
from rich.progress import track

from benchmarks.mutants import covering, progress
from benchmarks.mutants.covering import ROOT
from benchmarks.mutants.modules import DRAWN, MODULES, SEED
from benchmarks.mutants.verdicts import EXPLAINED_WORD, SURVIVED, drawn, judge, summary

DOCUMENT = ROOT / "docs" / "mutants.md"
BEGIN = "<!-- written by benchmarks.mutants -->\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["run", "cover"], default="run")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="of modules whose path holds this")
    parser.add_argument("--covering", action="store_true", help="survivors do not face all suites")
    parser.add_argument("--anew", action="store_true", help="forgets earlier verdicts")
    asked = parser.parse_args()
    if asked.what == "cover":
        covering.write(MODULES)
        return 0
    mutants = drawn(MODULES, SEED, DRAWN)
    if asked.anew:
        progress.forget()
    done = {progress.name(v.mutant): v.word for v in progress.tidy(mutants)}
    settled = (*progress.NOTICED, EXPLAINED_WORD)
    todo = [
        m for m in mutants if asked.only in m.module and done.get(progress.name(m)) not in settled
    ]
    # What nobody looked at before what survived the last time.
    todo.sort(key=lambda mutant: progress.name(mutant) in done)
    console = Console(soft_wrap=True, highlight=False)
    found = judge(todo, covering.read(), asked.jobs, everything=not asked.covering)
    try:
        for verdict in track(found, "mutants", total=len(todo), console=console):
            progress.add(verdict)
            if verdict.word == SURVIVED:
                console.print(f"survived: {verdict.mutant}", markup=False)
    finally:
        verdicts = progress.tidy(mutants)
        faced = "the covering tests' files" if asked.covering else "all suites"
        about = {"commit": _commit(), "seed": SEED, "drawn": DRAWN, "judged": len(verdicts),
                 "what survived faced": faced}  # fmt: skip
        head = DOCUMENT.read_text().partition(BEGIN)[0]
        DOCUMENT.write_text(f"{head}{BEGIN}\n{summary(verdicts, about)}")
    survivors = [v for v in verdicts if v.word == SURVIVED]
    console.print(f"{len(verdicts)} of {DRAWN} judged, {len(survivors)} survive unexplained")
    return 1 if survivors or len(verdicts) < DRAWN else 0


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
