"""Reads `config.toml`: every problem at once, each with its place and a remedy."""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from bwv_device.errors import ConfigError
from bwv_device.files import read_small
from bwv_device.settings import Settings

T = TypeVar("T")
Check = Callable[[dict[str, Any], str], Settings]

# What an agency may assign; keys, stores and pins belong to the rig.
ASSIGNABLE = (
    "recording", "video", "audio", "buttons", "light", "sounds", "alarms", "public", "policy",
    "location", "storage",
)  # fmt: skip


# Settings carry their unit at the end of the name.
UNITS = {
    "s": "seconds", "ms": "milliseconds", "min": "minutes", "days": "days", "mib": "MiB",
    "kib": "KiB", "kbps": "kilobits per second", "percent": "percent", "hz": "hertz",
    "c": "degrees Celsius", "mah": "mAh",
}  # fmt: skip


class Loaded(NamedTuple):
    """Settings, the SHA-256 of the file they came from ("" for the defaults), what stood in it, and
    how another table is checked."""

    settings: Settings
    sha256: str
    table: dict[str, Any]
    check: Check

    def with_assigned(self, assigned: dict[str, Any]) -> Settings:
        """The same with what the agency assigned over it. Raises `ConfigError`."""
        table = {name: dict(section) for name, section in self.table.items()}
        foreign = [
            (name, "can't be assigned: it is this rig's own; leave it out")
            for name, section in assigned.items()
            if name not in ASSIGNABLE or not isinstance(section, dict)
        ]
        if foreign:
            raise ConfigError("The assigned settings can't be used.", foreign)
        for name, section in assigned.items():
            table[name] = {**table.get(name, {}), **section}
        return self.check(table, "as assigned by the agency")


def load(path: Path, checked: Check | None = None) -> Loaded:
    """Raises `ConfigError` with every problem of the file. `checked`: by whom, else here."""
    checked = checked or check
    raw = read_file(path)
    table = parse_table(raw, str(path))
    return Loaded(checked(table, str(path)), hashlib.sha256(raw).hexdigest(), table, checked)


def read_file(path: Path) -> bytes:
    """A small file. Raises `ConfigError`."""
    try:
        return read_small(path)
    except OSError as error:
        problem = [(str(path), f"can't be read: {error.strerror}; check the path")]
        raise ConfigError("The configuration can't be used.", problem) from None


def parse(raw: bytes, name: str) -> Settings:
    """Settings from the bytes of a TOML file."""
    return check(parse_table(raw, name), name)


def parse_table(raw: bytes, name: str) -> dict[str, Any]:
    """A TOML file as it is."""
    try:
        return tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = [(name, f"is not valid TOML: {error}")]
        raise ConfigError("The configuration can't be used.", problem) from None


def check(table: dict[str, Any], name: str) -> Settings:
    """Settings from a table of sections. Raises `ConfigError` with every problem."""
    settings = validate(Settings, table, name)
    problems = _contradictions(settings)
    if problems:
        raise ConfigError(f"The configuration {name} contradicts itself:", problems)
    return settings


def validate(kind: type[T], table: dict[str, Any], name: str) -> T:
    """A dataclass of sections from a table. Raises `ConfigError` with every problem."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - `config_process`

    try:
        # Through JSON: pydantic's strict mode takes no table for a dataclass otherwise.
        settings: T = TypeAdapter(kind).validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        known = asdict(kind())  # type: ignore[call-overload]
        raise ConfigError(
            f"The configuration {name} has {error.error_count()} problem(s):",
            [_problem(dict(item), known) for item in error.errors()],
        ) from None
    return settings


def _problem(error: dict[str, Any], known: dict[str, Any]) -> tuple[str, str]:
    place = [str(part) for part in error["loc"]]
    path = ".".join(place)
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        near = difflib.get_close_matches(place[-1], _known(place[:-1], known), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "; remove it"
        return path, f"there is no such setting{hint}"
    message = error["msg"][0].lower() + error["msg"][1:]
    message = message.replace("a valid integer", "a whole number")
    if unit := UNITS.get(path.rpartition("_")[2]):
        message += f" of {unit}" if message.endswith("number") else f" {unit}"
    return path, f"{message} (found {error['input']!r})"


def _known(place: list[str], known: dict[str, Any]) -> list[str]:
    node: Any = known
    for part in place:
        node = node.get(part, {})
    return list(node)


def _contradictions(settings: Settings) -> list[tuple[str, str]]:
    """What no single limit can see."""
    recording, alarms, buttons = settings.recording, settings.alarms, settings.buttons
    slowest_ms = 2 * recording.fragment_ms + recording.batch_ms - recording.batch_ms // 2
    checks = [
        (
            recording.loss_bound_ms < slowest_ms,
            "recording.loss_bound_ms",
            f"can't be kept with these fragments and batches; at least {slowest_ms} is needed, or "
            "shorter recording.fragment_ms",
        ),
        (
            alarms.battery_stop_percent >= alarms.battery_critical_percent,
            "alarms.battery_stop_percent",
            "must be below alarms.battery_critical_percent",
        ),
        (
            alarms.battery_critical_percent >= alarms.battery_low_percent,
            "alarms.battery_critical_percent",
            "must be below alarms.battery_low_percent",
        ),
        (
            alarms.storage_critical_min >= alarms.storage_low_min,
            "alarms.storage_critical_min",
            "must be below alarms.storage_low_min",
        ),
        (
            buttons.stop_hold_ms <= buttons.double_press_ms,
            "buttons.stop_hold_ms",
            "must be longer than buttons.double_press_ms: stopping must not look like starting",
        ),
        (
            settings.panel.dock == "contact" and settings.pins.dock < 0,
            "pins.dock",
            "must name the pin of the dock's contact, or panel.dock be another",
        ),
    ]
    pins = list(settings.as_dict()["pins"].items())
    taken: dict[int, str] = {}
    twice = []
    for name, pin in pins:
        if pin < 0:
            continue
        if pin in taken:
            twice.append((f"pins.{name}", f"is pin {pin}, which is pins.{taken[pin]} already"))
        taken[pin] = name
    return [(path, problem) for wrong, path, problem in checks if wrong] + twice
