"""What the page shows of an agent, read on the agent's own loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bwv_device.camera.agent import Agent
from bwv_device.camera.control.start_conditions import FAILURES
from bwv_device.formats.ledger_lines import parse_line
from bwv_device.live_panel.ledger_words import words
from hal.ports import SECOND_NS

Tell = Callable[[Mapping[str, Any]], None]
# When one of these is durable, the vault is worth a look.
WORTH_A_LOOK = {"boot", "recovery", "close", "still", "wipe", "stop"}
# What every line has.
FRAME = ("n", "t", "kind", "prev")
# A clock that was never set states an error of more than a year.
UNKNOWN_NS = 366 * 86_400 * SECOND_NS


class CameraView:
    """Reads an agent's ledger as it grows, and sums up the agent's state. `tell` takes messages for
    the page."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._rest = b""
        self._durable: dict[str, int] = {}
        self._recording = ""
        self._began_ns = 0

    def booted(self) -> None:
        """Another agent writes the ledger now."""
        self._rest = b""

    def ledger_grew(self, data: bytes) -> None:
        """These bytes were appended. Called wherever the disk works; must not fail."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                self._line(parse_line(line).fields)
            except (ValueError, KeyError, TypeError):
                self._tell({"kind": "event", "text": "A line of the ledger can't be read."})

    def _line(self, fields: dict[str, Any]) -> None:
        kind = fields["kind"]
        if kind == "open":
            self._opened(fields)
        elif kind in ("sync", "seal"):
            self._durable[fields["segment"]] = fields["length"]
        rest = {name: value for name, value in fields.items() if name not in FRAME}
        self._tell(
            {
                "kind": "line",
                "n": fields["n"],
                "line": kind,
                "text": words(kind, rest),
                "at_ms": fields["t"] // 1_000_000,
            }
        )
        if kind in WORTH_A_LOOK:
            self._tell({"kind": "look"})

    def _opened(self, fields: dict[str, Any]) -> None:
        if fields["recording"] != self._recording:
            self._recording, self._durable = fields["recording"], {}
            self._began_ns = fields.get("pressed_ns", fields["t"])

    def state(self, agent: Agent, now_ns: int) -> dict[str, Any]:
        """Everything that changes, except levels and pictures."""
        status, recorder = agent.control.status(), agent.parts.recorder
        reading = agent.board.clock.utc()
        known = reading.source != "none" and reading.error_ns < UNKNOWN_NS
        power = status.power
        return {
            "state": status.state,
            "recording": status.recording,
            "recording_s": (now_ns - self._began_ns) / SECOND_NS if status.recording else None,
            "durable_bytes": sum(self._durable.values()) if status.recording else None,
            "undurable_bytes": recorder.undurable_bytes,
            "stored": status.stored,
            "unmet": [FAILURES.get(condition, condition) for condition in status.unmet],
            "officer": status.officer,
            "failed": status.light.failed,
            "pre_event_s": recorder.prebuffer_ns / SECOND_NS,
            "pre_event_bytes": recorder.prebuffer_bytes,
            "battery_percent": power.percent if power else None,
            "battery_minutes": power.minutes_left if power else None,
            "charging": power.charging if power else False,
            "storage_minutes": status.left_s // 60 if status.left_s is not None else None,
            "room": status.room.name.lower(),
            "clock_utc_ms": reading.utc_ns // 1_000_000 if known else None,
            "clock_error_s": reading.error_ns / SECOND_NS if known else None,
            "clock_source": reading.source,
            "docked": agent.board.dock.docked(),
            "delivery": status.delivery,
        }
