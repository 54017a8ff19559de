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

from benchmarks.mutants import covering
from benchmarks.mutants.covering import ROOT
from benchmarks.mutants.modules import DRAWN, MODULES, SEED
from benchmarks.mutants.verdicts import SURVIVED, Verdict, drawn, judge, keep_left, summary

DOCUMENT = ROOT / "docs" / "mutants.md"
BEGIN = "<!-- written by benchmarks.mutants -->\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["run", "cover"], default="run")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=DRAWN)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="of modules whose path holds this")
    parser.add_argument("--covering", action="store_true", help="survivors do not face all suites")
    asked = parser.parse_args()
    if asked.what == "cover":
        covering.write(MODULES)
        return 0
    modules = [module for module in MODULES if asked.only in module]
    mutants = drawn(modules, asked.seed, asked.count)
    console, verdicts = Console(soft_wrap=True, highlight=False), list[Verdict]()
    known = covering.read()
    found = judge(mutants, known, asked.jobs, everything=not asked.covering)
    for verdict in track(found, "mutants", total=len(mutants), console=console):
        verdicts.append(verdict)
        if verdict.word == SURVIVED:
            console.print(f"survived: {verdict.mutant}", markup=False)
    whole = asked.count >= DRAWN and not asked.only
    if whole:
        faced = "the covering tests" if asked.covering else "all suites"
        about = {"commit": _commit(), "seed": asked.seed, "faced": faced}
        head = DOCUMENT.read_text().partition(BEGIN)[0]
        keep_left(verdicts)
        DOCUMENT.write_text(f"{head}{BEGIN}\n{summary(verdicts, about)}")
    survivors = [v for v in verdicts if v.word == SURVIVED]
    console.print(f"{len(verdicts)} mutants, {len(survivors)} survived unexplained")
    return 1 if survivors else 0


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
