"""Where a ledger's chain ends: once, or in several branches (docs/format.md, 3.7).

Fed with each file's first line and last line in order; knows every line that was passed.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from bwv_device.formats.ledger_lines import START, Head, Line, branches_head


class Link(enum.Enum):
    """How a file's first line relates to the lines before it."""

    CONTINUES = "it continues the end of the file before"
    BRANCHES = "it continues a line that another file continues too"
    HEALS = "it names all ends that stand there, and starts a new chain"
    BREAKS = "it continues no line there is"


class End(NamedTuple):
    """The last line of a file that no other file continues."""

    boot: int
    number: int
    digest: str

    @property
    def head(self) -> Head:
        return Head(self.number, self.digest)


class ChainEnds:
    """`start` is the head that the first file continues."""

    def __init__(self, start: Head = START) -> None:
        self._passed: dict[Head, int] = {start: 0}  # the boot in whose file a line stands
        self._ends = [End(0, *start)]
        self.forked_from = 0  # the oldest boot that a branch runs through; 0 for none

    @property
    def forked_now(self) -> bool:
        """While a file is read: another end is open."""
        return bool(self._ends)

    @property
    def open_ends(self) -> list[End]:
        return list(self._ends)

    def holds(self, number: int, digest: str) -> bool:
        """Whether a line with this digest was passed, in any branch."""
        return Head(number, digest) in self._passed

    def link(self, first: Line) -> Link:
        """Takes a file's first line. If it breaks the chain, nothing changes."""
        before = Head(first.number - 1, first.fields["prev"])
        for end in self._ends:
            if end.head == before:
                self._ends.remove(end)
                return Link.CONTINUES
        if first.fields.get("branches") is not None:
            return self._heal(first)
        boot = self._passed.get(before)
        if boot is None:
            return Link.BREAKS
        boot = max(1, boot)
        self.forked_from = min(self.forked_from or boot, boot)
        return Link.BRANCHES

    def passed(self, boot: int, line: Line) -> None:
        self._passed[Head(line.number, line.digest)] = boot

    def ended(self, boot: int, head: Head) -> None:
        """The file of `boot` ends with the line `head`."""
        self._ends.append(End(boot, *head))

    def _heal(self, first: Line) -> Link:
        named: Any = first.fields["branches"]
        if len(self._ends) < 2 or named != [end._asdict() for end in self._ends]:
            return Link.BREAKS
        if Head(first.number - 1, first.fields["prev"]) != branches_head(self._ends):
            return Link.BREAKS
        self._ends = []
        return Link.HEALS
