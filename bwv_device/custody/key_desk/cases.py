"""Who is on which case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bwv_device.custody.ledger.ledger import Decided
from bwv_device.custody.ledger.viewing_updates import TEXT_LIMIT
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.keys import same_person


def put(session: CustodySession, case: str, person: str, *, member: bool) -> bool:
    """On a case, or off it. False where that is so already. Raises `CustodyError`."""
    person = same_person(person)
    if not all(0 < len(text) <= TEXT_LIMIT for text in (case, person)):
        raise CustodyError("A case and a person have names.", "Give both.")

    def decide() -> Decided | None:
        found = "SELECT 1 FROM case_members WHERE case_ = ? AND person = ?"
        if (session.index.row(found, case, person) is not None) is member:
            return None
        return "case-member", {"case": case, "person": person, "member": member}

    return session.append(decide) is not None


def members(session: CustodySession, case: str = "") -> Sequence[Mapping[str, Any]]:
    """Rows `case_`, `person`; of all cases for ""."""
    session.index.catch_up()
    return session.index.rows(
        "SELECT * FROM case_members WHERE ?1 = '' OR case_ = ?1 ORDER BY case_, person", case
    )
