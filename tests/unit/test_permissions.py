"""Who may write what, as `docs/custody.md` says it."""

from __future__ import annotations

import re
from pathlib import Path

from bwv_device.custody.permissions import MAY_WRITE

TEXT = Path(__file__).parents[2] / "docs" / "custody.md"
ROW = re.compile(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| ([a-z, ]+) \|", re.MULTILINE)


def test_each_kind_of_line_is_written_by_whom_the_document_names() -> None:
    told = {
        kind.strip("`"): set(who.split(", "))
        for kinds, who in ROW.findall(TEXT.read_text().partition("| kind | who |")[2])
        for kind in kinds.split(", ")
    }
    assert {kind: set(roles) for kind, roles in MAY_WRITE.items()} == told


def test_no_role_both_proposes_to_delete_and_deletes() -> None:
    """Who lifts a hold or shortens a category must not be who erases."""
    lifts = set(MAY_WRITE["release-approved"]) | set(MAY_WRITE["category"])
    assert not lifts & (set(MAY_WRITE["erasing"]) | set(MAY_WRITE["erased"]))
