"""Who looked at what: the lines, each held against what the person signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cryptography import x509

from bwv_device.custody.key_desk.view_request import read_approval, read_request
from bwv_device.custody.key_desk.viewing_policy import VIEWERS
from bwv_device.custody.session import CustodySession
from bwv_device.formats.statement import StatementError

KINDS = ("viewed", "exported", "disclosed")


class Consultation(NamedTuple):
    """One line. `wrong`: what of it is not what the person signed; "" for nothing, or where its
    words are gone."""

    line: int
    utc_ns: int
    kind: str
    recordings: tuple[str, ...]
    person: str
    role: str
    outside: bool
    approver: str
    reason: str
    case: str
    wrong: str


def consultations(
    session: CustodySession,
    roots: Sequence[x509.Certificate],
    recording: str = "",
    person: str = "",
    *,
    outside: bool = False,
) -> list[Consultation]:
    """From the first on; of one recording, one person, or outside their cases."""
    session.index.catch_up()
    found = list[Consultation]()
    for said in session.index.lines(f"kind IN {KINDS}"):
        named = said["recordings"] if said["kind"] == "exported" else [said["recording"]]
        names = tuple(str(name) for name in named)
        by = session.index.row("SELECT person FROM signers WHERE fingerprint = ?", said["by"])
        one = Consultation(
            int(said["n"]),
            int(said["utc_ns"]),
            str(said["kind"]),
            names,
            str(said.get("person") or (by["person"] if by else said["name"])),
            str(said.get("acts_as") or said["role"]),
            bool(said.get("outside", False)),
            str(said.get("approver", "")),
            str(said.get("reason", "")),
            str(said.get("case", "")),
            _wrong(session, said, roots) if said["kind"] == "viewed" else "",
        )
        if recording in ("", *names) and person in ("", one.person) and one.outside >= outside:
            found.append(one)
    return found


def _wrong(
    session: CustodySession, said: Mapping[str, Any], roots: Sequence[x509.Certificate]
) -> str:
    """What the line says and the person did not sign."""
    if session.index.row("SELECT 1 FROM bodies WHERE n = ?", said["n"]) is None:
        return ""  # its words are gone
    if not said["statement"]:
        return "it brings nothing that the person signed"
    try:
        asked = read_request(said["statement"].encode("ascii", "replace"), VIEWERS, roots)
        if said["approver"]:
            approved = read_approval(said["approval"].encode("ascii", "replace"), asked, roots)
            if approved.person != said["approver"]:
                return "another second person agreed than the line says"
    except StatementError as error:
        return f"the request {error}"
    value = asked.value
    signed = {
        "recording": f"{value.device}/{value.recording}",
        "segments": list(value.segments),
        "person": asked.person,
        "acts_as": asked.role,
        "request": asked.digest,
        "reason": value.reason,
        "case": value.case,
    }
    other = [name for name, meant in signed.items() if said[name] != meant]
    return f"the person signed another {', '.join(other)}" if other else ""
