"""The verifier that goes out with a package: second opinions, joined into one file.

A court's expert gets one file to read and to run, with nothing of this project beside it. Only what
it uses is in it. The parts stay apart here, because each is of use alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bwv_device.verification import (
    second_film,
    second_package_verifier,
    second_verifier,
    second_video_verifier,
)

# In the order of the file; the last one's `main` is run.
PARTS = (second_verifier, second_video_verifier, second_film, second_package_verifier)
NAME, OURS = "verify.py", "bwv_device."
NEEDED = """\
try:
    import cryptography
except ImportError:
    sys.exit("This needs the Python package 'cryptography' (Debian: python3-cryptography).")
"""


class _Statement(NamedTuple):
    """A definition at the top of a part: the names it gives, those it uses, its lines."""

    part: int
    at: int
    gives: frozenset[str]
    uses: frozenset[str]
    text: str


def verifier() -> bytes:
    """The whole file. Raises `ValueError` where two parts mean different things by a name."""
    sources = [Path(str(part.__file__)).read_text() for part in PARTS]
    trees = [ast.parse(source) for source in sources]
    statements = [
        statement
        for number, (source, tree) in enumerate(zip(sources, trees, strict=True))
        for statement in _statements(number, source, tree)
    ]
    used = _used(statements)
    texts = dict.fromkeys(statement.text for statement in used)
    body = "".join(("\n\n\n" if _is_long(text) else "\n") + text for text in texts)
    imports = _imports(trees, frozenset().union(*(s.uses for s in used)))
    (head, *_) = trees[-1].body
    title = ast.get_source_segment(sources[-1], head)
    begin = f"{title}\n\nfrom __future__ import annotations\n\n{imports}\n"
    return f'{begin}{body}\n\n\nif __name__ == "__main__":\n    main()\n'.encode()


def _is_long(text: str) -> bool:
    return any(line.startswith(("def ", "class ", "@")) for line in text.splitlines())


def _statements(part: int, source: str, tree: ast.Module) -> Iterator[_Statement]:
    lines, before = source.splitlines(), 0
    for node in tree.body:
        last = node.end_lineno or node.lineno
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        comments = [n for n in range(before, first - 1) if lines[n].startswith("#")]
        text = "\n".join([*(lines[n] for n in comments), *lines[first - 1 : last]])
        before = last
        if isinstance(node, ast.If | ast.Import | ast.ImportFrom) or _is_docstring(node):
            continue
        uses = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        yield _Statement(part, first, frozenset(_gives(node)), frozenset(uses), text)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _gives(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    for target in targets:
        for name in ast.walk(target) if target is not None else ():
            if isinstance(name, ast.Name):
                yield name.id


def _used(statements: Sequence[_Statement]) -> list[_Statement]:
    """What `main` of the last part needs, in order. What gives no name belongs to its part."""
    last = len(PARTS) - 1
    found = {s for s in statements if s.part == last and (not s.gives or "main" in s.gives)}
    waiting = list(found)
    while waiting:
        for name in waiting.pop().uses:
            meant = [s for s in statements if name in s.gives and "main" not in s.gives]
            if len({statement.text for statement in meant}) > 1:
                raise ValueError(f"two parts mean different things by {name!r}")
            waiting += (new := set(meant[:1]) - found)
            found |= new
    return sorted(found, key=lambda statement: (statement.part, statement.at))


def _imports(trees: Sequence[ast.Module], uses: frozenset[str]) -> str:
    """Of other packages, only what is used."""
    whole, names = set[str](), dict[str, set[str]]()
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.Import):
                whole |= {alias.name for alias in node.names if alias.name in uses}
            elif isinstance(node, ast.ImportFrom) and not str(node.module).startswith(OURS):
                wanted = {alias.name for alias in node.names if alias.name in uses}
                if wanted and node.module != "__future__":
                    names.setdefault(str(node.module), set()).update(wanted)
    standard = [f"import {name}" for name in sorted(whole)]
    given = {m: f"from {m} import {', '.join(sorted(names[m]))}" for m in sorted(names)}
    others = [line for module, line in given.items() if module.startswith("cryptography")]
    standard += [line for line in given.values() if line not in others]
    return "\n".join([*standard, "", NEEDED, *others])
