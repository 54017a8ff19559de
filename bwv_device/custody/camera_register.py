"""The issue register. Each camera is issued to one officer at a time, by a signed assignment that
the camera checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bwv_device.custody.permissions import CONFIGURATION
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.formats import statement, store_keys
from bwv_device.formats.grammar.purposes import ASSIGNMENT
from bwv_device.formats.statement import Signer, StatementError
from bwv_device.formats.upload_body import BytesBody
from bwv_device.verification.signed_heads import count_recorded, fork_proof
from hal.ports import StoreError, StoreTrouble

UNASSIGNED = "unassigned"
BATTERY_LEAST = 50


def issue(
    session: CustodySession,
    configuration: Signer,
    device: str,
    officer: str,
    settings: Mapping[str, Any] | None = None,
    *,
    new: bool = False,
    profile: str = "",
) -> int:
    """Returns the version of the assignment that the camera picks up at its next docking. Raises
    `CustodyError` with every reason why not. A camera that custody has never heard of is issued
    only as `new`. The same issue again publishes what is missing. `profile` names where the
    settings come from."""
    _may_configure(session, configuration)
    version: list[int] = []

    def decide() -> tuple[str, Mapping[str, Any]] | None:
        camera = session.index.row("SELECT * FROM cameras WHERE device = ?", device)
        if camera is not None and camera["officer"] == officer:
            version[:] = [camera["version"]]
            return None
        if camera is None and not new:
            raise CustodyError(
                f"No camera {device} has docked here or was issued before.",
                "Check the name (bwv custody camera list), or add --new for a new camera.",
            )
        if problems := refusals(camera, officer):
            raise CustodyError(f"{device} is not issued: {'; '.join(problems)}.", "")
        version[:] = [(camera["version"] if camera else 0) + 1]
        named = {"profile": profile} if profile else {}
        return "issue", {"device": device, "officer": officer, "version": version[0], **named}

    session.append(decide)
    _publish(session, configuration, device, version[0], officer, settings or {})
    return version[0]


def settle_fork(session: CustodySession, device: str, heads: Path, reason: str) -> None:
    """Somebody looked at a camera whose ledger forked, and at its card: intake takes it again. The
    proof, and the heads that were kept until now, refuse nothing any more. Raises `CustodyError`
    where there is nothing to settle."""
    proof, count = fork_proof(heads, device), count_recorded(heads, device)

    def decide() -> tuple[str, Mapping[str, Any]]:
        camera = session.index.row("SELECT * FROM cameras WHERE device = ?", device)
        if camera is None:
            raise CustodyError(f"There is no camera {device!r}.", "See 'bwv custody camera list'.")
        if (proof, count) == (camera["settled_proof"], camera["settled_heads"]):
            raise CustodyError(f"Nothing is kept against {device}.", "There is nothing to settle.")
        return "fork-settled", {"device": device, "proof": proof, "heads": count, "reason": reason}

    session.append(decide)


def refusals(camera: Mapping[str, Any] | None, officer: str) -> list[str]:
    """Why a camera can't be issued now; a camera that never docked is new."""
    if not officer or officer == UNASSIGNED:
        return ["an officer is needed"]
    if camera is None:
        return []
    reasons = {
        f"it is revoked ({camera['revoked']})": bool(camera["revoked"]),
        f"it is issued to {camera['officer']}": bool(camera["officer"]),
        f"{camera['waiting']} files of footage have not arrived": camera["waiting"] > 0,
        "its clock is not set": camera["clock"] == "none",
        f"its battery is at {camera['battery']} %": (
            camera["battery"] is not None and camera["battery"] < BATTERY_LEAST
        ),
    }
    return [reason for reason, there in reasons.items() if there]


def take_back(session: CustodySession, configuration: Signer, device: str) -> int:
    """Returns the version of the assignment that the camera picks up. Raises `CustodyError` where
    nobody has it; what an interrupted return did not publish is published then."""
    _may_configure(session, configuration)
    version: list[int] = []

    def decide() -> tuple[str, Mapping[str, Any]] | None:
        camera = session.index.row("SELECT * FROM cameras WHERE device = ?", device)
        if camera is None or not (camera["officer"] or camera["version"]):
            raise CustodyError(f"{device} is issued to nobody.", "See 'bwv custody camera list'.")
        if not camera["officer"]:
            version[:] = [camera["version"]]
            return None
        version[:] = [camera["version"] + 1]
        return "return", {"device": device, "version": version[0], "officer": camera["officer"]}

    is_new = session.append(decide) is not None
    _publish(session, configuration, device, version[0], UNASSIGNED, {})
    if not is_new:
        raise CustodyError(f"{device} is issued to nobody.", "See 'bwv custody camera list'.")
    return version[0]


def revoke(session: CustodySession, device: str, reason: str) -> None:
    """From now on, what this camera delivers goes to quarantine."""
    session.append(lambda: ("revoke", {"device": device, "reason": reason or "no reason given"}))


def _may_configure(session: CustodySession, configuration: Signer) -> None:
    """Cameras take an assignment from a configuration key of this agency alone. Raises
    `CustodyError`."""
    chain = statement.chain_of(configuration.certificate_pem)
    try:
        role = statement.role_of(chain, session.roots).role
    except StatementError as error:
        role = f"none of this agency's: it {error}"
    if role != CONFIGURATION:
        raise CustodyError(
            f"The key of the assignment is {role}; cameras want {CONFIGURATION}.",
            "Use another key with --configuration-as.",
        )


def _publish(
    session: CustodySession,
    configuration: Signer,
    device: str,
    version: int,
    officer: str,
    settings: Mapping[str, Any],
) -> None:
    fields = {
        "device": device,
        "version": version,
        "officer": officer,
        "settings": dict(settings),
        "utc_ns": session.now_ns(),
    }
    said = statement.make(configuration, ASSIGNMENT, fields)
    try:
        session.store.create(store_keys.assignment(device, version), BytesBody(said))
    except StoreError as error:
        if error.trouble is not StoreTrouble.EXISTS:
            raise
