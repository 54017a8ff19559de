"""The demo's outcome as `report.json` and as a page for a person."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
from jinja2 import Environment, PackageLoader, select_autoescape

from bwv_device.formats.ledger_lines import DIRECTORY, parse_line
from bwv_device.verification.export import Exported
from bwv_device.verification.vault_report import Report
from hal.ports import SECOND_NS, Level
from hal.simulated.panel import Shown
from sim.world.world import World

THUMBNAIL_WIDTH = 480


class Bar(NamedTuple):
    """A span of a timeline row, in seconds of the shift."""

    start_s: float
    end_s: float
    label: str
    kind: str


class Tick(NamedTuple):
    at_s: float
    label: str
    kind: str


class Film(NamedTuple):
    """What the page says of one recording."""

    name: str
    path: str
    thumbnail: str
    start: str
    duration_s: float
    pre_event_s: float
    shortfall: str
    trigger: str
    pictures: int
    decoded: int
    sounds: int
    statuses: str
    markers: list[str]
    stills: list[str]


def write(
    world: World,
    folder: Path,
    verified: Report,
    exported: list[Exported],
    custody: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes both files into `folder` and returns what `report.json` holds. `custody` is what came
    of it in the evidence store, where somebody played that."""
    lines = list(_ledger(folder / "vault"))
    films = [_film(folder, item, lines) for item in exported]
    summary = {
        "device": verified.device,
        "shift_s": world.loop.now_ns() / SECOND_NS,
        "transitions": [
            {
                "at_s": t.at_ns / SECOND_NS,
                "from": t.before.value,
                "event": t.event.value,
                "to": t.after.value,
            }
            for t in world.transitions
        ],
        "happenings": [{"at_s": h.at_ns / SECOND_NS, "what": h.what} for h in world.happenings],
        "recordings": [film._asdict() for film in films],
        "verification": verified.as_dict(),
        "ledger_lines": len(lines),
        "disk_operations": world.disk.count,
        "custody": custody,
    }
    _write(folder / "report.json", json.dumps(summary, indent=2))
    page = Environment(
        loader=PackageLoader("sim.demo", "."), autoescape=select_autoescape(default=True)
    ).get_template("report.html.jinja")
    placed = list(_in_world_time(world, lines))
    rows = timeline(world, placed)
    length_s = world.loop.now_ns() / SECOND_NS
    _write(
        folder / "index.html",
        page.render(
            summary=summary,
            films=films,
            rows=rows,
            length_s=length_s,
            ticks=_ticks(world, placed),
            grid_s=_grid_s(length_s),
            sealed_example=next((x["segment"] for x in lines if x["kind"] == "seal"), ""),
            custody=custody,
        ),
    )
    return summary


# --- timeline ----------------------------------------------------------------------------------

# Of the labelled lines of a timeline.
STEPS_S = (10, 30, 60, 300, 600, 3600)
LABELS = 18


def _grid_s(length_s: float) -> int:
    return next((step for step in STEPS_S if length_s / step <= LABELS), STEPS_S[-1])


def timeline(world: World, lines: list[dict[str, Any]]) -> list[tuple[str, list[Bar]]]:
    """Rows of bars: what the camera was doing and what it showed."""
    end_s = world.loop.now_ns() / SECOND_NS
    return [
        ("device", list(_states(world, end_s))),
        ("footage", list(_footage(lines))),
        ("front light", list(_patterns(world.shown_so_far("front light"), end_s))),
        ("status light", list(_patterns(world.shown_so_far("status light"), end_s))),
        ("beeper", list(_beeps(world.shown_so_far("beeper")))),
    ]


def _states(world: World, end_s: float) -> Iterator[Bar]:
    power = {"boot": "starting", "power cut": "off", "switched off": "off"}
    changes = [(h.at_ns / SECOND_NS, power[h.what]) for h in world.happenings if h.what in power]
    # Behind the boots: a camera that is ready in the same instant counts as ready.
    changes += [(t.at_ns / SECOND_NS, t.after.value) for t in world.transitions]
    changes.sort(key=lambda change: change[0])
    for (start, state), (end, _) in zip(changes, [*changes[1:], (end_s, "")], strict=True):
        if end > start:
            yield Bar(start, end, state, state.replace(" ", "-"))


MOMENTS = ("t", "first_pts_ns", "pressed_ns", "video_until_ns", "end_pts_ns")


