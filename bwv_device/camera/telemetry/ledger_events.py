"""Which ledger lines are published as events, with which fields (docs/mqtt.md, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from bwv_device.camera.state_table import State

Kind = Literal[
    "started", "stopped", "marker", "fault", "refused", "warning", "dock", "receipt", "update"
]
RECORDING = {State.RECORDING.value, State.POST_EVENT.value}
# A reason may quote what a library said.
TEXT_LIMIT = 200


class LineEvent(NamedTuple):
    kind: Kind
    fields: dict[str, Any]


def told(kind: str, line: Mapping[str, Any]) -> LineEvent | None:
    """The event of a line, or None if the line is not published."""
    if kind == "state":
        return _state(line)
    if kind == "marker":
        return LineEvent("marker", {"marker": line["marker"], "recording": line["recording"]})
    if kind == "flag":
        return LineEvent("marker", {"marker": "flag", "recording": line["recording"]})
    if kind == "fault":
        return LineEvent(
            "fault", {"part": line["part"], "reason": str(line["reason"])[:TEXT_LIMIT]}
        )
    if kind == "cue" and "failed" in line:
        reason = str(line["reason"])[:TEXT_LIMIT]
        return LineEvent("fault", {"part": line["failed"], "reason": reason})
    if kind == "refused":
        return LineEvent(
            "refused", {"event": line["event"], "conditions": list(line["conditions"])}
        )
    if kind == "power":
        what = "undervoltage" if line["undervoltage"] else "battery"
        return LineEvent("warning", {"what": what, "band": line["band"]})
    if kind == "storage":
        return LineEvent("warning", {"what": "storage", "band": line["room"]})
    if kind == "dock" and line["docked"]:
        return LineEvent("dock", {"docked": True})
    if kind == "delivery":
        counts = ("outcome", "delivered", "kept", "waiting")
        return LineEvent("receipt", {name: line[name] for name in counts})
    if kind == "update":
        said = {name: str(line[name])[:TEXT_LIMIT] for name in ("release", "step", "reason")}
        return LineEvent("update", said)
    return None


def _state(line: Mapping[str, Any]) -> LineEvent | None:
    before, after = line["from"], line["to"]
    reason = str(line.get("reason", line["event"]))
    if before == State.DOCKED.value and after != State.STOPPED.value:
        return LineEvent("dock", {"docked": False})
    if after in RECORDING and before not in RECORDING:
        return LineEvent("started", {"state": after, "reason": reason})
    if before in RECORDING and after not in RECORDING:
        return LineEvent("stopped", {"state": after, "reason": reason})
    return None
