"""Role keys that end soon: who holds one must be told before custody turns them away."""

from __future__ import annotations

import datetime

from bwv_device.custody.session import CustodySession
from bwv_device.formats import statement
from hal.ports import SECOND_NS


def ending(session: CustodySession, days: int) -> list[str]:
    """Sentences about keys of the ledger that end within `days`, where their holder has signed with
    no later one."""
    session.index.catch_up()
    now = datetime.datetime.fromtimestamp(session.now_ns() // SECOND_NS, datetime.UTC)
    last: dict[tuple[str, str], tuple[datetime.datetime, str]] = {}
    for row in session.index.rows("SELECT * FROM signers"):
        certificate = statement.chain_of(row["certificate"].encode())[0]
        holder, end = (row["person"], row["role"]), certificate.not_valid_after_utc
        if holder not in last or end > last[holder][0]:
            last[holder] = end, row["name"]
    return [
        f"the {role} key of {name} ends on {end:%Y-%m-%d}: enrol a new one"
        for (_, role), (end, name) in sorted(last.items(), key=lambda item: item[1])
        if now <= end < now + datetime.timedelta(days)
    ]
