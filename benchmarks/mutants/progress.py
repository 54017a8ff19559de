"""What is known of the drawn mutants: `tests/mutants/verdicts.jsonl`, a line each, kept as they
come, so that a run that ended early goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from benchmarks.mutants.covering import ROOT
from benchmarks.mutants.verdicts import EXPLAINED_WORD, HANGS, KILLED, Mutant, Verdict, explained

FILE = ROOT / "tests" / "mutants" / "verdicts.jsonl"
NOTICED = (KILLED, HANGS)

Name = tuple[str, str, str]


def name(mutant: Mutant) -> Name:
    """By its text: a change elsewhere in the module leaves it what it is."""
    return mutant.module, mutant.before, mutant.after


def add(verdict: Verdict) -> None:
    with FILE.open("a") as file:
        file.write(_line(verdict))


def forget() -> None:
    FILE.write_text("")


def tidy(mutants: Sequence[Mutant]) -> list[Verdict]:
    """The newest word on each that is drawn, in the order of the draw; what is explained needs no
    run. Older words, and those on other mutants, are left out of the file."""
    known = _read()
    for key, why in explained().items():
        known[key] = (EXPLAINED_WORD, why)
    verdicts = [Verdict(m, *known[name(m)]) for m in mutants if name(m) in known]
    FILE.write_text("".join(map(_line, verdicts)))
    return verdicts


def noticed(mutants: Iterable[Mutant]) -> list[Mutant]:
    """Those that a test noticed, and must notice again."""
    known = _read()
    return [mutant for mutant in mutants if known.get(name(mutant), ("", ""))[0] in NOTICED]


def _read() -> dict[Name, tuple[str, str]]:
    lines = map(json.loads, FILE.read_text().splitlines()) if FILE.exists() else []
    return {(m["module"], m["before"], m["after"]): (m["word"], m["by"]) for m in lines}


def _line(verdict: Verdict) -> str:
    module, before, after = name(verdict.mutant)
    said = {"module": module, "before": before, "after": after, "word": verdict.word,
            "by": verdict.by}  # fmt: skip
    return json.dumps(said) + "\n"
