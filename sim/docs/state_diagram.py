"""Draws docs/states.svg from the state table: `python -m sim.docs.state_diagram FILE`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import NamedTuple

from bwv_device.camera.state_table import TABLE, Event, Refusal, State, Transition

WIDTH, HEIGHT, BOX_W, BOX_H = 900, 500, 150, 46
PLACES = {
    State.STARTING: (110, 90),
    State.READY: (420, 90),
    State.RECORDING: (420, 320),
    State.POST_EVENT: (770, 205),
    State.DOCKED: (110, 320),
    State.STOPPED: (110, 440),
}
# Where a label would meet another one: how far along its arrow it stands.
ALONG = {(State.POST_EVENT, State.DOCKED): 0.22, (State.RECORDING, State.READY): 0.6}
COLOURS = {State.RECORDING: "#c62828", State.POST_EVENT: "#d65a5a", State.READY: "#3567b0"}


def draw() -> str:
    """The diagram as SVG text."""
    arrows: dict[tuple[State, State], list[str]] = {}
    everywhere = _from_everywhere()
    for (state, event), outcome in TABLE.items():
        if isinstance(outcome, Transition) and event not in everywhere:
            arrows.setdefault((state, outcome.to), []).append(event.value)
    parts = [_arrow(a, b) for a, b in arrows]
    parts += [_label(a, b, " / ".join(events)) for (a, b), events in arrows.items()]
    parts += [_box(state) for state in State]
    notes = [f"{event.value} from every state: {to.value}" for event, to in everywhere.items()]
    notes += [
        f"{event.value} while {state.value}: refused, {outcome.condition}"
        for (state, event), outcome in TABLE.items()
        if isinstance(outcome, Refusal)
    ]
    parts += [
        f'<text x="420" y="{418 + 20 * i}" class="note">{line}</text>'
        for i, line in enumerate(notes)
    ]
    style = (
        "text{font:13px sans-serif;fill:#1b2430}"
        ".label{stroke:#fff;stroke-width:5;paint-order:stroke}.box{fill:#fff;font-weight:600}"
        ".note{fill:#5c6775;font-size:12px}.arrow{stroke:#5c6775;fill:none;stroke-width:1.4}"
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">\n'
        f"<style>{style}</style>\n"
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0L10 5L0 10z" fill="#5c6775"/></marker></defs>'
    )
    return "\n".join([head, *parts, "</svg>", ""])


def _from_everywhere() -> dict[Event, State]:
    """Events that lead from every other state to the same one: a note says it better."""
    leads: dict[Event, dict[State, State]] = {}
    for (state, event), outcome in TABLE.items():
        if isinstance(outcome, Transition):
            leads.setdefault(event, {})[state] = outcome.to
    return {
        event: next(iter(ways.values()))
        for event, ways in leads.items()
        if len(set(ways.values())) == 1 and len(ways) == len(State) - 1
    }


def _box(state: State) -> str:
    x, y = PLACES[state]
    colour = COLOURS.get(state, "#6c7a89")
    left, top = x - BOX_W // 2, y - BOX_H // 2
    return (
        f'<rect x="{left}" y="{top}" width="{BOX_W}" height="{BOX_H}" rx="8" fill="{colour}"/>'
        f'<text x="{x}" y="{y + 5}" text-anchor="middle" class="box">{state.value}</text>'
    )


class _Line(NamedTuple):
    """A straight arrow, moved aside so that there and back do not lie on each other."""

    x1: float
    y1: float
    x2: float
    y2: float
    side_x: float
    side_y: float


def _line(start: State, end: State) -> _Line:
    (ax, ay), (bx, by) = PLACES[start], PLACES[end]
    length = math.hypot(bx - ax, by - ay)
    ux, uy = (bx - ax) / length, (by - ay) / length
    side_x, side_y = -uy * 12, ux * 12
    cut_a, cut_b = _edge(ux, uy), _edge(ux, uy) + 3
    return _Line(
        ax + ux * cut_a + side_x, ay + uy * cut_a + side_y,
        bx - ux * cut_b + side_x, by - uy * cut_b + side_y, side_x, side_y,
    )  # fmt: skip


def _arrow(start: State, end: State) -> str:
    x1, y1, x2, y2, *_ = _line(start, end)
    path = f"M{x1:.0f} {y1:.0f}L{x2:.0f} {y2:.0f}"
    return f'<path class="arrow" marker-end="url(#head)" d="{path}"/>'


def _label(start: State, end: State, text: str) -> str:
    """Beside its arrow, and above whatever it meets."""
    x1, y1, x2, y2, side_x, side_y = _line(start, end)
    at = ALONG.get((start, end), 0.42)
    tx, ty = x1 + (x2 - x1) * at + side_x * 0.6, y1 + (y2 - y1) * at + side_y * 0.9
    level = abs(y2 - y1) < abs(x2 - x1) * 0.6
    anchor = "middle" if level else "start" if side_x > 0 else "end"
    return f'<text x="{tx:.0f}" y="{ty + 4:.0f}" text-anchor="{anchor}" class="label">{text}</text>'


def _edge(ux: float, uy: float) -> float:
    """From the centre of a box to its rim, in this direction."""
    return min(BOX_W / 2 / max(abs(ux), 1e-9), BOX_H / 2 / max(abs(uy), 1e-9))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw())
