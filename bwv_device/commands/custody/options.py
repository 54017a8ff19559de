"""What the custody commands share: configuration, store, role key, and how times are shown."""

from __future__ import annotations

import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from cryptography import x509

from bwv_device import keys
from bwv_device.backends.evidence_store import open_store
from bwv_device.commands.key_files.role_key import load_role_key
from bwv_device.config import parse_table, read_file
from bwv_device.custody.history.standing import trust_in_force
from bwv_device.custody.history.witnesses import WitnessLine
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.ledger import CustodyLedger
from bwv_device.custody.requests.law import Figures
from bwv_device.custody.retention_dates import NANOSECOND, Retention
from bwv_device.custody.session import CustodySession
from bwv_device.custody.settings import CustodySettings, check
from bwv_device.errors import CustodyError, KeyFileError
from bwv_device.formats.statement import StatementError, chain_of, role_of
from bwv_device.verification.trust_list import Trust
from hal.host import HostClock, HostEntropy
from hal.ports import EvidenceStore, Identity

DEFAULT = Path("custody.toml")


class CustodyContext:
    """Opened where it is needed."""

    def __init__(self, config: Path | None, key: Path | None) -> None:
        self._config, self._key = config, key

    @property
    def key_path(self) -> Path:
        if self._key is None:
            raise KeyFileError(
                "No role key given.", "Use --as FILE or set BWV_CUSTODY_KEY (bwv custody enrol)."
            )
        return self._key

    def own_arguments(self) -> list[str]:
        """For another process of `bwv custody` with the same configuration."""
        return ["--config", str(self._config)] if self._config else []

    @cached_property
    def settings(self) -> CustodySettings:
        path = self._config or (DEFAULT if DEFAULT.exists() else None)
        if path is None:
            return CustodySettings()
        return check(parse_table(read_file(path), str(path)), str(path))

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.settings.agency.zone)

    @cached_property
    def roots(self) -> list[x509.Certificate]:
        return keys.load_certificates(Path(self.settings.agency.root))

    @cached_property
    def store(self) -> EvidenceStore:
        place = self.settings.store
        return open_store(
            place.address, Path(place.credentials), place.ca, place.client_certificate
        )

    @cached_property
    def replicas(self) -> dict[str, EvidenceStore]:
        place = self.settings.replica
        if not place.name:
            return {}
        store = open_store(
            place.address, Path(place.credentials), place.ca, place.client_certificate, {}
        )
        return {place.name: store}

    @cached_property
    def session(self) -> CustodySession:
        """With the index as new as the store."""
        _ = self.settings  # what is wrong there is told before what is wrong with the key
        session = self.session_of(self.signer)
        session.index.catch_up()
        return session

    def session_at(self, store: EvidenceStore) -> CustodySession:
        """At another place than the one configured, with an index of its own in memory."""
        return CustodySession(
            store, self.clock, self.signer, self.roots, self.configured_rules, HostEntropy(), None,
            self.trust_list,
        )  # fmt: skip

    @property
    def configured_rules(self) -> Retention:
        rules = self.settings.retention
        return Retention(
            self.zone, rules.days, rules.hidden_days, rules.late_days, self.settings.categories,
            rules.words_days,
        )  # fmt: skip

    @property
    def figures(self) -> Figures:
        """The statutes', for requests that are opened now."""
        said = self.settings.requests
        return Figures(
            said.subject_access_months, said.subject_access_more_months, said.foi_working_days,
            said.foi_more_working_days, self.settings.agency.region,
            frozenset(map(datetime.date.fromisoformat, said.proclaimed)),
        )  # fmt: skip

    def session_of(self, signer: Identity, given: str | None = None) -> CustodySession:
        """`given`: a trust list instead of the configured one."""
        return CustodySession(
            self.store, self.clock, signer, self.roots, self.configured_rules, HostEntropy(),
            self.index_path, self.trust_list if given is None else given,
        )  # fmt: skip

    @cached_property
    def index(self) -> Index:
        """For whoever only reads, and needs no role."""
        ledger = CustodyLedger(self.store, self.clock, HostEntropy())
        return Index(ledger, self.roots, self.index_path)

    def trust(self) -> Trust | None:
        return trust_in_force(self.index, self.roots, self.trust_list)

    @cached_property
    def witnesses(self) -> WitnessLine:
        from bwv_device.backends.witness_line import HttpWitnessLine

        return HttpWitnessLine(self.settings.log.ca)

    @cached_property
    def clock(self) -> HostClock:
        return HostClock()

    def now_ns(self) -> int:
        return self.clock.utc().utc_ns

    @property
    def index_path(self) -> Path | None:
        return Path(self.settings.agency.index) if self.settings.agency.index else None

    @property
    def trust_list(self) -> str:
        """The one that is named in the configuration; "" for none."""
        path = self.settings.agency.trust
        return read_file(Path(path)).decode("ascii", "replace") if path else ""

    @property
    def signer(self) -> Identity:
        """Of this agency: what another's key says would not count. Raises `KeyFileError`."""
        identity = load_role_key(self.key_path)
        try:
            role_of(chain_of(identity.certificate_pem), self.roots)
        except StatementError as error:
            raise KeyFileError(
                f"The key {self.key_path} can't act here: what it signs {error}.",
                "Use one that 'bwv custody enrol' made for this agency.",
            ) from None
        return identity

    # --- times --------------------------------------------------------------------------------

    def parse_ns(self, text: str) -> int:
        """ISO 8601; without an offset it is the agency's time."""
        try:
            moment = datetime.datetime.fromisoformat(text)
        except ValueError:
            raise CustodyError(
                f"Invalid time {text!r}.", "Write it as 2026-11-22T21:30 or 2026-11-22T21:30+00:00."
            ) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=self.zone)
        return int(moment.timestamp()) * NANOSECOND

    def day(self, text: str) -> datetime.date:
        try:
            return datetime.date.fromisoformat(text)
        except ValueError:
            raise CustodyError(f"Invalid day {text!r}.", "Write it as 2026-11-22.") from None

    def said(self, utc_ns: int | None) -> str:
        if not utc_ns:
            return "-"
        moment = datetime.datetime.fromtimestamp(utc_ns // NANOSECOND, self.zone)
        return f"{moment:%Y-%m-%d %H:%M:%S %Z}"


def print_json(value: Any) -> None:
    import json

    click.echo(json.dumps(value, indent=2, default=str))
