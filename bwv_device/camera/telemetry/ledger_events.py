"""Which ledger lines are told as events, and what of them (docs/mqtt.md, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from bwv_device.camera.state_table import State

Kind = Literal["started", "stopped", "marker", "fault", "refused", "warning", "dock", "receipt"]
RECORDING = {State.RECORDING.value, State.POST_EVENT.value}
# A reason may quote what a library said.
TEXT_LIMIT = 200


class Told(NamedTuple):
    kind: Kind
    fields: dict[str, Any]


def told(kind: str, line: Mapping[str, Any]) -> Told | None:
    """The event of a line, or None where it is nobody's business."""
    if kind == "state":
        return _state(line)
    if kind == "marker":
        return Told("marker", {"marker": line["marker"], "recording": line["recording"]})
    if kind == "flag":
        return Told("marker", {"marker": "flag", "recording": line["recording"]})
    if kind == "fault":
        return Told("fault", {"part": line["part"], "reason": str(line["reason"])[:TEXT_LIMIT]})
    if kind == "cue" and "failed" in line:
        reason = str(line["reason"])[:TEXT_LIMIT]
        return Told("fault", {"part": line["failed"], "reason": reason})
    if kind == "refused":
        return Told("refused", {"event": line["event"], "conditions": list(line["conditions"])})
    if kind == "power":
        what = "undervoltage" if line["undervoltage"] else "battery"
        return Told("warning", {"what": what, "band": line["band"]})
    if kind == "storage":
        return Told("warning", {"what": "storage", "band": line["room"]})
    if kind == "dock":
        return Told("dock", {"docked": True})
    if kind == "delivery":
        counts = ("outcome", "delivered", "kept", "waiting")
        return Told("receipt", {name: line[name] for name in counts})
    return None


def _state(line: Mapping[str, Any]) -> Told | None:
    before, after = line["from"], line["to"]
    reason = str(line.get("reason", line["event"]))
    if before == State.DOCKED.value and after != State.STOPPED.value:
        return Told("dock", {"docked": False})
    if after in RECORDING and before not in RECORDING:
        return Told("started", {"state": after, "reason": reason})
    if before in RECORDING and after not in RECORDING:
        return Told("stopped", {"state": after, "reason": reason})
    return None
