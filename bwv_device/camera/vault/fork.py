"""Finds out whether the newest boots of a ledger have forked (docs/format.md, 3.7).

Most boots find no fork, and read the last line of one older file for that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from bwv_device.camera.vault.signed_lines import SignedLines
from bwv_device.camera.vault.vault import part_digest
from bwv_device.formats.ledger_lines import (
    LINE_LIMIT,
    Head,
    Line,
    Torn,
    ledger_path,
    parse_line,
)
from bwv_device.verification.chain_ends import ChainEnds, End, Link
from hal.ports import Disk


class Fork(NamedTuple):
    """The ends of all branches, in order of boot; what is torn and was named by no boot yet; and
    the oldest boot that had to be read."""

    ends: list[End]
    torn: list[Torn]
    oldest_boot: int


def find_fork(
    disk: Disk, signed: SignedLines, boots: Sequence[int], acknowledged: Head | None = None
) -> Fork | None:
    """`boots` ascend. None where the newest one continues the one before, and where the chain is
    broken in another way: that is for the verifier. Of the newest file, lines behind `acknowledged`
    do not count: a failed sync left them in doubt."""
    window, firsts = _window(disk, boots)
    newest = next((b for b in reversed(window) if b in firsts), None)
    if newest is None or _continues(disk, firsts, newest):
        return None
    oldest = min(firsts)
    ends, torn = ChainEnds(_before(firsts[oldest])), list[Torn]()
    for boot in window:
        path = ledger_path(boot)
        size = disk.size(path)
        whole, end = size - _named_torn(disk, firsts, boot, size), 0
        if boot in firsts:
            until = acknowledged.number if acknowledged and boot == newest else None
            file = signed.file(boot, until, whole, whole=True)
            if file.head and file.first and ends.link(file.first) is Link.BREAKS:
                return None
            for line, end in file.lines():  # noqa: B007 - the last one counts
                ends.passed(boot, line)
            if file.head:
                ends.ended(boot, file.head)
        if end < whole or (not end and not _is_named(disk, firsts, boot, size)):
            rest = size - end
            torn.append(Torn(_name(boot), rest, part_digest(disk, path, end, rest)))
    return Fork(ends.open_ends, torn, oldest) if len(ends.open_ends) > 1 else None


def named_branches(line: Line) -> list[End]:
    """The ends that a boot line names. A card can be written by anybody: what has another form
    names nothing."""
    named = line.fields.get("branches")
    try:
        return [End(int(e["boot"]), int(e["number"]), str(e["digest"])) for e in named or ()]
    except (TypeError, KeyError, ValueError):
        return []


def _window(disk: Disk, boots: Sequence[int]) -> tuple[list[int], dict[int, Line]]:
    """The newest files, back to the one that holds what the others continue; first lines by boot.
    Line numbers only grow, so they tell which file that is."""
    window, firsts = list[int](), dict[int, Line]()
    needed: int | None = None
    for boot in reversed(boots):
        window.insert(0, boot)
        first = _first_line(disk, boot)
        if first is None:
            continue
        firsts[boot] = first
        if needed is not None and first.number <= needed:
            break
        needed = min(first.number - 1, first.number - 1 if needed is None else needed)
        if needed <= 0 or named_branches(first):
            break
    return window, firsts


def _continues(disk: Disk, firsts: dict[int, Line], newest: int) -> bool:
    """Whether the newest file continues the last line of the one before, or all branches of a fork.
    Reads the end of one file only."""
    first = firsts[newest]
    older = [boot for boot in firsts if boot < newest]
    if named_branches(first) or not older:
        return True
    path = ledger_path(max(older))
    size = disk.size(path)
    size -= _named_torn(disk, firsts, max(older), size)
    start = max(0, size - LINE_LIMIT)
    data = disk.read(path, start, size - start)
    whole, newline, _ = data.rpartition(b"\n")
    last = whole.rpartition(b"\n")[2]
    return bool(newline) and hashlib.sha256(last).hexdigest() == first.fields["prev"]


def _named_torn(disk: Disk, firsts: dict[int, Line], boot: int, size: int) -> int:
    """How many bytes at the end of a file a later boot has named as torn, if they stand there."""
    for torn in _names(firsts, boot):
        length = torn.get("length")
        if type(length) is not int or not 0 < length <= size:
            continue
        if part_digest(disk, ledger_path(boot), size - length, length) == torn.get("sha256"):
            return length
    return 0


def _is_named(disk: Disk, firsts: dict[int, Line], boot: int, size: int) -> bool:
    digest = part_digest(disk, ledger_path(boot), 0, size)
    return any(
        (torn.get("length"), torn.get("sha256")) == (size, digest) for torn in _names(firsts, boot)
    )


def _names(firsts: dict[int, Line], boot: int) -> list[dict[str, object]]:
    named = [
        torn
        for later, first in sorted(firsts.items())
        if later > boot and isinstance(first.fields.get("torn"), list)
        for torn in first.fields["torn"]
    ]
    return [t for t in named if isinstance(t, dict) and t.get("file") == _name(boot)]


def _first_line(disk: Disk, boot: int) -> Line | None:
    raw, newline, _ = disk.read(ledger_path(boot), 0, LINE_LIMIT).partition(b"\n")
    try:
        return parse_line(raw) if newline else None
    except ValueError:
        return None


def _before(first: Line) -> Head:
    return Head(first.number - 1, str(first.fields["prev"]))


def _name(boot: int) -> str:
    return ledger_path(boot).rpartition("/")[2]
