"""Which tests go through which function, by coverage: `tests/mutants/covering.json`.

    python -m benchmarks.mutants cover      runs them all once (eight minutes on two cores)

Of each function so many are kept as run within 15 seconds, of each file some: a mutant is given to
these first.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from coverage import CoverageData

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests" / "mutants" / "covering.json"
# Golden digests and vectors notice every change, and say nothing of what it breaks.
SUITES = ("tests/unit", "tests/simulation", "tests/contract")
NOT_COUNTED = re.compile(r"golden|digest|vector|test_planted|test_determinism")
SECONDS, MOST = 15.0, 120
OF_MODULE = "(module)"


class Covering(NamedTuple):
    """`tests`: seconds by name, a name without its parameters. `functions`: numbers of tests by
    module and function, `(module)` for what stands outside of functions."""

    tests: Sequence[tuple[str, float]]
    functions: Mapping[str, Mapping[str, Sequence[int]]]

    def of(self, module: str, line: int) -> list[tuple[str, float]]:
        """Tests for a line, in an order in which different ones come soon. Raises `KeyError` for a
        module that is not known here."""
        known = self.functions[module]
        name = function_at((ROOT / module).read_text(), line)
        found = [self.tests[n] for n in known.get(name) or known[OF_MODULE]]
        # A table is read when its module is imported, before any test: who imports it reads it.
        return [*_importers(module), *found] if name == OF_MODULE else found


def _importers(module: str) -> list[tuple[str, float]]:
    """Files of unit tests that name a module in an import."""
    package, _, name = module.removesuffix(".py").replace("/", ".").rpartition(".")
    named = re.compile(rf"from {package} import .*\b{name}\b|{package}\.{name}\b")
    files = sorted((ROOT / SUITES[0]).glob("*.py"))
    return [(str(f.relative_to(ROOT)), 1.0) for f in files if named.search(f.read_text())]


def read() -> Covering:
    said = json.loads(FILE.read_text())
    return Covering([(name, seconds) for name, seconds in said["tests"]], said["functions"])


def write(modules: Sequence[str]) -> None:
    """Runs the suites under coverage, and keeps what was found."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        wanted = "\n    ".join(f"*/{module}" for module in modules)
        (folder / "rc").write_text(f"[run]\ninclude =\n    {wanted}\n")
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--cov", "--cov-context=test"]
        command += [f"--cov-config={folder / 'rc'}", "--cov-report=", "--durations=0"]
        command += ["--durations-min=0", *SUITES]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COVERAGE_FILE": f"{folder / 'data'}"}
        run = subprocess.run(
            command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True
        )
        data = CoverageData(str(folder / "data"))
        data.read()
        keep(data, run.stdout, modules)


def keep(data: CoverageData, durations: str, modules: Sequence[str]) -> None:
    took = _seconds(durations)
    through = {module: _through(data, module) for module in modules}
    breadth = Counter(t for known in through.values() for tests in known.values() for t in tests)
    numbers: dict[str, int] = {}
    functions: dict[str, dict[str, list[int]]] = {}
    for module, known in through.items():
        functions[module] = {
            function: [numbers.setdefault(t, len(numbers)) for t in _chosen(tests, took, breadth)]
            for function, tests in sorted(known.items())
            if tests
        }
    _fill(functions, modules)
    tests = [[name, round(took[name], 2)] for name in numbers]
    FILE.write_text(_text(tests, functions))


def _through(data: CoverageData, module: str) -> dict[str, set[str]]:
    """Tests by the function of a module that they go through."""
    source, found = (ROOT / module).read_text(), defaultdict[str, set[str]](set)
    for line, contexts in data.contexts_by_lineno(str(ROOT / module)).items():
        tests = {_plain(context) for context in contexts if context}
        tests = {test for test in tests if not NOT_COUNTED.search(test)}
        found[function_at(source, line)] |= tests
        found[OF_MODULE] |= tests
    return found


def _fill(functions: dict[str, dict[str, list[int]]], modules: Sequence[str]) -> None:
    """A module without a function is judged by those of its neighbours."""
    for module in modules:
        if not functions[module]:
            near = [
                functions[m] for m in modules if m.rpartition("/")[0] == module.rpartition("/")[0]
            ]
            mixed = zip_longest(*(known[OF_MODULE] for known in near if known))
            found = dict.fromkeys(n for numbers in mixed for n in numbers if n is not None)
            functions[module] = {OF_MODULE: list(found)[:MOST]}


def _text(tests: list[list[object]], functions: Mapping[str, Mapping[str, list[int]]]) -> str:
    """A line each, so that a change of it can be read."""
    names = ",\n".join(f"  {json.dumps(test)}" for test in tests)
    modules = ",\n".join(
        f'  "{module}": {{\n'
        + ",\n".join(f'   "{name}": {json.dumps(numbers)}' for name, numbers in known.items())
        + "\n  }"
        for module, known in functions.items()
    )
    return f'{{\n "tests": [\n{names}\n ],\n "functions": {{\n{modules}\n }}\n}}\n'


def _plain(context: str) -> str:
    """`tests/unit/test_x.py::test_y[a|b]|run` without what is behind the name."""
    return re.split(r"[\[|]", context)[0]


def _seconds(durations: str) -> dict[str, float]:
    """By test; one that is not here took less than 5 ms."""
    took: dict[str, float] = defaultdict(float)
    for seconds, name in re.findall(r"^([0-9.]+)s (?:call|setup) +(\S+::\S+)", durations, re.M):
        took[_plain(name)] += float(seconds)
    return took


def _chosen(tests: set[str], took: Mapping[str, float], breadth: Mapping[str, int]) -> list[str]:
    """Of each file one, then a second of each, until the time is used up: first those that go
    through little else, then the quickest."""
    files: dict[str, list[str]] = defaultdict(list)
    for test in sorted(tests, key=lambda test: (breadth[test], took[test], test)):
        files[test.partition("::")[0]].append(test)
    mixed = [test for row in zip_longest(*files.values()) for test in row if test]
    chosen: list[str] = []
    seconds = 0.0
    for test in mixed:
        if len(chosen) < MOST and (not chosen or seconds + took[test] <= SECONDS):
            chosen.append(test)
            seconds += took[test]
    return chosen


def function_at(source: str, line: int) -> str:
    """The qualified name of the innermost function around a line."""
    found = OF_MODULE
    for name, node in _functions(ast.parse(source)):
        if node.lineno <= line <= (node.end_lineno or node.lineno):
            found = name
    return found


def _functions(node: ast.AST, above: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield above + child.name, child
            yield from _functions(child, f"{above}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{above}{child.name}.")
        else:
            yield from _functions(child, above)
