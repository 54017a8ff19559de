"""Draws mutants with cosmic-ray, by its operators and some of ours. Runs in cosmic-ray's own
environment, and imports nothing of the project's.

    python benchmarks/mutants/drawing.py --seed 1 --count 600 MODULE...     one JSON line each

A place in the source is drawn first, then what is done there: an addition could be eleven other
operators, a comparison five. Annotations are left out; nothing evaluates them here. What is drawn
hangs on the text of its line alone: a change elsewhere draws the same again.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from operators import CallDropper, EntryDropper, MemberSwapper

# These need arguments that name variables.
LEFT_OUT = ("core/VariableReplacer", "core/VariableInserter")
OPERATORS = {
    **{name: get_operator(name) for name in operator_names() if name not in LEFT_OUT},
    **{operator.__name__: operator for operator in (CallDropper, EntryDropper, MemberSwapper)},
}

Position = tuple[int, int]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("modules", nargs="+", type=Path)
    asked = parser.parse_args()
    places: dict[tuple[str, Position, str], list[tuple[str, int]]] = {}
    sources = {str(path): path.read_text() for path in asked.modules}
    for module, source in sources.items():
        for start, name, occurrence in _mutations(source):
            places.setdefault((module, start, _family(name)), []).append((name, occurrence))
    lot = partial(_lot, asked.seed, sources)
    drawn, seen = 0, set[str]()
    for place in sorted(places, key=lot):
        name, occurrence = min(places[place], key=lambda way: lot(place, way[0]))
        mutant = _mutant(place[0], sources[place[0]], name, occurrence)
        if mutant is None or mutant["source"] in seen:
            continue
        seen.add(mutant["source"])
        print(json.dumps(mutant))
        drawn += 1
        if drawn == asked.count:
            return


def _lot(
    seed: int, sources: Mapping[str, str], place: tuple[str, Position, str], name: str = ""
) -> bytes:
    """Its place in the draw."""
    module, (line, column), family = place
    text = sources[module].splitlines()[line - 1]
    said = f"{seed} {module} {text.strip()} {column} {family} {name}"
    return hashlib.sha256(said.encode()).digest()


def _family(name: str) -> str:
    """Operators that do the same kind of thing at one place: all that replace a comparison."""
    return name.removeprefix("core/").partition("_")[0]


def _mutations(source: str) -> Iterator[tuple[Position, str, int]]:
    """Where, which operator, and its how-manieth occurrence in this module."""
    tree = get_ast(source)
    unseen = _annotations(source)
    for name, kind in sorted(OPERATORS.items()):
        operator = kind()
        found = (at for node in ast_nodes(tree) for at in operator.mutation_positions(node))
        for occurrence, (start, _) in enumerate(found):
            if not any(first <= start < last for first, last in unseen):
                yield start, name, occurrence


def _annotations(source: str) -> list[tuple[Position, Position]]:
    """Where annotations stand, from start to end."""
    nodes: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            nodes.append(node.returns)
        if isinstance(node, ast.arg | ast.AnnAssign):
            nodes.append(node.annotation)
    return [
        ((n.lineno, n.col_offset), (n.end_lineno or 0, n.end_col_offset or 0)) for n in nodes if n
    ]


def _mutant(module: str, source: str, name: str, occurrence: int) -> dict[str, Any] | None:
    """What it makes of the module; None where that is no Python, or the same."""
    changed = mutate_code(source, OPERATORS[name](), occurrence)
    if changed is None or changed == source:
        return None
    try:
        ast.parse(changed)
    except SyntaxError:
        return None
    before, after = source.splitlines(), changed.splitlines()
    line = next(n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
    return {
        "module": module,
        "line": line + 1,
        "before": before[line].strip(),
        "after": after[line].strip(),
        "operator": name,
        "source": changed,
    }


if __name__ == "__main__":
    main()
