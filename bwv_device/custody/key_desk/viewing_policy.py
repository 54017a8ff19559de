"""Whether a person may look at a recording, by the agency's policy ([viewing], custody.toml)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bwv_device.custody.ledger.index import Index
from bwv_device.custody.permissions import AUDITOR, CUSTODIAN, DISCLOSURE, REVIEWER
from bwv_device.errors import CustodyError
from bwv_device.formats.certificates import RENDERER
from hal.ports import SECOND_NS

VIEWERS = (CUSTODIAN, REVIEWER, DISCLOSURE, AUDITOR, RENDERER)
HOUR_NS = 3600 * SECOND_NS


@dataclass(frozen=True, slots=True)
class ViewingPolicy:
    """`roles` may look; of these `own_case` only at what is held for a case that they are on. What
    has a category of `two_persons` needs a second person. More than `alarm_views` looks of one
    person outside their cases within `alarm_hours` are told; 0 never."""

    roles: Sequence[str] = VIEWERS
    reason: bool = True
    own_case: Sequence[str] = ()
    two_persons: Sequence[str] = ()
    alarm_views: int = 20
    alarm_hours: int = 24

    def refuse(
        self, role: str, reason: str, category: str, *, outside: bool, approver: str
    ) -> None:
        """Raises `CustodyError` where the policy forbids it."""
        if role not in self.roles:
            raise CustodyError(
                f"Who acts as {role} may not look at footage.", "See [viewing] in custody.toml."
            )
        if self.reason and not reason.strip():
            raise CustodyError("A look needs a reason.", "Give one with --reason.")
        if role in self.own_case and outside:
            raise CustodyError(
                f"Who acts as {role} may look at what is held for their own cases only.",
                "A custodian puts you on the case: bwv custody case add.",
            )
        if category in self.two_persons and not approver:
            raise CustodyError(
                f"A look at what is {category} needs a second person.",
                "Have the request approved: bwv custody view --request-out, approve-view.",
            )


def is_outside(index: Index, recording: str, person: str) -> bool:
    """Whether no hold in force on the recording names a case that the person is on."""
    row = index.row(
        "SELECT 1 FROM holds JOIN case_members USING (case_) WHERE recording = ? AND person = ? "
        "AND released IS NULL AND case_ != ''", recording, person
    )  # fmt: skip
    return row is None


def alarm(index: Index, policy: ViewingPolicy, person: str, now_ns: int) -> str:
    """A sentence where one person looked too often outside their cases; "" for no alarm."""
    if not policy.alarm_views:
        return ""
    row = index.row(
        "SELECT count(*) AS looks, count(DISTINCT recording) AS recordings FROM views "
        "WHERE person = ? AND outside AND utc_ns > ?", person, now_ns - policy.alarm_hours * HOUR_NS
    )  # fmt: skip
    if row is None or row["looks"] <= policy.alarm_views:
        return ""
    return (
        f"{person} looked {row['looks']} times at {row['recordings']} recordings outside their "
        f"cases within {policy.alarm_hours} hours"
    )
