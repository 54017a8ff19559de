"""A board whose indicators and buttons are those of a panel."""

from __future__ import annotations

from typing import Any

from hal.panel.gpio_panel import Panel
from hal.ports import Board


def on_panel(panel: Panel, **parts: Any) -> Board:
    """`parts` are the other fields of `Board`, by name."""
    return Board(
        front_light=panel.front_light,
        status_light=panel.status_light,
        beeper=panel.beeper,
        haptic=panel.haptic,
        record_button=panel.record_button,
        marker_button=panel.marker_button,
        trigger=panel.trigger,
        **parts,
    )
