"""The agency's rules of retention: one custodian proposes them, another puts them in force."""

from __future__ import annotations

from bwv_device.custody.ledger import rules
from bwv_device.custody.ledger.ledger import EffectError
from bwv_device.custody.retention_dates import Retention
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError


def propose(session: CustodySession, wanted: Retention) -> int:
    """The first of two persons. Returns the version. Raises `CustodyError`."""
    try:
        rules.read(rules.fields_of(wanted, 1))
    except EffectError as error:
        raise CustodyError(f"These can't be rules: {error}.", "Correct custody.toml.") from None
    version: list[int] = []

    def decide() -> tuple[str, dict[str, object]]:
        newest = "SELECT max(version) AS n FROM rules WHERE approved IS NOT NULL"
        row = session.index.row(newest)
        version[:] = [(row["n"] or 0) + 1 if row else 1]
        if session.index.rules == wanted:
            raise CustodyError("These rules are in force already.", "Change custody.toml first.")
        return "rules-proposed", rules.fields_of(wanted, version[0])

    session.append(decide)
    return version[0]


def approve(session: CustodySession, version: int) -> Retention:
    """The second person, who must not be the first. Returns the rules in force."""

    def decide() -> tuple[str, dict[str, object]]:
        row = session.index.row(
            "SELECT * FROM rules WHERE version = ? AND approved IS NULL", version
        )
        if row is None:
            raise CustodyError(
                f"Nobody proposed version {version}, or it is in force.", "See 'rules show'."
            )
        if row["proposer"] == session.person:
            raise CustodyError(
                f"{session.name} proposed version {version}.", "Somebody else must approve it."
            )
        return "rules-approved", {"version": version, "proposed": row["n"]}

    session.append(decide)
    return session.retention
