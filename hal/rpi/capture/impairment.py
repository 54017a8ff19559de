"""Notices what makes a recording useless while everything seems to run; says each change once."""

from __future__ import annotations

from collections.abc import Callable

# What is looked at must stay bad for so long before it is told, and good before that is over.
PATIENCE_S = 3.0


class Impairments:
    """Turns momentary findings into changes. `tell` hears (what, present)."""

    def __init__(self, tell: Callable[[str, bool], None], patience_s: float = PATIENCE_S) -> None:
        self._tell, self._patience_s = tell, patience_s
        self._since_s: dict[str, float] = {}
        self._present: set[str] = set()

    def note(self, what: str, found: bool, at_s: float) -> None:
        """What was found at a time, in seconds of any clock that goes on."""
        if found == (what in self._present):
            self._since_s.pop(what, None)
            return
        since_s = self._since_s.setdefault(what, at_s)
        if at_s - since_s >= self._patience_s:
            del self._since_s[what]
            (self._present.add if found else self._present.discard)(what)
            self._tell(what, found)
