"""The live table of `bwv fleet watch`: a row for each camera, those with trouble first."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from bwv_device.camera.control.start_conditions import FAILURES
from bwv_device.fleet.roster import CONSISTENT, FORKED, Seen
from bwv_device.formats.visible_text import visible

# A silence this long is reported even without an offline message.
SILENT_S = 120


def row(seen: Seen, now_ns: int) -> dict[str, Any]:
    """What is shown, and printed by --json, of a camera."""
    state = {name: _plain(value) for name, value in seen.state.items()}
    battery, storage = state.get("battery") or {}, state.get("storage") or {}
    undelivered = state.get("undelivered") or {}
    return {
        "device": seen.device,
        "online": seen.online,
        "state": state.get("state", ""),
        "recording": state.get("recording"),
        "stored": state.get("stored", False),
        "able": state.get("able"),
        "unmet": state.get("unmet", []),
        "officer": state.get("officer", ""),
        "failed": _plain((state.get("light") or {}).get("failed", [])),
        "battery_percent": battery.get("percent"),
        "battery_minutes": battery.get("minutes_left"),
        "storage_percent": storage.get("percent_left"),
        "storage_minutes": storage.get("minutes_left"),
        "undelivered_files": undelivered.get("files"),
        "undelivered_oldest_utc_ms": undelivered.get("oldest_utc_ms"),
        "clock": state.get("clock", ""),
        "clock_error_ms": state.get("error_ms"),
        "last_seen_s": round((now_ns - seen.last_ns) / 1e9, 1) if seen.last_ns else None,
        "ledger": seen.ledger,
        "head": {name: seen.head.get(name) for name in ("boot", "number", "digest")},
        "fork": seen.fork.reason if seen.fork else None,
        "events": seen.events,
        "events_missing": seen.missing,
        "duplicates": seen.duplicates,
        "conflicts": seen.conflicts,
        "commands_refused": sum((seen.health.get("refused") or {}).values()),
    }


def _plain(value: Any) -> Any:
    """Text that a terminal does not obey, and no longer than a cell."""
    if isinstance(value, str):
        return visible(value[:64])
    return [_plain(item) for item in value[:16]] if isinstance(value, list) else value


def troubles(row: dict[str, Any]) -> list[str]:
    """What is wrong, in words; the worst first."""
    found = []
    if row["ledger"] == FORKED:
        found.append("ledger forked")
    if row["recording"] and not row["stored"]:
        found.append("not stored")
    if row["able"] is False and not row["recording"]:
        why = ", ".join(FAILURES.get(condition, condition) for condition in row["unmet"])
        found.append(f"can't record: {why}" if why else "can't record")
    if row["failed"]:
        found.append(f"fails: {', '.join(row['failed'])}")
    if row["online"] is False:
        found.append("offline")
    elif row["last_seen_s"] is not None and row["last_seen_s"] > SILENT_S:
        found.append("silent")
    if row["clock"] == "none":
        found.append("no clock")
    if row["events_missing"]:
        found.append(f"{row['events_missing']} events missing")
    if row["conflicts"]:
        found.append(f"{row['conflicts']} messages contradict each other")
    if row["commands_refused"]:
        found.append(f"{row['commands_refused']} commands refused")
    return found


SORTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "trouble": lambda row: (-len(troubles(row)), row["ledger"] != FORKED, row["device"]),
    "device": lambda row: row["device"],
    "battery": lambda row: (row["battery_percent"] is None, row["battery_percent"]),
    "storage": lambda row: (row["storage_minutes"] is None, row["storage_minutes"]),
    "undelivered": lambda row: (
        row["undelivered_oldest_utc_ms"] is None,
        row["undelivered_oldest_utc_ms"],
    ),
    "seen": lambda row: -(row["last_seen_s"] or 0),
}
FILTERS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "recording": lambda row: bool(row["recording"]),
    "trouble": lambda row: bool(troubles(row)),
    "offline": lambda row: row["online"] is False,
    "forked": lambda row: row["ledger"] == FORKED,
    "docked": lambda row: row["state"] == "docked",
}


def chosen(
    rows: Iterable[dict[str, Any]], only: Sequence[str], sort: str, name: str = ""
) -> list[dict[str, Any]]:
    """Rows that pass every filter and whose camera's name holds `name`."""
    kept = [
        row for row in rows if name in row["device"] and all(FILTERS[word](row) for word in only)
    ]
    return sorted(kept, key=SORTS[sort])


# A terminal of fewer columns gets the narrow table.
WIDE = 130
COLUMNS = (
    ("camera", "left"), ("state", "left"), ("battery", "right"), ("storage", "right"),
    ("not delivered", "right"), ("clock", "right"), ("seen", "right"), ("ledger", "left"),
    ("trouble", "left"),
)  # fmt: skip
NARROW = (("camera", "left"), ("state", "left"), ("left", "left"), ("seen", "right"),
          ("trouble", "left"))  # fmt: skip


def render(rows: Sequence[dict[str, Any]], limit: int, title: str, width: int = WIDE) -> Table:
    """Nothing is cut: what does not fit a cell goes on in its next line. Below `WIDE` columns
    battery, storage and what waits for delivery share one, and clock and ledger are shown where
    they are a trouble."""
    wide = width >= WIDE
    table = Table(title=Text(visible(title)), title_justify="left", expand=True, show_lines=False)
    for heading, justify in COLUMNS if wide else NARROW:
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for one in rows[:limit]:
        cells = _cells(one)
        if wide:
            table.add_row(*cells)
        else:
            camera, state, battery, storage, waiting, _, seen, _, trouble = cells
            left = Text("\n").join(
                Text.assemble(name, cell)
                for name, cell in (("battery ", battery), ("storage ", storage), ("", waiting))
                if str(cell) not in ("-", "0")
            )
            if one["undelivered_files"]:
                left.append(" to deliver")
            table.add_row(camera, state, left, seen, trouble)
    if len(rows) > limit:
        table.caption = f"and {len(rows) - limit} more"
    return table


def _cells(row: dict[str, Any]) -> list[Text | str]:
    state = Text(row["state"] or "-")
    if row["recording"]:
        state = Text(f"● {row['state']}", style="bold red" if row["stored"] else "blink red")
    elif not row["online"]:
        state.stylize("dim")
    ledger = Text(row["ledger"])
    ledger.stylize({FORKED: "bold white on red", CONSISTENT: "green"}.get(row["ledger"], "dim"))
    found = troubles(row)
    return [
        Text(visible(row["device"])),
        state,
        _low(row["battery_percent"], 10, " %"),
        _low(row["storage_minutes"], 60, " min"),
        _oldest(row["undelivered_files"], row["undelivered_oldest_utc_ms"]),
        _clock(row["clock"], row["clock_error_ms"]),
        "-" if row["last_seen_s"] is None else f"{row['last_seen_s']:.0f} s",
        ledger,
        Text("; ".join(found), style="yellow" if found else ""),
    ]


def _low(value: int | None, limit: int, unit: str) -> Text | str:
    if value is None:
        return "-"
    return Text(f"{value:,}{unit}", style="yellow" if value <= limit else "")


def _oldest(files: int | None, utc_ms: int | None) -> str:
    if not files:
        return "-" if files is None else "0"
    if utc_ms is None:
        return f"{files}, no date"
    try:
        moment = datetime.datetime.fromtimestamp(utc_ms / 1000, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return f"{files}, no date"
    return f"{files} since {moment:%m-%d %H:%M}"


def _clock(source: str, error_ms: int | None) -> str:
    if source in ("", "none"):
        return source or "-"
    return f"{source} ± {(error_ms or 0) / 1000:.1f} s"