def _in_world_time(world: World, lines: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Monotonic time starts anew at each boot; a timeline has one beginning."""
    origin_ns = 0
    for line in lines:
        if line["kind"] == "boot":
            origin_ns = world.origins_ns[line["boot"] - 1]
        yield {**line, **{name: line[name] + origin_ns for name in MOMENTS if name in line}}


def _footage(lines: list[dict[str, Any]]) -> Iterator[Bar]:
    """Each recording from its first picture to its last, the part before the press apart."""
    ends: dict[str, int] = {}
    for line in lines:
        if line["kind"] == "sync":
            ends[line["segment"][:13]] = line["video_until_ns"]
        elif line["kind"] == "seal":
            ends[line["segment"][:13]] = line["end_pts_ns"]
    for line in lines:
        if line["kind"] == "open" and line["index"] == 1 and line["recording"] in ends:
            first, pressed = line["first_pts_ns"] / SECOND_NS, line["pressed_ns"] / SECOND_NS
            yield Bar(first, pressed, "pre-event", "pre-event")
            yield Bar(pressed, ends[line["recording"]] / SECOND_NS, "recording", "recording")


def _patterns(shown: list[Shown], end_s: float) -> Iterator[Bar]:
    """Spans of one pattern; its flashes are too many to draw."""
    start, name = 0.0, "dark"
    for item in [*shown, Shown(int(end_s * SECOND_NS), Level.OFF, "")]:
        if item.pattern != name:
            at_s = item.at_ns / SECOND_NS
            if name != "dark" and at_s > start:
                kind = name.partition(",")[0].replace(" ", "-")
                yield Bar(start, at_s, name, f"light-{kind}")
            start, name = at_s, item.pattern


def _beeps(shown: list[Shown]) -> Iterator[Bar]:
    on: Shown | None = None
    for item in shown:
        if item.level is Level.ON:
            on = item
        elif on is not None:
            yield Bar(on.at_ns / SECOND_NS, item.at_ns / SECOND_NS, on.pattern, "beep")
            on = None


def _ticks(world: World, lines: list[dict[str, Any]]) -> list[Tick]:
    ticks = [
        Tick(h.at_ns / SECOND_NS, h.what, "cut" if h.what == "power cut" else "hand")
        for h in world.happenings
    ]
    for line in lines:
        if line["kind"] == "marker":
            ticks.append(Tick(line["t"] / SECOND_NS, f"marker: {line['marker']}", "marker"))
        elif line["kind"] == "still":
            ticks.append(Tick(line["t"] / SECOND_NS, "snapshot", "marker"))
        elif line["kind"] == "recovered":
            ticks.append(Tick(line["t"] / SECOND_NS, "recovered", "recovered"))
    return sorted(ticks, key=lambda tick: tick.at_s)


# --- recordings --------------------------------------------------------------------------------


def _film(folder: Path, item: Exported, lines: list[dict[str, Any]]) -> Film:
    opened = next(x for x in lines if x["kind"] == "open" and x["recording"] == item.recording)
    pre_event = opened.get("pre_event", {})
    markers = [
        f"{x['marker']} at {(x['at_ns'] - opened['first_pts_ns']) / SECOND_NS:.1f} s"
        for x in lines
        if x["kind"] == "marker" and x["recording"] == item.recording
    ]
    stills = [
        f"export/{x['segment'].removesuffix('.age')}"
        for x in lines
        if x["kind"] == "still" and x["recording"] == item.recording
    ]
    thumbnail = item.path.with_suffix(".thumbnail.jpg")
    decoded = _decode(item.path, thumbnail, opened["pressed_ns"] - opened["first_pts_ns"])
    utc_s = opened["time"]["utc_ns"] / SECOND_NS
    start = datetime.datetime.fromtimestamp(utc_s, datetime.UTC)
    return Film(
        item.recording,
        f"export/{item.path.name}",
        f"export/{thumbnail.name}",
        f"{start:%Y-%m-%d %H:%M:%S} UTC ± {opened['time']['error_ns'] / 1e6:.0f} ms "
        f"({opened['time']['source']})",
        item.duration_ms / 1000,
        pre_event.get("achieved_ms", 0) / 1000,
        pre_event.get("shortfall", ""),
        opened["trigger"],
        item.video_units,
        decoded,
        item.audio_units,
        ", ".join(dict.fromkeys(item.statuses)),
        markers,
        stills,
    )


def _decode(path: Path, thumbnail: Path, at_ns: int) -> int:
    """Decodes every picture, as a player would; keeps the one at the press. Returns the count."""
    decoded, kept = 0, False
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(container.streams.video[0]):
            decoded += 1
            if not kept and (frame.time or 0) * SECOND_NS >= at_ns:
                image = frame.to_ndarray(format="bgr24")
                size = (THUMBNAIL_WIDTH, image.shape[0] * THUMBNAIL_WIDTH // image.shape[1])
                kept = cv2.imwrite(str(thumbnail), cv2.resize(image, size))
    return decoded


def _ledger(vault: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((vault / DIRECTORY).iterdir()):
        for raw in path.read_bytes().splitlines():
            try:
                yield parse_line(raw).fields
            except ValueError:
                continue  # torn by the power cut; the verification above tells


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
