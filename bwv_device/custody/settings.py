"""Every setting of custody: types, limits, defaults. `custody.toml` is the manual."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from annotated_types import Interval, Len

from bwv_device.config import Loaded, validate
from bwv_device.config import check as check_camera
from bwv_device.custody.key_desk.viewing_policy import VIEWERS, ViewingPolicy
from bwv_device.errors import ConfigError
from bwv_device.settings import Section
from bwv_device.settings import Settings as CameraSettings


@dataclass(frozen=True, slots=True)
class Store(Section):
    address: Annotated[str, Len(1, 512)] = "evidence"
    credentials: Annotated[str, Len(1)] = "store-credentials.toml"
    ca: str = ""
    client_certificate: str = ""


@dataclass(frozen=True, slots=True)
class Replica(Section):
    name: Annotated[str, Len(0, 64)] = ""
    address: Annotated[str, Len(0, 512)] = ""
    credentials: Annotated[str, Len(1)] = "replica-credentials.toml"
    ca: str = ""
    client_certificate: str = ""


@dataclass(frozen=True, slots=True)
class Agency(Section):
    root: Annotated[str, Len(1)] = "agency/agency-root.pem"
    zone: Annotated[str, Len(1)] = "Europe/London"
    region: Annotated[str, Len(2, 4)] = "ENG"
    trust: str = ""
    index: str = "custody-index.sqlite"
    heads: str = ""


@dataclass(frozen=True, slots=True)
class Times(Section):
    days: Annotated[int, Interval(ge=1, le=3650)] = 31
    hidden_days: Annotated[int, Interval(ge=0, le=365)] = 7
    late_days: Annotated[int, Interval(ge=0, le=365)] = 7
    words_days: Annotated[int, Interval(ge=1, le=36_500)] = 2557


@dataclass(frozen=True, slots=True)
class Service(Section):
    intake_s: Annotated[int, Interval(ge=1, le=3600)] = 2
    retention_s: Annotated[int, Interval(ge=10, le=86_400)] = 3600
    reminder_days: Annotated[int, Interval(ge=0, le=60)] = 5
    completeness_h: Annotated[int, Interval(ge=0, le=720)] = 24


@dataclass(frozen=True, slots=True)
class Requests(Section):
    subject_access_months: Annotated[int, Interval(ge=1, le=12)] = 1
    subject_access_more_months: Annotated[int, Interval(ge=0, le=12)] = 2
    foi_working_days: Annotated[int, Interval(ge=1, le=200)] = 20
    foi_more_working_days: Annotated[int, Interval(ge=0, le=200)] = 20
    proclaimed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Log(Section):
    key: str = ""
    ca: str = ""
    interval_s: Annotated[int, Interval(ge=1, le=3600)] = 5


@dataclass(frozen=True, slots=True)
class Viewing(Section):
    desk: Annotated[str, Len(0, 512)] = ""
    ca: str = ""
    roles: list[str] = field(default_factory=lambda: list(VIEWERS))
    reason: bool = True
    own_case: list[str] = field(default_factory=list)
    two_persons: list[str] = field(default_factory=list)
    alarm_views: Annotated[int, Interval(ge=0, le=1_000_000)] = 20
    alarm_hours: Annotated[int, Interval(ge=1, le=8760)] = 24

    @property
    def policy(self) -> ViewingPolicy:
        return ViewingPolicy(
            self.roles, self.reason, self.own_case, self.two_persons, self.alarm_views,
            self.alarm_hours,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class EvidenceDesk(Section):
    agency: Annotated[str, Len(1, 100)] = "Evidence desk"
    address: Annotated[str, Len(0, 512)] = ""
    code: Annotated[str, Len(0, 512)] = ""
    state: Annotated[str, Len(1)] = "desk.sqlite"
    index: str = "desk-index.sqlite"
    proxy: Annotated[str, Len(0, 64)] = "127.0.0.1"
    idle_min: Annotated[int, Interval(ge=1, le=120)] = 15
    most_h: Annotated[int, Interval(ge=1, le=24)] = 10
    key_alone: bool = False
    issuer: Annotated[str, Len(0, 512)] = ""
    client: Annotated[str, Len(0, 200)] = ""
    client_secret: Annotated[str, Len(0, 512)] = "open-id-secret.txt"  # noqa: S105  a file
    person_claim: Annotated[str, Len(1, 100)] = "sub"
    issuer_ca: str = ""


@dataclass(frozen=True, slots=True)
class CustodySettings(Section):
    """The whole of `custody.toml`, a section each."""

    store: Store = field(default_factory=Store)
    replica: Replica = field(default_factory=Replica)
    agency: Agency = field(default_factory=Agency)
    retention: Times = field(default_factory=Times)
    categories: dict[str, int] = field(default_factory=lambda: {"evidence": 2555, "training": 365})
    service: Service = field(default_factory=Service)
    requests: Requests = field(default_factory=Requests)
    log: Log = field(default_factory=Log)
    viewing: Viewing = field(default_factory=Viewing)
    desk: EvidenceDesk = field(default_factory=EvidenceDesk)
    profiles: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)


def check(table: dict[str, Any], name: str) -> CustodySettings:
    """Settings from a table of sections. Raises `ConfigError` with every problem."""
    settings = validate(CustodySettings, table, name)
    problems = []
    try:
        ZoneInfo(settings.agency.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        problems.append(("agency.zone", "unknown time zone; write it as Europe/London"))
    for day in settings.requests.proclaimed:
        try:
            datetime.date.fromisoformat(day)
        except ValueError:
            problems.append(("requests.proclaimed", f"{day!r} is no day; write it as 2026-06-15"))
    problems += [
        ("viewing", f"{role!r} may not look; choose of {', '.join(VIEWERS)}")
        for role in (*settings.viewing.roles, *settings.viewing.own_case)
        if role not in VIEWERS
    ]
    for profile, sections in settings.profiles.items():
        try:
            Loaded(CameraSettings(), "", {}, check_camera).with_assigned(sections)
        except ConfigError as error:
            problems += [(f"profiles.{profile}.{place}", text) for place, text in error.problems]
    if settings.retention.hidden_days > settings.retention.days:
        problems.append(("retention.hidden_days", "must not exceed retention.days"))
    if problems:
        raise ConfigError(f"The configuration {name} can't be used:", problems)
    return settings
