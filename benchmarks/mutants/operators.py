"""Operators for what cosmic-ray's own do not touch: calls, and the tables that decide.

Like `drawing`, this runs in cosmic-ray's environment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import parso
from cosmic_ray.operators.operator import Example, Operator

Position = tuple[int, int]
Span = tuple[Position, Position]
CAPITALS = re.compile(r"[A-Z][A-Z0-9_]+\Z")


class CallDropper(Operator):  # type: ignore[misc]
    """A call made for its effect, or an assignment to an attribute, is not done."""

    def mutation_positions(self, node: Any) -> Iterator[Span]:
        if node.type == "simple_stmt" and _has_effect(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.children[0] = parso.parse(node.children[0].get_first_leaf().prefix + "pass")
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return (Example("ring()\n", "pass\n"), Example("a.b = 1\n", "pass\n"))


def _has_effect(node: Any) -> bool:
    if node.type == "atom_expr":
        return bool(getattr(node.children[-1], "children", [None])[0] == "(")
    if node.type == "expr_stmt" and node.children[0].type == "atom_expr":
        return True
    return node.type == "expr_stmt" and getattr(node.children[1], "value", "") in ("+=", "-=", "|=")


class EntryDropper(Operator):  # type: ignore[misc]
    """An entry of a table, a set, a list or a tuple in brackets is not there."""

    def mutation_positions(self, node: Any) -> Iterator[Span]:
        entries = _entries(node)
        # The node may be changed before the last one is asked for.
        yield from [(node.children[a].start_pos, node.children[z].end_pos) for a, z in entries]

    def mutate(self, node: Any, index: int) -> Any:
        first, last = _entries(node)[index]
        end = last + 1
        if end < len(node.children):  # its comma
            end += 1
        del node.children[first:end]
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return (Example("x = {a: 1, b: 2}", "x = { b: 2}"),)


def _entries(node: Any) -> list[tuple[int, int]]:
    """First and last child of each entry, where there are two or more."""
    if node.type not in ("dictorsetmaker", "testlist_comp"):
        return []
    if any(child.type in ("comp_for", "sync_comp_for") for child in node.children):
        return []
    found, first = [], 0
    for at, child in enumerate(node.children):
        if getattr(child, "value", "") == ",":
            found.append((first, at - 1))
            first = at + 1
    if first < len(node.children):
        found.append((first, len(node.children) - 1))
    return found if len(found) > 1 else []


class MemberSwapper(Operator):  # type: ignore[misc]
    """One name in capitals for another: a state, an action, a role."""

    def mutation_positions(self, node: Any) -> Iterator[Span]:
        if node.type == "name" and _others(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        others = _others(node)
        node.value = next((name for name in others if name > node.value), others[0])
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return (Example("x = (A.BC, A.DE)", "x = (A.DE, A.DE)"),)


def _others(name: Any) -> list[str]:
    """Other names that stand in this module behind the same owner; without an owner, in the same
    brackets."""
    if not CAPITALS.match(name.value) or name.is_definition():
        return []
    root = name.get_root_node()
    if name.parent.type == "trailer":
        owner = name.parent.get_previous_sibling()
        if owner is None or owner.type != "name":
            return []
        names = re.findall(rf"\b{owner.value}\.([A-Z][A-Z0-9_]+)\b", root.get_code())
    elif name.parent.type in ("testlist_comp", "dictorsetmaker", "atom"):
        outer = name.parent
        while outer.parent is not None and outer.type not in ("file_input", "expr_stmt"):
            outer = outer.parent
        names = re.findall(r"(?<![.\w])([A-Z][A-Z0-9_]+)\b(?!\.)", outer.get_code())
    else:
        return []
    return sorted(set(names) - {name.value})
