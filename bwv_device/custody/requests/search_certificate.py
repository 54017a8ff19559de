"""The search-coverage certificate: where was looked for what a request asks for, as proof that the
search was reasonable.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from bwv_device.custody.ledger.request_matching import of_a_time
from bwv_device.custody.requests.public_requests import candidates
from bwv_device.custody.requests.steps import existing_request
from bwv_device.custody.session import CustodySession


class Coverage(NamedTuple):
    """What a search looked at, and what it can't have seen. `not_delivered` are recordings among
    those found of which files were recorded and never came."""

    request: str
    found: list[str]
    searched: list[str]
    not_docked: list[str]
    erased: int
    not_delivered: list[str]


def search(session: CustodySession, request: str) -> Coverage:
    """Looks, and writes down where: a certificate that "nothing found" can be held against. Cameras
    that have not docked since the time asked for may still hold it."""
    session.check()
    found = candidates(session.index, request)
    row = existing_request(session.index, request)
    named = json.loads(row["devices"])
    cameras = {r["device"]: r["docked_ns"] for r in session.index.rows("SELECT * FROM cameras")}
    meant = named or sorted(cameras)
    not_docked = [d for d in meant if (cameras.get(d) or 0) <= row["to_ns"] or _awaits(session, d)]
    erased = sum(
        len(session.index.rows(
            f"SELECT 1 FROM recordings WHERE erasing IS NOT NULL AND {of.sql}", *of.values  # noqa: S608
        ))
        for of in of_a_time(session.index.db, row["from_ns"], row["to_ns"])
    )  # fmt: skip
    head = session.index.head
    coverage = Coverage(
        request,
        found,
        [d for d in meant if d not in not_docked],
        not_docked,
        erased,
        [name for name in found if _is_not_delivered(session, name)],
    )
    session.append(
        lambda: (
            "search",
            {
                "request": request,
                "head": head.number,
                "devices": named,
                "officers": json.loads(row["officers"]),
                "from_ns": row["from_ns"],
                "to_ns": row["to_ns"],
                "searched": coverage.searched,
                "not_docked": coverage.not_docked,
                "found": coverage.found,
                "erased": coverage.erased,
                "not_delivered": coverage.not_delivered,
            },
        )
    )
    return coverage


def _is_not_delivered(session: CustodySession, recording: str) -> bool:
    row = session.index.row(
        "SELECT 1 FROM files WHERE recording = ? AND (status = 'absent' OR lost != '') LIMIT 1",
        recording,
    )
    return row is not None


def _awaits(session: CustodySession, device: str) -> bool:
    """Whether a camera announced footage that has not come yet."""
    row = session.index.row(
        "SELECT 1 FROM files WHERE device = ? AND status = 'expected' LIMIT 1", device
    )
    return row is not None
