"""What people of the example decided, and what waits for them today."""

from __future__ import annotations

import datetime

from bwv_device.custody import search
from bwv_device.custody.camera_register import issue
from bwv_device.custody.key_desk import cases
from bwv_device.custody.requests import law, public_requests
from bwv_device.custody.retention import holds
from bwv_device.custody.session import CustodySession
from hal.ports import SECOND_NS, Clock
from sim.desk.agency import ExampleAgency

CASE = "R v Doe 26/114"
LETTER = b"""Dear Sir or Madam,

yesterday, a little after noon, an officer spoke to me at the bus stop in Mare Street.
I should like to see the footage of that.

A member of the public
"""


def issue_camera(agency: ExampleAgency, device: str, officer: str, clock: Clock) -> None:
    """Before it records: it learns whose it is when it docks."""
    custodian = agency.session("Ruth Bell", "custodian", clock)
    configuration = agency.signer("configuration service", "configuration")
    issue(custodian, configuration, device, officer, new=True)


def decide(agency: ExampleAgency, front: str, side: str, old: str) -> None:
    """`front` and `side` saw the same; `old` is a month old."""
    ruth = agency.session("Ruth Bell", "custodian")
    holds.place(ruth, front, "evidence of an assault", CASE)
    holds.place(ruth, side, "evidence of an assault", CASE)
    search.categorize(ruth, front, "evidence")
    search.review(ruth, front, "A man is spoken to at a bus stop; he walks away.")
    for person in ("Ada Okafor", "Ruth Bell"):
        cases.put(ruth, CASE, person, member=True)
    number = _hold_of(ruth, side)
    holds.propose_release(ruth, number, "the other camera shows it better")
    officer = agency.session("Dora Lee", "disclosure")
    row = holds.existing(officer, front)
    begins_ns = int(row["start_ns"])
    public_requests.open_request(
        officer,
        public_requests.RequestDetails(
            law.SUBJECT_ACCESS, LETTER, "letter.txt", _today(officer), begins_ns + 5 * SECOND_NS,
            begins_ns, begins_ns + 20 * SECOND_NS, "Mare Street", "spoken to at the bus stop",
        ),
    )  # fmt: skip
    ruth.index.catch_up()
    search.review(ruth, old, "Nothing of interest.")


def _hold_of(session: CustodySession, recording: str) -> int:
    (row,) = session.held(recording)
    return int(row["n"])


def _today(session: CustodySession) -> datetime.date:
    return session.retention.day(session.now_ns())
