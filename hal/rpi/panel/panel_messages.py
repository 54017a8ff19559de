"""What the agent and the panel process say to each other. It needs no gpiozero: the agent would
carry 2 MB of it for nothing.
"""

from __future__ import annotations

from typing import Any

from hal.ports import Level, Pattern, Step

OUTPUTS = {
    "front light": "front_light",
    "status light": "status_light",
    "beeper": "beeper",
    "vibration": "haptic",
}
BUTTONS = {
    "record": "record_button",
    "marker": "marker_button",
    "trigger": "trigger",
    "dock": "dock",
}


def as_json(pattern: Pattern) -> dict[str, Any]:
    steps = [[step.level.value, step.duration_ns] for step in pattern.steps]
    return {"name": pattern.name, "steps": steps, "once": pattern.once}


def pattern_of(value: dict[str, Any]) -> Pattern:
    steps = tuple(Step(Level(level), int(ns)) for level, ns in value["steps"])
    return Pattern(value["name"], steps, value["once"])
