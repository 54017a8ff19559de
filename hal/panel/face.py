"""The outside of a camera, for whoever looks at it without being its agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol

from hal.ports import Board, Level

# An output's name, when (monotonic nanoseconds), its level, and the pattern that it is a part of.
HeardLevel = Callable[[str, int, Level, str], None]


class Face(Protocol):
    """What a passer-by sees of a camera."""

    def watch_levels(self, heard: HeardLevel) -> None:
        """Every level that is driven to a pin from now on, from any thread."""
        ...


class PressableFace(Face, Protocol):
    """A simulated camera: whoever looks has fingers, too. Called from any thread."""

    def move(self, button: str, *, pressed: bool) -> None: ...

    def switches(self) -> list[dict[str, Any]]:
        """What can be done to its world, described for a page."""
        ...

    def do(self, sentence: str) -> None:
        """Raises `ValueError` for what it does not know."""
        ...

    def on(self) -> list[str]:
        """The switches that are on."""
        ...


@dataclass(frozen=True, slots=True)
class FacedBoard(Board):
    """A board that can be looked at."""

    face: Face


def with_face(board: Board, face: Face) -> FacedBoard:
    parts = {field.name: getattr(board, field.name) for field in fields(Board)}
    return FacedBoard(**parts, face=face)
